#include "repsim/video_list.hpp"

#include "spec_json.hpp"

namespace repsim::report {
namespace {

std::int64_t first_frame(const std::vector<ListedVideo>& videos, std::size_t index) {
  std::int64_t first = 0;
  for (std::size_t i = 0; i < index; ++i) first += videos[i].frame_count;
  return first;
}

Json frames_json(const std::vector<ListedVideo>& videos, std::size_t index, const std::vector<NamedFrames>& frames) {
  Json json;
  for (const NamedFrames& one : frames) json[one.key] = frames_in_video(videos, index, one.frames);
  return json;
}

}  // namespace

std::vector<std::int64_t> frames_in_video(const std::vector<ListedVideo>& videos, std::size_t index,
                                          const std::vector<std::int64_t>& frames) {
  const std::int64_t first = first_frame(videos, index), end = first + videos[index].frame_count;
  std::vector<std::int64_t> inside;
  for (const std::int64_t frame : frames) {
    if (frame >= first && frame < end) inside.push_back(frame - first);
  }
  return inside;
}

Json to_json(const std::vector<ListedVideo>& videos, const std::vector<NamedFrames>& frames) {
  Json list = Json::array();
  for (std::size_t i = 0; i < videos.size(); ++i) {
    const ListedVideo& video = videos[i];
    list.push_back({{"name", video.name},
                    {"path", video.path},
                    {"sha256", video.sha256},
                    {"weight", video.weight},
                    {"frame_count", video.frame_count},
                    {"first_frame", first_frame(videos, i)},
                    {"frames", frames_json(videos, i, frames)}});
  }
  return list;
}

std::vector<ListedVideo> read_videos(JsonReader& reader, const std::string& key,
                                     const std::vector<NamedFrames>& frames) {
  std::vector<ListedVideo> videos;
  const Json* list = reader.child(key);
  if (list == nullptr) return videos;
  if (!list->is_array() || list->size() < 2) reader.fail(key, "expected a list of two videos or more");
  const auto field = [&](std::size_t i) { return key + "[" + std::to_string(i) + "]"; };
  for (std::size_t i = 0; i < list->size(); ++i) {
    JsonReader one((*list)[i], reader.file(), reader.path_of(field(i)));
    ListedVideo& video = videos.emplace_back();
    one.required("name", video.name);
    one.required("path", video.path);
    one.required("sha256", video.sha256);
    one.required("weight", video.weight);
    read_size(one, "frame_count", video.frame_count);
    std::int64_t first = 0;
    read_size(one, "first_frame", first);
    if (first != first_frame(videos, i))
      one.fail("first_frame", "is " + std::to_string(first) + ", but the videos before have " +
                                  std::to_string(first_frame(videos, i)) + " frames");
    static_cast<void>(required_child(one, "frames"));
    one.finish();
  }
  for (std::size_t i = 0; i < videos.size(); ++i) {
    if ((*list)[i]["frames"] == frames_json(videos, i, frames)) continue;
    reader.fail(field(i) + ".frames", "these are not the frames of the video among all frames", "make both agree");
  }
  return videos;
}

}  // namespace repsim::report
