extern "C" {
#include <libavutil/avutil.h>
}

#include <opencv2/core/utility.hpp>

#include "frame_sizes.hpp"
#include "reader.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

/// The first frame; all frames have its size.
cv::Mat first_frame(Reader& reader, const std::filesystem::path& path) {
  if (!reader.next()) throw input_error("no frame of the video can be decoded", path.string(), "name another video");
  return reader.frame();
}

}  // namespace

std::string decoder_version() { return "OpenCV " + cv::getVersionString() + ", FFmpeg " + av_version_info(); }

void check_readable(const std::filesystem::path& path) {
  Reader reader(path);
  SilentProgress silent;
  check_frame_sizes(path, silent, 1);
  (void)first_frame(reader, path);
}

VideoInfo probe(const std::filesystem::path& path, Progress& progress) {
  Reader reader(path);
  const std::int64_t announced = reader.announced_frames();
  progress.begin("count frames", announced);
  check_frame_sizes(path, progress);
  const cv::Mat first = first_frame(reader, path);
  VideoInfo info;
  info.path = path.string();
  info.width = first.cols;
  info.height = first.rows;
  info.sha256 = sha256_of_file(path, progress);
  do {
    progress.step();
  } while (reader.next());
  progress.end();
  info.frame_count = reader.index() + 1;
  // Estimates from duration and rate are off by a frame or two; a larger difference means that the file is cut short.
  if (info.frame_count < announced - announced / 20) {
    log::warn(info.path + ": " + std::to_string(announced) + " frames are announced, " +
              std::to_string(info.frame_count) + " decode: these are used");
  }
  return info;
}

}  // namespace repsim::video
