#include "videos.hpp"

#include <algorithm>
#include <cmath>

#include "repsim/base/error.hpp"
#include "repsim/base/path_pattern.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/model_name.hpp"
#include "setting.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;
using video::VideoSource;

constexpr const char* kListForm = R"("videos": ["north.mp4", {"path": "south.mp4", "weight": 2}])";
constexpr const char* kPatternRemedy = "a pattern that names a video, in quotes on a command line";

std::string element(const std::string& list, std::size_t index) { return list + "[" + std::to_string(index) + "]"; }

/// One entry of the list: one video, or all that a pattern names.
std::vector<VideoSource> read_video(const Json& json, const std::string& file, const std::string& field,
                                    const fs::path& base) {
  VideoSource given;
  if (json.is_string()) {
    given.path = json.get<std::string>();
  } else {
    JsonReader reader(json, file, field);
    read_comment(reader);
    reader.required("path", given.path);
    reader.optional("name", given.name);
    reader.optional("weight", given.weight);
    if (reader.has("truth")) reader.required("truth", given.truth.emplace());
    reader.finish();
  }
  const std::string where = file + ": " + field;
  if (given.path.empty()) throw input_error("the path is empty", where, kListForm);
  if (given.truth) given.truth = resolve(*given.truth, base);
  const std::vector<std::string> paths = paths_matching(resolve(given.path, base));
  if (paths.empty()) throw input_error("no file matches '" + given.path + "'", where, kPatternRemedy);
  if (paths.size() > 1 && (!given.name.empty() || given.truth)) {
    throw input_error(std::to_string(paths.size()) + " files match '" + given.path + "'", where,
                      "one entry for each video that has a name or ground truth");
  }
  std::vector<VideoSource> videos(paths.size(), given);
  for (std::size_t i = 0; i < paths.size(); ++i) videos[i].path = paths[i];
  return videos;
}

/// Reads a list that is there.
std::vector<VideoSource> read_list(const Json& list, JsonReader& reader, const std::string& name,
                                   const fs::path& base) {
  if (!list.is_array()) reader.fail(name, "this is no list", kListForm);
  if (list.empty()) reader.fail(name, "the list is empty", kListForm);
  std::vector<VideoSource> videos;
  for (std::size_t i = 0; i < list.size(); ++i) {
    for (VideoSource& one : read_video(list[i], reader.file(), reader.path_of(element(name, i)), base))
      videos.push_back(std::move(one));
  }
  if (videos.size() > 1) name_videos(videos);
  return videos;
}

/// What is wrong with one list of videos.
void check_list(const std::vector<VideoSource>& videos, const std::string& list, const Complain& complain) {
  for (std::size_t i = 0; i < videos.size(); ++i) {
    const std::string field = element(list, i);
    const VideoSource& video = videos[i];
    if (video.path.empty()) complain(field + ".path", "the path is empty", "the path of a video");
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
    if (video.name.empty() || std::any_of(video.name.begin(), video.name.end(), is_control))
      complain(field + ".name", "'" + video.name + "' cannot be a video's name", "a name without control characters");
    for (std::size_t j = 0; j < i; ++j) {
      if (videos[j].name != video.name) continue;
      complain(field + ".name", "two videos are named '" + video.name + "': " + videos[j].path + " and " + video.path,
               R"(in a config "videos": [{"path": "north/cam.mp4", "name": "north"}, ...])");
    }
    if (!std::isfinite(video.weight) || video.weight <= 0) {
      complain(field + ".weight", "the value is " + shortest(video.weight) + ", not a number above 0",
               "1: as many frames as its length asks for");
    }
    if (video.truth.has_value() != videos.front().truth.has_value()) {
      complain(field + ".truth", "ground truth is given for some of the videos only",
               "ground truth for each of them, or for none");
    }
  }
}

}  // namespace

std::string name_with_folder(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().filename().string();
  return folder.empty() ? model::name_of(path) : folder + "/" + model::name_of(path);
}

void read_videos(JsonReader& reader, const std::string& name, const fs::path& base, Settings& out) {
  const Json* list = reader.child(name);
  if (list == nullptr) return;
  if (!out.videos.empty())
    reader.fail(name, "both 'video' and '" + name + "' are given",
                "keep one of them: --video on the command line replaces both");
  out.videos = read_list(*list, reader, name, base);
}

void read_own_videos(JsonReader& reader, const std::string& model, const fs::path& base, Settings& out) {
  std::string path;
  const bool has_one = reader.child("video") != nullptr;  // has() would not make the key known
  if (has_one) reader.required("video", path);
  const Json* list = reader.child("videos");
  if (has_one && list != nullptr) reader.fail("videos", "both 'video' and 'videos' are given", "keep one of them");
  if (has_one && path.empty()) reader.fail("video", "the path is empty", "the path of a video");
  if (has_one) out.videos_of[model] = {{resolve(path, base)}};
  if (list != nullptr) out.videos_of[model] = read_list(*list, reader, "videos", base);
}

Json videos_json(const std::vector<VideoSource>& videos) {
  Json list = Json::array();
  for (const VideoSource& video : videos) {
    Json& one = list.emplace_back(Json{{"path", video.path}});
    if (!video.name.empty()) one["name"] = video.name;
    one["weight"] = video.weight;
    if (video.truth) one["truth"] = *video.truth;
  }
  return list;
}

std::vector<VideoSource> videos_of(const std::vector<std::string>& paths, const std::string& flag) {
  std::vector<VideoSource> videos;
  for (const std::string& path : paths) {
    const std::vector<std::string> found = paths_matching(path);
    if (found.empty()) throw input_error("no file matches '" + path + "'", flag, kPatternRemedy);
    for (const std::string& one : found) videos.push_back({one});
  }
  if (videos.size() == 1 && videos.front().path.empty()) return {};
  if (videos.size() > 1) name_videos(videos);
  return videos;
}

void name_videos(std::vector<VideoSource>& videos) {
  std::vector<std::string> names;
  for (const VideoSource& video : videos) names.push_back(video.name.empty() ? model::name_of(video.path) : video.name);
  for (std::size_t i = 0; i < videos.size(); ++i) {
    if (!videos[i].name.empty()) continue;
    const bool is_unique = std::count(names.begin(), names.end(), names[i]) == 1;
    videos[i].name = is_unique ? names[i] : name_with_folder(videos[i].path);
  }
}

void settle_videos(const std::string& file, Settings& settings) {
  if (settings.videos.size() != 1) return;
  VideoSource& only = settings.videos.front();
  if (only.truth && settings.truth) {
    throw input_error("ground truth is stated twice", file + ": truth",
                      "keep one of them: 'truth', or that of the video in 'videos'");
  }
  if (only.truth) settings.truth = only.truth;
  only = {only.path};
}

void check_videos(const Settings& settings, const Complain& complain) {
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const auto own = settings.videos_of.find(settings.models[i].name);
    if (own != settings.videos_of.end() && own->second.size() > 1)
      check_list(own->second, model_field(i) + ".videos", complain);
  }
  const std::vector<VideoSource>& videos = settings.videos;
  if (videos.size() < 2) return;
  if (settings.truth) {
    complain("truth", "there are " + std::to_string(videos.size()) + " videos, and this says not of which it is",
             R"(in a config "videos": [{"path": "v.mp4", "truth": "gt.txt"}, ...], or one video)");
  }
  check_list(videos, "videos", complain);
}

}  // namespace repsim::config
