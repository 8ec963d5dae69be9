#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim::video {

struct FrameIndex;

/// A video, frame after frame: a file, or pictures in a folder.
class Reader {
 public:
  virtual ~Reader() = default;
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Goes on to the next frame; false at the end.
  /// @throws Error{kInput} naming a damaged frame, if more frames follow, or a frame of another size than the first
  [[nodiscard]] bool next() {
    if (!advance()) return false;
    ++index_;
    return true;
  }
  /// Index of the frame that next() went to, from 0; -1 before the first.
  [[nodiscard]] std::int64_t index() const { return index_; }
  /// Gives up the frames up to one before `frame` where that is cheaper than decoding them: next() may then go to a
  /// frame between the current one and this one. The frames that come are those of reading from the start. If the file
  /// turns out to have no way there, the reader begins again, at -1.
  virtual void go_near(std::int64_t /*frame*/) {}
  /// What go_near() needs; without it, it does nothing. Before the first frame, or at it.
  virtual void use(const std::shared_ptr<const FrameIndex>& /*index*/) {}
  /// The time of the current frame, in units of the file. kNoTime: it has none.
  [[nodiscard]] virtual std::int64_t time() const { return kNoTime; }
  static constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();
  /// Throws what frame() would throw, without the cost of converting pixels where that shows nothing.
  virtual void check() {}
  /// The frame that next() went to, upright: 8 bits, BGR. @throws Error{kInput} naming the frame
  [[nodiscard]] virtual cv::Mat frame() = 0;
  /// The number of frames as the container states it; 0 when it states none, or an impossible one.
  [[nodiscard]] virtual std::int64_t announced_frames() const = 0;
  /// How many frames are shown in a second; 0 when the container does not state it.
  [[nodiscard]] virtual double frames_per_second() const = 0;
  /// Logs how the video was read so far, where a user may want to know. To be called once, at the end.
  virtual void log_findings() const = 0;
  /// An Error{kInput} about a frame.
  [[nodiscard]] virtual Error frame_error(std::int64_t index, const std::string& problem) const = 0;

 protected:
  /// next() will go to the frame behind this one.
  void set_index(std::int64_t index) { index_ = index; }

 private:
  [[nodiscard]] virtual bool advance() = 0;

  std::int64_t index_ = -1;
};

/// Opens a file, a folder of pictures or a numbered sequence of them. Exceptions of OpenCV become Error{kInput}.
/// @throws Error{kInput} when the path names none of these, or is empty, or no video
[[nodiscard]] std::unique_ptr<Reader> open_reader(const std::filesystem::path& path);

/// Opens a file. @throws Error{kInput} as open_reader() does
[[nodiscard]] std::unique_ptr<Reader> open_file(const std::filesystem::path& path);

}  // namespace repsim::video
