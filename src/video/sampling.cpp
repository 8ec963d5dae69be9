#include <algorithm>
#include <cmath>
#include <optional>

#include "repsim/base/error.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

std::int64_t holdout_frames(std::int64_t count, double holdout) {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(count) * holdout));
}

/// If this is true for a count, it is true for all larger ones: one frame more adds at most one to the hold-out.
bool enough(std::int64_t count, double holdout) { return count - holdout_frames(count, holdout) >= kMinibatchFrames; }

/// The smallest number of frames that leaves a minibatch for calibration, if there is one up to `most`.
std::optional<std::int64_t> fewest(double holdout, std::int64_t most) {
  for (std::int64_t count = kMinibatchFrames + 1; count <= most; ++count) {
    if (enough(count, holdout)) return count;
  }
  return std::nullopt;
}

}  // namespace

Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout) {
  if (!(holdout > 0 && holdout < 1)) {
    throw input_error("the hold-out part must be above 0 and below 1", "holdout", "--holdout 0.3");
  }
  const std::string available = "the video has " + std::to_string(video.frame_count) + " frames";
  const auto least = fewest(holdout, video.frame_count);
  if (!least) {
    throw input_error(
        available + ", too few for a minibatch of 16 to calibrate beside a hold-out part of " + std::to_string(holdout),
        video.path, "take a longer video" + std::string(holdout > 0.3 ? " or a smaller --holdout" : ""));
  }
  if (count > video.frame_count) {
    throw input_error(available + ", fewer than the " + std::to_string(count) + " asked for", video.path,
                      "--frames " + std::to_string(video.frame_count) + " or fewer");
  }
  if (count < *least) {
    throw input_error(std::to_string(count) + " frames leave fewer than 16 (one minibatch) to calibrate", video.path,
                      "--frames " + std::to_string(*least) + " or more");
  }
  const std::int64_t calibration = count - holdout_frames(count, holdout);
  Sampling sampling;
  for (std::int64_t i = 0; i < count; ++i) {
    auto& part = i < calibration ? sampling.calibration : sampling.holdout;
    part.push_back(i * video.frame_count / count);
  }
  return sampling;
}

}  // namespace repsim::video
