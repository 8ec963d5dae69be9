#include "reader.hpp"

#include <unistd.h>

extern "C" {
#include <libavutil/log.h>
}

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/videoio/registry.hpp>

#include "repsim/base/posix.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRemedy = "check it with ffprobe, or convert it: ffmpeg -i INPUT -c:v libx264 OUTPUT.mp4";

/// The number of damaged frames in a row that the reader can tell from the end of the video.
constexpr int kAttemptsBeyondDamage = 64;

/// Says why the file cannot be opened, where OpenCV would only say that it cannot.
void check_file(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) throw system_error("no video", path, failed ? failed.value() : ENOENT);
  if (!fs::is_regular_file(status)) throw input_error("is no regular file", path.string(), "name a video file");
  if (fs::file_size(path, failed) == 0 && !failed) throw input_error("the file is empty", path.string(), kRemedy);
  if (::access(path.c_str(), R_OK) != 0) throw system_error("cannot be read", path, errno);
}

/// The backends to try: FFmpeg alone where it is available. Others take a path as a device, a pipeline or a pattern of
/// image files.
int backend() {
  const auto all = cv::videoio_registry::getStreamBackends();
  const bool ffmpeg = std::find(all.begin(), all.end(), cv::CAP_FFMPEG) != all.end();
  return ffmpeg ? cv::CAP_FFMPEG : cv::CAP_ANY;
}

}  // namespace

void silence_opencv() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  // OpenCV sets FFmpeg's level when it opens its first video, and asks this variable for it; a value that the user set
  // stays. Until then FFmpeg itself is told.
  if (std::getenv("OPENCV_FFMPEG_LOGLEVEL") != nullptr) return;
  ::setenv("OPENCV_FFMPEG_LOGLEVEL", std::to_string(AV_LOG_QUIET).c_str(), 0);
  av_log_set_level(AV_LOG_QUIET);
}

Reader::Reader(const fs::path& path) : path_(path.string()) {
  check_file(path);
  try {
    // "concat:a.avi" would be a protocol, not a file.
    capture_.open(rooted_path(path).string(), backend());
    // FFmpeg draws text files as a terminal would show them, and calls that a video.
    if (static_cast<int>(capture_.get(cv::CAP_PROP_FOURCC)) == cv::VideoWriter::fourcc('a', 'n', 's', 'i')) {
      capture_.release();
    }
  } catch (const cv::Exception& error) {
    throw input_error("cannot be opened as a video: " + error.err, path_, kRemedy);
  }
  if (!capture_.isOpened()) throw input_error("is no video that OpenCV can decode", path_, kRemedy);
}

bool Reader::next() {
  try {
    if (!capture_.grab()) {
      // A damaged frame looks like the end; at the end, though, nothing more comes.
      for (int attempt = 0; attempt < kAttemptsBeyondDamage; ++attempt) {
        if (capture_.grab()) throw frame_error(index_ + 1, "cannot be decoded, but frames after it can");
      }
      return false;
    }
  } catch (const cv::Exception& error) {
    throw frame_error(index_ + 1, "cannot be decoded: " + error.err);
  }
  ++index_;
  return true;
}

cv::Mat Reader::frame() {
  cv::Mat image;
  try {
    if (!capture_.retrieve(image)) image.release();
  } catch (const cv::Exception& error) {
    throw frame_error(index_, "cannot be decoded: " + error.err);
  }
  if (image.empty() || image.type() != CV_8UC3) throw frame_error(index_, "cannot be decoded");
  return image;
}

std::int64_t Reader::announced_frames() const {
  constexpr double kMost = 1e12;  // some containers say the largest integer when they mean that they do not know
  const double announced = capture_.get(cv::CAP_PROP_FRAME_COUNT);
  return announced > 0 && announced < kMost ? static_cast<std::int64_t>(announced) : 0;
}

Error Reader::frame_error(std::int64_t index, const std::string& problem) const {
  return input_error(problem, path_ + ": frame " + std::to_string(index), kRemedy);
}

}  // namespace repsim::video
