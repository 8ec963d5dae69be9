#include <cstdint>

extern "C" {
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
}

#include <opencv2/core/utility.hpp>

#include "pictures.hpp"
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

std::string decoder_version() {
  const unsigned scaler = swscale_version();
  return "OpenCV " + cv::getVersionString() + ", FFmpeg " + av_version_info() + ", swscale " +
         std::to_string(AV_VERSION_MAJOR(scaler)) + "." + std::to_string(AV_VERSION_MINOR(scaler)) + "." +
         std::to_string(AV_VERSION_MICRO(scaler));
}

void check_readable(const std::filesystem::path& path) {
  const std::unique_ptr<Reader> reader = open_reader(path);
  (void)first_frame(*reader, path);
}

std::string sha256_of_video(const std::filesystem::path& path, Progress& progress) {
  const auto pictures = find_pictures(path);
  return pictures ? sha256_of_pictures(*pictures, progress) : sha256_of_file(path, progress);
}

VideoInfo probe(const std::filesystem::path& path, Progress& progress) {
  const std::unique_ptr<Reader> reader = open_reader(path);
  progress.begin("count frames", reader->announced_frames());
  const cv::Mat first = first_frame(*reader, path);
  VideoInfo info;
  info.path = path.string();
  info.width = first.cols;
  info.height = first.rows;
  info.sha256 = sha256_of_video(path, progress);
  if (const auto pictures = find_pictures(path)) {
    for (const std::filesystem::path& picture : pictures->pictures) {
      info.pictures.push_back(picture.filename().string());
    }
  }
  do {
    reader->check();
    progress.step();
  } while (reader->next());
  progress.end();
  info.frame_count = reader->index() + 1;
  reader->log_findings();
  // Estimates from duration and rate are off by a frame or two; a larger difference means that the file is cut short.
  const std::int64_t announced = reader->announced_frames();
  if (info.frame_count < announced - announced / 20) {
    log::warn(info.path + ": " + std::to_string(announced) + " frames are announced, " +
              std::to_string(info.frame_count) + " decode: these are used");
  }
  return info;
}

}  // namespace repsim::video
