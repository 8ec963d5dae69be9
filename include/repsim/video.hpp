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

/// Keeps OpenCV and its FFmpeg from writing to stderr: damaged videos make them print a line per block. Process-wide,
/// so a program calls it, once and before it opens its first video; this library never does.
void silence_opencv();

/// What decodes and resizes frames: "OpenCV 4.6.0, FFmpeg 5.1.6". Other versions may give other pixels.
[[nodiscard]] std::string decoder_version();

struct VideoInfo {
  std::string path;
  std::string sha256;                  ///< of the file
  std::int64_t frame_count = 0;        ///< frames that really decode, counted by decoding
  std::int64_t width = 0, height = 0;  ///< pixels
};

/// Opens the video, hashes it and counts its frames by decoding all of them (containers lie).
/// @throws Error{kInput} naming the path: missing, empty, no video, no frame, a frame whose size is not the first
/// one's; Error{kInterrupted} Cost: two reads of the file and one decoding pass; two for codecs whose frame sizes no
/// header tells.
[[nodiscard]] VideoInfo probe(const std::filesystem::path& path, Progress& progress);

/// Cheap part of probe for the checks that come before any work: the file exists and its first frame decodes.
/// @throws Error{kInput} as probe does
void check_readable(const std::filesystem::path& path);

struct Sampling {
  std::vector<std::int64_t> calibration;  ///< ascending frame indices, from 0
  std::vector<std::int64_t> holdout;      ///< ascending, all later than the last calibration frame
};

/// Frames of one minibatch of the similarity signature (design: whole ones only).
inline constexpr std::int64_t kMinibatchFrames = 16;

/// `count` frames with a uniform stride over the whole video (the i-th is i * frame_count / count, rounded down); the
/// last round(count * holdout) of them, at least one, judge, the others calibrate.
/// @param holdout  in (0, 1)
/// @throws Error{kInput} when the video has fewer than `count` frames, or when fewer than 16 calibration frames (one
/// minibatch) would be left; the remedy names a --frames that works, where there is one
[[nodiscard]] Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout);

/// Small known changes of the decoded frame, before it is resized: the baselines of fidelity.
enum class Perturbation {
  kNone,
  kJpeg95,         ///< compressed as JPEG of quality 95 and read again
  kJpeg80,         ///< of quality 80
  kShiftOnePixel,  ///< moved to the right, the first column is there twice
};
[[nodiscard]] const char* to_string(Perturbation perturbation);  ///< "none", "jpeg-95", "jpeg-80", "shift-1px"

/// Frames of one video, resized and ordered for one input geometry, 8 bits per channel, in the system's page cache: an
/// unlinked file in the folder for temporary files (TMPDIR), mapped. The process's memory does not grow with the number
/// of frames: pages are there while they are read or written.
class FrameStore {
 public:
  /// Reserves frames * height * width * 3 bytes, zeros. @throws Error{kInput} when the folder for temporary files has
  /// not that much space or cannot be written, or when the spec's sizes, pad or std are out of range, or when it
  /// wants scaled bytes
  FrameStore(std::vector<std::int64_t> frames, const model::InputSpec& spec);
  ~FrameStore();
  FrameStore(FrameStore&&) noexcept;
  FrameStore& operator=(FrameStore&&) noexcept;

  /// Indices in the video of the stored frames.
  [[nodiscard]] const std::vector<std::int64_t>& frames() const;
  [[nodiscard]] std::int64_t size() const;
  [[nodiscard]] const model::InputSpec& spec() const;
  /// Writes the preprocessed frames at `positions` (0..size-1) to `out`: float32, [positions, 3, height, width]
  /// contiguous, whatever the spec's layout and dtype. Computed as torch does it: x = pixel / 255 in float32 when
  /// `scale` is the double nearest to 1/255 (so that it is bit-identical to uint8.float() / 255), else pixel * scale in
  /// float64 rounded to float32; then (x - mean) / std in float32.
  void preprocess(std::span<const std::int64_t> positions, float* out) const;
  /// The stored pixels of one frame: height*width*3 bytes, channels in the spec's order.
  [[nodiscard]] std::span<const std::uint8_t> pixels(std::int64_t position) const;
  [[nodiscard]] std::span<std::uint8_t> pixels(std::int64_t position);
  /// The frames at these positions, not copied: the same pixels as here.
  [[nodiscard]] FrameStore some(std::span<const std::int64_t> positions) const;
  /// Takes these frames' pages out of the process's memory; they stay in the file and come back when they are read.
  /// preprocess() and decode() do that with what they have done with.
  void release(std::span<const std::int64_t> positions) const;

 private:
  struct Impl;
  explicit FrameStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What one store holds.
struct Request {
  std::vector<std::int64_t> frames;  ///< ascending, from 0
  model::InputSpec spec;
  Perturbation perturbation = Perturbation::kNone;
};

/// One decoding pass over the video fills all stores, in the order of the requests.
/// @throws Error{kInput} when the video ends early, or when a wanted frame does not decode or has another size than the
/// first: names the frame; Error{kInterrupted}
[[nodiscard]] std::vector<FrameStore> decode(const VideoInfo& video, std::span<const Request> requests,
                                             Progress& progress);

/// decode() of which some requests are complete at once, while the others are decoded in a thread behind other work.
class DecodeBehind {
 public:
  /// Decodes until `first` is complete, one pass for both; `later` may want frames among those.
  /// @throws as decode() does
  DecodeBehind(const VideoInfo& video, std::span<const Request> first, std::span<const Request> later,
               Progress& progress);
  /// Gives up what is not decoded yet.
  ~DecodeBehind();
  DecodeBehind(const DecodeBehind&) = delete;
  DecodeBehind& operator=(const DecodeBehind&) = delete;

  /// In the order of the requests; to be taken once.
  [[nodiscard]] std::vector<FrameStore> first();
  /// Waits for them; to be taken once. @throws as decode() does
  [[nodiscard]] std::vector<FrameStore> later(Progress& progress);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Maps a point of the model's input (relative, 0..1) to the video frame (relative, 0..1): inverse of the resize. 0 and
/// 1 are the outer edges of the outer pixels. Letterbox borders map to outside of 0..1.
struct AffineMap {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;  ///< frame = scale * input + offset

  friend bool operator==(const AffineMap&, const AffineMap&) = default;
};
[[nodiscard]] AffineMap input_to_frame(const model::InputSpec& spec, std::int64_t frame_width,
                                       std::int64_t frame_height);

}  // namespace repsim::video
