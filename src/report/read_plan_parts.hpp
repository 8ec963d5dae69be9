#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/report.hpp"
#include "spec_json.hpp"

/// What the readers of plan.json have in common.
namespace repsim::report {

JsonReader child_reader(JsonReader& reader, const std::string& key);

template <typename Item>
void read_list(JsonReader& reader, const std::string& key, std::vector<Item>& out, Item (*read_item)(JsonReader)) {
  const Json& list = required_child(reader, key);
  if (!list.is_array()) reader.fail(key, "expected a list");
  out.clear();
  for (std::size_t i = 0; i < list.size(); ++i) {
    out.push_back(read_item({list[i], reader.file(), reader.path_of(key) + "[" + std::to_string(i) + "]"}));
  }
}

void read_sizes(JsonReader& reader, const std::string& key, std::vector<std::int64_t>& out);

/// A time in milliseconds that plans of earlier versions do not have, as whole nanoseconds.
void read_milliseconds(JsonReader& reader, const std::string& key, std::optional<std::int64_t>& out);

/// Reads `video`, `videos` and `frames`.
/// @param judgements  a member of `frames` where it is not null
void read_video_part(JsonReader& reader, PlanVideos& out, std::int64_t* judgements);

PlanStream read_stream(JsonReader reader);

/// Each model is on one stream, the one that its entry names, and the streams name models in plan order.
void check_streams(JsonReader& reader, const Plan& plan);

}  // namespace repsim::report
