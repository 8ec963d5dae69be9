#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/model_spec.hpp"

/// Frames of a video: counting, sampling, decoding and preprocessing.
namespace repsim::video {

/// Keeps OpenCV and FFmpeg from writing to stderr: for damaged videos they print a line per block. The setting is
/// process-wide, so the program calls this function once, before it opens its first video; the library never does. The
/// environment variable OPENCV_FFMPEG_LOGLEVEL (a number) brings FFmpeg's messages back.
void silence_opencv();

/// The libraries that decode and resize frames: "OpenCV 4.6.0, FFmpeg 5.1.6, swscale 6.7.100". Other versions may give
/// other pixels.
[[nodiscard]] std::string decoder_version();

struct FrameIndex;

/// What probe() finds. A video is a file, or pictures: a folder of them, or a numbered sequence ("shot/img_%03d.png").
struct VideoInfo {
  std::string path;
  std::string sha256;                  ///< as sha256_of_video() gives it
  std::int64_t frame_count = 0;        ///< frames that decode; each once, however long it is shown
  std::int64_t width = 0, height = 0;  ///< pixels of the upright frame
  std::vector<std::string> pictures;   ///< file names in order, if the video consists of pictures
  std::shared_ptr<const FrameIndex> index =
      nullptr;  ///< of a long file: decode() skips what nobody asks for; none: it does not
};

/// Files that announce so many frames or more are long.
inline constexpr std::int64_t kLongVideo = 5000;

/// Opens the video, hashes it and counts its frames by decoding all of them, since containers may state a wrong number.
/// Of a long file it reads all packets instead, and decodes the beginning and the end: the index of the frames is the
/// same (docs/video.md says for which files). Damage between goes unnoticed until decode() comes there.
/// Logs how the video is read where that is not plain: which of several streams, how frames are turned, what is left
/// out. Frames are turned upright as the container asks of players; of several video streams the default one is read,
/// else the largest; frames before the first one that decodes do not count.
/// Cost: two reads of the file and, unless it is long, one decoding pass.
/// @param long_video  announced frames from which on a file is long
/// @throws Error{kInput} naming the path when it is missing, empty or no video, when it has no frame, when a frame is
///         damaged and more follow, or when a frame has another size than the first; Error{kInterrupted}
[[nodiscard]] VideoInfo probe(const std::filesystem::path& path, Progress& progress,
                              std::int64_t long_video = kLongVideo);

/// A cheap check before any work: the video exists and its first frame decodes.
/// @throws Error{kInput} as probe() does
void check_readable(const std::filesystem::path& path);

/// SHA-256 of a video file. Of pictures: of their own SHA-256, as text one after the other in order.
/// @throws Error{kInput} naming what cannot be read; Error{kInterrupted}
[[nodiscard]] std::string sha256_of_video(const std::filesystem::path& path, Progress& progress);

/// The frames of a run.
struct Sampling {
  std::vector<std::int64_t> calibration;  ///< ascending frame indices, from 0
  std::vector<std::int64_t> holdout;      ///< ascending, all later than the last calibration frame
};

/// Frames of one minibatch of a signature.
inline constexpr std::int64_t kMinibatchFrames = 16;

/// Samples `count` frames with a uniform stride over the whole video: the i-th is i * frame_count / count, rounded
/// down. The last round(count * holdout) of them, at least one, are hold-out frames, the others calibration frames.
/// @param holdout  in (0, 1)
/// @throws Error{kInput} when the video has fewer than `count` frames, or when fewer than 16 calibration frames (one
///         minibatch) would be left; the remedy names a --frames that works, where there is one
[[nodiscard]] Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout);

/// Small known changes of the decoded frame, before it is resized. Fidelity under them is its baseline.
enum class Perturbation {
  kNone,
  kJpeg95,         ///< compressed as JPEG of quality 95 and decoded again
  kJpeg80,         ///< compressed as JPEG of quality 80 and decoded again
  kShiftOnePixel,  ///< moved to the right by one pixel; the first column stands twice
};
[[nodiscard]] const char* to_string(Perturbation perturbation);  ///< "none", "jpeg-95", "jpeg-80", "shift-1px"

