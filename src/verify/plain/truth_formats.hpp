#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "repsim/truth.hpp"

namespace repsim::verify {

/// Boxes beyond the end of the video, which are left out.
struct BeyondTheEnd {
  std::int64_t boxes = 0;
  std::string first;  ///< where the first of them stands: "line 7", "annotations[3]"
};

/// The text of a truth file, as read_truth() describes it.
/// @param file  its name in errors
[[nodiscard]] Truth parse_motchallenge(std::string_view text, const std::string& file, const video::VideoInfo& video,
                                       BeyondTheEnd& beyond);
[[nodiscard]] Truth parse_coco(const std::string& text, const std::string& file, const video::VideoInfo& video,
                               BeyondTheEnd& beyond);

}  // namespace repsim::verify
