#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/verify_metrics.hpp"
#include "repsim/video.hpp"

/// Ground truth of a video, from files that others made; no torch.
namespace repsim::verify {

/// Ground truth of a video, or of several.
struct Truth {
  std::map<std::int64_t, Target> frames;  ///< by number in the playlist, from 0; boxes relative to the frame
  std::vector<std::string> classes;       ///< what the boxes' labels mean
  std::string format;                     ///< "motchallenge" or "coco"
};

/// Reads ground truth: COCO JSON if the text begins with '{', else MOTChallenge text. The text is UTF-8, with or
/// without a byte order mark.
///
/// MOTChallenge: a row is frame (from 1), id, left, top, width, height, active, ..., in pixels, and ends with LF, CR or
/// both. Rows with active 0 are left out, as are empty lines, lines that begin with '#', and names of columns in the
/// first row. The only class is "person".
///
/// COCO: an object with `images` (id, file_name), `annotations` (image_id, bbox [left, top, width, height],
/// category_id, iscrowd) and `categories` (id, name). Boxes are relative to the size that their image states, else to
/// the video's. Those with iscrowd 1 are ignored: a detection that meets one is neither right nor wrong. The classes
/// are the categories in order of their id. An image's frame is
/// - the picture of that name, if the video consists of pictures and all images are among them;
/// - else the number in its file name (the last run of digits before the suffix), if all images have one. Numbers count
///   from 0 if one of them is 0, else from 1;
/// - else its place in the order of image ids.
///
/// Boxes beyond the last frame are left out, with a warning that counts them and names the first.
/// @param video  its size and frames; a frame_count of 0: not known yet, so no box lies beyond the end
/// @throws Error{kInput} with file and line or field where the file cannot be read: a number is missing or not finite,
/// a
///         frame is no whole number or below 1, a box has no area, an annotation names no image or category, two images
///         are one frame; or when the file has no row or is no UTF-8 text
[[nodiscard]] Truth read_truth(const std::filesystem::path& path, const video::VideoInfo& video);

/// Reads the ground truth of several videos as one.
/// @param paths  per video
/// @throws Error{kInput} as the other read_truth() does, and when two files have different formats or classes
[[nodiscard]] Truth read_truth(std::span<const std::optional<std::string>> paths, const video::Playlist& videos);

}  // namespace repsim::verify
