#include "videos_per_stream.hpp"

#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"

namespace repsim::pipeline {

NamedVideo named_video(const std::string& text, const std::vector<std::string>& streams) {
  // Names may contain '=', so the longest that fits is meant.
  NamedVideo named;
  std::size_t length = 0;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    if (!text.starts_with(streams[i] + "=") || streams[i].size() < length) continue;
    length = streams[i].size();
    named = {i, text.substr(length + 1)};
  }
  if (!named.path.empty()) return named;
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw Error(ErrorKind::kUsage,
                "the models run on the streams " + join(streams, ", ") + ", and this says not on which",
                "--video " + text, "--video '" + streams.front() + "=" + text + "'");
  }
  throw Error(ErrorKind::kUsage, "there is no stream '" + text.substr(0, equals) + "'", "--video " + text,
              did_you_mean(text.substr(0, equals), streams));
}

std::vector<rebuild::StreamVideos> videos_per_stream(const std::vector<video::VideoSource>& given,
                                                     const std::vector<report::PlanStream>& streams,
                                                     const std::string& command) {
  std::vector<std::string> names;
  for (const report::PlanStream& stream : streams) names.push_back(stream.name);
  std::vector<std::vector<std::string>> paths(streams.size());
  for (const video::VideoSource& one : given) {
    NamedVideo named = named_video(one.path, names);
    paths[named.stream].push_back(std::move(named.path));
  }
  std::vector<rebuild::StreamVideos> result;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    if (paths[i].empty()) {
      throw Error(ErrorKind::kUsage, "no video is given for the stream '" + names[i] + "'", command,
                  "--video '" + names[i] + "=FILE'");
    }
    result.push_back({config::videos_of(paths[i], "--video"), {}});
  }
  return result;
}

}  // namespace repsim::pipeline