/// Frames of one video, resized and ordered for one input geometry, 8 bits per channel. They lie in an unlinked file in
/// the folder for temporary files (TMPDIR), mapped into memory, so that the process's memory does not grow with the
/// number of frames: a page is in memory only while something reads or writes it.
class FrameStore {
 public:
  /// Reserves frames * height * width * 3 bytes, zeros.
  /// @throws Error{kInput} when the folder for temporary files cannot be written or has too little space, when sizes,
  ///         pad or std of the spec are out of range, or when the spec asks for scaled bytes
  FrameStore(std::vector<std::int64_t> frames, const model::InputSpec& spec);
  ~FrameStore();
  FrameStore(FrameStore&&) noexcept;
  FrameStore& operator=(FrameStore&&) noexcept;

  /// Indices in the video of the stored frames.
  [[nodiscard]] const std::vector<std::int64_t>& frames() const;
  /// The number of stored frames.
  [[nodiscard]] std::int64_t size() const;
  [[nodiscard]] const model::InputSpec& spec() const;
  /// Writes the preprocessed frames at `positions` (0..size-1) to `out`: float32, [positions, 3, height, width]
  /// contiguous, whatever the spec's layout and dtype. The arithmetic is torch's: x = pixel / 255 in float32 when
  /// `scale` is the double nearest to 1/255 (bit-identical to uint8.float() / 255), else pixel * scale in float64,
  /// rounded to float32; then (x - mean) / std in float32.
  void preprocess(std::span<const std::int64_t> positions, float* out) const;
  /// The stored pixels of one frame: height*width*3 bytes, channels in the spec's order.
  [[nodiscard]] std::span<const std::uint8_t> pixels(std::int64_t position) const;
  [[nodiscard]] std::span<std::uint8_t> pixels(std::int64_t position);
  /// A store of the frames at these positions. It shares their pixels with this one.
  [[nodiscard]] FrameStore some(std::span<const std::int64_t> positions) const;
  /// Takes these frames' pages out of the process's memory. They stay in the file and come back when something reads
  /// them. preprocess() and decode() release the frames that they are done with.
  void release(std::span<const std::int64_t> positions) const;

 private:
  struct Impl;
  explicit FrameStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The content of one store.
struct Request {
  std::vector<std::int64_t> frames;  ///< ascending, from 0
  model::InputSpec spec;
  Perturbation perturbation = Perturbation::kNone;
};

/// Fills one store per request, in one decoding pass over the video; of a long file over the parts that are needed.
/// @return the stores, in the order of the requests
/// @throws Error{kInput} naming the frame when the video ends early or when a wanted frame does not decode or has
/// another
///         size than the first; Error{kInterrupted}
[[nodiscard]] std::vector<FrameStore> decode(const VideoInfo& video, std::span<const Request> requests,
                                             Progress& progress);

/// Decodes in two steps: the constructor fills the stores of some requests, then a background thread fills the others
/// while the caller works.
class DecodeBehind {
 public:
  /// Decodes until the stores of `first` are full. There is one decoding pass for both lists, so `later` may ask for
  /// frames that `first` asks for, too.
  /// @throws as decode() does
  DecodeBehind(const VideoInfo& video, std::span<const Request> first, std::span<const Request> later,
               Progress& progress);
  /// Stops the background thread; frames that are not decoded yet are given up.
  ~DecodeBehind();
  DecodeBehind(const DecodeBehind&) = delete;
  DecodeBehind& operator=(const DecodeBehind&) = delete;

  /// The stores of `first`, in the order of the requests. To be called once.
  [[nodiscard]] std::vector<FrameStore> first();
  /// Waits for the stores of `later` and returns them, in the order of the requests. To be called once.
  /// @throws as decode() does
  [[nodiscard]] std::vector<FrameStore> later(Progress& progress);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// From points of a model's input to points of the video frame: the inverse of the resize. Both are relative; 0 and 1
/// are the outer edges of the outer pixels. Letterbox borders map to points outside of 0..1.
struct AffineMap {
  double scale_x = 1, scale_y = 1, offset_x = 0, offset_y = 0;  ///< frame = scale * input + offset

  friend bool operator==(const AffineMap&, const AffineMap&) = default;
};
[[nodiscard]] AffineMap input_to_frame(const model::InputSpec& spec, std::int64_t frame_width,
                                       std::int64_t frame_height);

}  // namespace repsim::video
