#include "reader.hpp"

#include <unistd.h>

extern "C" {
#include <libavutil/log.h>
}

#include <cerrno>
#include <cstdlib>
#include <opencv2/core/utils/logger.hpp>

#include "container.hpp"
#include "pictures.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

/// Says why the file cannot be opened, where FFmpeg would only say that it cannot.
void check_file(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) throw system_error("no video", path, failed ? failed.value() : ENOENT);
  if (!fs::is_regular_file(status)) {
    throw input_error("is no regular file", path.string(), "name a video file, or a folder of pictures");
  }
  if (fs::file_size(path, failed) == 0 && !failed) throw input_error("the file is empty", path.string(), kVideoRemedy);
  if (::access(path.c_str(), R_OK) != 0) throw system_error("cannot be read", path, errno);
}

}  // namespace

void silence_opencv() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  // The variable with which people ask OpenCV for FFmpeg's messages.
  const char* wanted = std::getenv("OPENCV_FFMPEG_LOGLEVEL");
  av_log_set_level(wanted == nullptr ? AV_LOG_QUIET : static_cast<int>(std::strtol(wanted, nullptr, 10)));
}

std::unique_ptr<Reader> open_reader(const fs::path& path) {
  if (auto pictures = find_pictures(path)) return open_pictures(std::move(*pictures));
  check_file(path);
  return open_file(path);
}

}  // namespace repsim::video
