#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::video {

struct VideoInfo {
  std::string path;
  std::string sha256;           ///< of the file
  std::int64_t frame_count = 0; ///< frames that really decode, counted by decoding
  std::int64_t width = 0, height = 0;  ///< pixels
};

/// Opens the video and counts its frames by decoding all of them (containers lie).
/// @throws Error{kInput} naming the path: missing, no video, no frame
[[nodiscard]] VideoInfo probe(const std::filesystem::path& path, Progress& progress);

/// Cheap part of probe for the checks that come before any work: the file exists and its first frame decodes.
void check_readable(const std::filesystem::path& path);

struct Sampling {
  std::vector<std::int64_t> calibration;  ///< ascending frame indices, from 0
  std::vector<std::int64_t> holdout;      ///< ascending, all later than the last calibration frame
};

/// Frames of one minibatch of the similarity signature (design: whole ones only).
inline constexpr std::int64_t kMinibatchFrames = 16;

/// `count` frames with a uniform stride over the whole video; the first 1-holdout of them calibrate, the others judge.
/// @throws Error{kInput} when the video has fewer than `count` frames (remedy names --frames), or when fewer than 16
/// calibration frames (one minibatch) or no hold-out frame would be left.
[[nodiscard]] Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout);

/// Small known changes of a frame, the yardsticks of fidelity (design §5).
enum class Perturbation { kNone, kJpeg95, kJpeg80, kShiftOnePixel };
[[nodiscard]] const char* to_string(Perturbation);  ///< "none", "jpeg-95", "jpeg-80", "shift-1px"

/// Frames of one video, resized and ordered for one input geometry, 8 bits per channel, in the system's page cache:
/// an unlinked temporary file, mapped. Memory of the process does not grow with the number of frames.
class FrameStore {
 public:
  FrameStore(std::vector<std::int64_t> frames, const model::InputSpec& spec);
  ~FrameStore();
  FrameStore(FrameStore&&) noexcept;
  FrameStore& operator=(FrameStore&&) noexcept;

  /// Indices in the video of the stored frames.
  [[nodiscard]] const std::vector<std::int64_t>& frames() const;
  [[nodiscard]] std::int64_t size() const;
  [[nodiscard]] const model::InputSpec& spec() const;
  /// Writes the preprocessed frames at `positions` (0..size) to `out`: float32, [positions, 3, height, width] contiguous.
  void preprocess(std::span<const std::int64_t> positions, float* out) const;
  /// The stored pixels of one frame: height*width*3 bytes, channels in the spec's order.
  [[nodiscard]] std::span<const std::uint8_t> pixels(std::int64_t position) const;
  [[nodiscard]] std::span<std::uint8_t> pixels(std::int64_t position);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What one store holds.
struct Request {
  std::vector<std::int64_t> frames;  ///< ascending
  model::InputSpec spec;
  Perturbation perturbation = Perturbation::kNone;
};

/// One decoding pass over the video fills all stores, in the order of the requests.
/// @throws Error{kInput} when the video ends early, Error{kInterrupted}
[[nodiscard]] std::vector<FrameStore> decode(const VideoInfo& video, std::span<const Request> requests, Progress& progress);

/// Maps a point of the model's input (relative, 0..1) to the video frame (relative, 0..1): inverse of the resize.
struct AffineMap {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;  ///< frame = scale * input + offset
};
[[nodiscard]] AffineMap input_to_frame(const model::InputSpec& spec, std::int64_t frame_width, std::int64_t frame_height);

}  // namespace repsim::video
