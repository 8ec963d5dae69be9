#include <cstdint>

extern "C" {
#include <libavutil/avutil.h>
#include <libswscale/swscale.h>
}

#include <opencv2/core/utility.hpp>
#include <opencv2/imgcodecs.hpp>

#include "frame_index.hpp"
#include "pictures.hpp"
#include "reader.hpp"
#include "repsim/base/crash_note.hpp"
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

/// Counts the frames by decoding those that `reader` has not read yet.
void count_by_decoding(Reader& reader, Progress& progress) {
  do {
    reader.check();
    progress.step();
  } while (reader.next());
}

/// Counts the frames of a long file by its packets, and decodes its end, which may be cut off.
/// @param reader  at the first frame; afterwards at the end, or, where there is no index, where the rest can be counted
/// @return the index, with the number of frames; none: the frames have to be decoded to count them
std::shared_ptr<const FrameIndex> count_by_packets(const std::filesystem::path& path, std::unique_ptr<Reader>& reader,
                                                   Progress& progress) {
  IndexOrReason found = read_frame_index(path, reader->time(), progress);
  if (found.index) {
    reader->use(found.index);
    reader->go_near(found.index->frame_count - 1);
    if (reader->index() >= 0) {
      while (reader->next()) progress.step(0);
      if (reader->index() < found.index->frame_count) {
        found.index->frame_count = reader->index() + 1;
        return found.index;
      }
      reader = open_reader(path);
      static_cast<void>(reader->next());
      found.reason = "its end has more frames than packets";
    } else {
      found.reason = "the way to its end is not in the file";
    }
  }
  log::debug(path.string() + ": all frames are decoded: " + found.reason);
  return nullptr;
}

/// GDAL, which OpenCV loads, aborts where memory ends; decoders read what strangers wrote.
CrashNote note_of_reading(const std::filesystem::path& path) {
  return {"OpenCV and FFmpeg read this video", path.string(),
          "play it with FFmpeg: if that crashes too, convert it; where memory is short: a higher limit (ulimit -v)"};
}

}  // namespace

std::string decoder_version() {
  const unsigned scaler = swscale_version();
  return "OpenCV " + cv::getVersionString() + ", FFmpeg " + av_version_info() + ", swscale " +
         std::to_string(AV_VERSION_MAJOR(scaler)) + "." + std::to_string(AV_VERSION_MINOR(scaler)) + "." +
         std::to_string(AV_VERSION_MICRO(scaler));
}

void check_readable(const std::filesystem::path& path) {
  const CrashNote note = note_of_reading(path);
  const std::unique_ptr<Reader> reader = open_reader(path);
  (void)first_frame(*reader, path);
}

std::string sha256_of_video(const std::filesystem::path& path, Progress& progress) {
  const auto pictures = find_pictures(path);
  return pictures ? sha256_of_pictures(*pictures, progress) : sha256_of_file(path, progress);
}

VideoInfo probe(const std::filesystem::path& path, Progress& progress, std::int64_t long_video) {
  const CrashNote note = note_of_reading(path);
  // OpenCV sets up its codecs when the first picture is read or written: here, where a crash of theirs has a name.
  static_cast<void>(cv::haveImageWriter(".jpg"));
  std::unique_ptr<Reader> reader = open_reader(path);
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
  if (info.pictures.empty() && reader->announced_frames() >= long_video)
    info.index = count_by_packets(path, reader, progress);
  if (info.index) {
    info.frame_count = info.index->frame_count;
  } else {
    count_by_decoding(*reader, progress);
    info.frame_count = reader->index() + 1;
  }
  progress.end();
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
