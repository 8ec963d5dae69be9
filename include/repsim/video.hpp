#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/video_source.hpp"

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

/// One of the videos of a playlist.
struct PlaylistVideo {
  VideoInfo info;
  std::string name = {};   ///< unique in the playlist
  double weight = 1;       ///< see VideoSource
  std::int64_t first = 0;  ///< number of its first frame in the playlist; Playlist sets it
};

/// The videos of a job, one after the other. Frame numbers count through all of them; with one video they are the
/// indices in that video.
class Playlist {
 public:
  Playlist() = default;
  /// @param only  a video is a playlist of one; a video without a path is no video
  Playlist(VideoInfo only);  // NOLINT(google-explicit-constructor): so that a single video can stand for a playlist
  explicit Playlist(std::vector<PlaylistVideo> videos);

  [[nodiscard]] const std::vector<PlaylistVideo>& videos() const { return videos_; }
  [[nodiscard]] bool empty() const { return videos_.empty(); }
  [[nodiscard]] bool has_several() const { return videos_.size() > 1; }
  [[nodiscard]] std::int64_t frame_count() const;  ///< of all videos together

  /// A frame of a playlist as the video that it belongs to, and its index there.
  struct Place {
    std::size_t video = 0;
    std::int64_t frame = 0;
  };
  /// @param frame  0 to frame_count() - 1
  [[nodiscard]] Place place_of(std::int64_t frame) const;
  /// How many of these frames each video has: one number per video.
  /// @param frames  ascending
  [[nodiscard]] std::vector<std::int64_t> counts_of(std::span<const std::int64_t> frames) const;

  /// The path of a single video; of several, their paths with ", " between them. Empty without a video.
  [[nodiscard]] std::string path() const;
  /// The SHA-256 of a single video; of several, sha256_of_hashes(). Empty without a video.
  [[nodiscard]] std::string sha256() const;

 private:
  std::vector<PlaylistVideo> videos_;
};

/// What stands for several videos: the SHA-256 of their SHA-256 in their order, a line each, under a line "videos". Of
/// one: that one itself.
[[nodiscard]] std::string sha256_of_hashes(std::span<const std::string> hashes);

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

/// Probes the videos of a job. @throws Error{kInput} as probe() does, and when two videos have the same content
[[nodiscard]] Playlist open_playlist(std::span<const VideoSource> sources, Progress& progress);

/// A cheap check before any work: the video exists and its first frame decodes.
/// @throws Error{kInput} as probe() does
void check_readable(const std::filesystem::path& path);

/// SHA-256 of a video file. Of pictures: of their own SHA-256, as text one after the other in order.
/// @throws Error{kInput} naming what cannot be read; Error{kInterrupted}
[[nodiscard]] std::string sha256_of_video(const std::filesystem::path& path, Progress& progress);

/// The frames of a run.
struct Sampling {
  std::vector<std::int64_t> calibration;  ///< ascending frame numbers, from 0
  std::vector<std::int64_t> holdout;      ///< ascending, in each video later than its last calibration frame
};

/// Frames of one minibatch of a signature.
inline constexpr std::int64_t kMinibatchFrames = 16;

/// Samples `count` frames with a uniform stride over the whole video: the i-th is i * frame_count / count, rounded
/// down. The last round(count * holdout) of them, at least one, are hold-out frames, the others calibration frames.
/// @param holdout  in (0, 1)
/// @throws Error{kInput} when the video has fewer than `count` frames, or when fewer than 16 calibration frames (one
///         minibatch) would be left; the remedy names a --frames that works, where there is one
[[nodiscard]] Sampling sample_frames(const VideoInfo& video, std::int64_t count, double holdout);

/// The fewest frames that sample_frames() draws from one of several videos, so that each has some for every part.
inline constexpr std::int64_t kFewestPerVideo = 4;

/// Divides `count` frames among the videos of a playlist by their numbers of frames times their weights, and samples
/// each video for itself as the other sample_frames() does. So each video has its own calibration frames and, later in
/// time, its own hold-out frames. No video gives more frames than it has, none fewer than kFewestPerVideo; what
/// rounding leaves goes frame by frame to the video that is furthest below its part.
/// @throws Error{kInput} as the other sample_frames() does, and when there are too few frames for so many videos
[[nodiscard]] Sampling sample_frames(const Playlist& videos, std::int64_t count, double holdout);

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

  /// Numbers of the stored frames in the playlist: of one video, indices in it.
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
  std::vector<std::int64_t> frames;  ///< ascending numbers in the playlist, from 0
  model::InputSpec spec;
  Perturbation perturbation = Perturbation::kNone;
};

/// Fills one store per request, in one decoding pass over each video that a request wants frames of; of a long file
/// over the parts that are needed.
/// @return the stores, in the order of the requests
/// @throws Error{kInput} naming the frame when the video ends early or when a wanted frame does not decode or has
///         another size than the first; Error{kInterrupted}
[[nodiscard]] std::vector<FrameStore> decode(const Playlist& videos, std::span<const Request> requests,
                                             Progress& progress);

/// Decodes in two steps: the constructor fills the stores of some requests, then a background thread fills the others
/// while the caller works.
class DecodeBehind {
 public:
  /// Decodes until the stores of `first` are full. There is one decoding pass for both lists, so `later` may ask for
  /// frames that `first` asks for, too. Videos are decoded one after the other: of several, the background thread has
  /// only frames behind the last one of `first` left.
  /// @throws as decode() does
  DecodeBehind(const Playlist& videos, std::span<const Request> first, std::span<const Request> later,
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

/// The map of all videos of a playlist; the identity without a video.
/// @throws Error{kInput} when the input shows another part of the frames of one video than of another, by half a pixel
///         of the input or more: letterboxed and cropped inputs need videos of one aspect ratio
[[nodiscard]] AffineMap input_to_frame(const model::InputSpec& spec, const Playlist& videos);

}  // namespace repsim::video
