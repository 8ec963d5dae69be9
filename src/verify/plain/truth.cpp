#include "repsim/truth.hpp"

#include <string_view>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "truth_formats.hpp"

namespace repsim::verify {
namespace {

bool is_utf16(std::string_view text) { return text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"); }

}  // namespace

Truth read_truth(const std::filesystem::path& path, const video::VideoInfo& video) {
  std::string text = read_file(path);
  const std::string file = path.string();
  if (is_utf16(text)) {
    throw input_error("is UTF-16, not UTF-8", file, "convert it: iconv -f UTF-16 -t UTF-8 INPUT > OUTPUT");
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const char begins = first == std::string::npos ? ' ' : text[first];
  if (begins == '[') {
    throw input_error("is a JSON list, as COCO writes detections; ground truth is an object", file,
                      "give COCO's annotation file, with images, annotations and categories");
  }
  BeyondTheEnd beyond;
  Truth truth = begins == '{' ? parse_coco(text, file, video, beyond) : parse_motchallenge(text, file, video, beyond);
  if (beyond.boxes > 0) {
    log::warn(file + ": " + std::to_string(beyond.boxes) + (beyond.boxes == 1 ? " box lies" : " boxes lie") +
              " beyond the video's " + std::to_string(video.frame_count) +
              (beyond.boxes == 1 ? " frames and is left out: in " : " frames and are left out; the first is in ") +
              beyond.first);
  }
  return truth;
}

Truth read_truth(std::span<const std::optional<std::string>> paths, const video::Playlist& videos) {
  if (paths.size() != videos.videos().size())
    throw Error(ErrorKind::kInternal, "ground truth of " + std::to_string(paths.size()) + " videos");
  Truth all;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const video::PlaylistVideo& video = videos.videos()[i];
    const std::string path = paths[i].value_or("");
    Truth one = read_truth(path, video.info);
    if (i > 0 && (one.format != all.format || one.classes != all.classes)) {
      throw input_error("the ground truth of '" + videos.videos().front().name + "' and '" + video.name +
                            "' has other " + (one.format != all.format ? "formats" : "classes"),
                        path, "files of one format, with the same categories in the same order");
    }
    all.format = one.format;
    all.classes = std::move(one.classes);
    for (auto& [frame, target] : one.frames) all.frames.emplace(video.first + frame, std::move(target));
  }
  return all;
}

}  // namespace repsim::verify
