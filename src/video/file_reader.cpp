extern "C" {
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <opencv2/core.hpp>
#include <utility>
#include <vector>

#include "container.hpp"
#include "frame_index.hpp"
#include "reader.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

/// The number of failures in a row after which a decoder is taken to be at its end.
constexpr int kMostFailures = 1000;

struct FreeScaler {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};

struct Size {
  int width = 0, height = 0;
  bool operator==(const Size&) const = default;
  [[nodiscard]] std::string text() const { return std::to_string(width) + "x" + std::to_string(height); }
};

/// A video file. Frames come in the order in which they are shown, each once, however long it is shown.
class FileReader final : public Reader {
 public:
  explicit FileReader(const fs::path& path)
      : path_(path.string()),
        container_(open_container(path)),
        packet_(av_packet_alloc()),
        frame_(av_frame_alloc()),
        ahead_(av_frame_alloc()) {
    if (!packet_ || !frame_ || !ahead_) throw Error(ErrorKind::kInternal, "FFmpeg has no memory for a frame");
    if (container_.display) orientation_ = container_.display->orientation;
  }

  void go_near(std::int64_t frame) override;
  void use(const std::shared_ptr<const FrameIndex>& index) override { index_of_file_ = index; }
  [[nodiscard]] std::int64_t time() const override { return frame_->pts == AV_NOPTS_VALUE ? kNoTime : frame_->pts; }
  [[nodiscard]] cv::Mat frame() override;
  [[nodiscard]] std::int64_t announced_frames() const override;
  [[nodiscard]] double frames_per_second() const override;
  void log_findings() const override;

  [[nodiscard]] Error frame_error(std::int64_t index, const std::string& problem) const override {
    return input_error(problem, path_ + ": frame " + std::to_string(index), kVideoRemedy);
  }

 private:
  [[nodiscard]] bool advance() override;
  void check_resources(int result) const;
  [[nodiscard]] bool receive();
  void send();
  void begin(const AVFrame& first);
  void check_size(const AVFrame& frame) const;
  [[nodiscard]] bool find_packet(const AccessPoint& point);
  [[nodiscard]] bool find_frame(const AccessPoint& point);
  void begin_again();
  void check_time();

  std::string path_;
  std::shared_ptr<const FrameIndex> index_of_file_;  ///< none: go_near() does nothing
  std::size_t next_point_ = 0;                       ///< in the index: the first one behind the current frame
  bool has_ahead_ = false;                           ///< `ahead_` is the next frame already
  Container container_;
  Owned<AVPacket> packet_;
  Owned<AVFrame> frame_;  ///< the current one
  Owned<AVFrame> ahead_;  ///< what receive() gave
  std::unique_ptr<SwsContext, FreeScaler> scaler_;
  Orientation orientation_;
  Size size_;                             ///< of the first frame
  bool begun_ = false, flushed_ = false;  ///< a frame has been decoded; no packet is left
  std::int64_t damaged_ = 0;              ///< failures since the last frame
  std::int64_t lost_ = 0;                 ///< frames before the first one that decodes
  std::vector<std::int64_t> early_;       ///< times of the packets before the first frame
  std::int64_t cut_off_ = 0;              ///< frames that an edit list leaves out, though others need them
};

/// Memory that ran out, and a file that cannot be read, are no damage of the video: other frames would count.
/// @param result  of an FFmpeg call
void FileReader::check_resources(int result) const {
  if (result == AVERROR(ENOMEM)) throw std::bad_alloc();
  const int failure = container_.input->pb == nullptr ? 0 : container_.input->pb->error;
  if (failure < 0 && failure != AVERROR_EOF) throw system_error("cannot be read", path_, AVUNERROR(failure));
}

/// Gives the decoder the next packet of the stream, or says that there is none.
void FileReader::send() {
  while (true) {
    const int read = av_read_frame(container_.input.get(), packet_.get());
    if (read == AVERROR(EAGAIN)) continue;
    if (read < 0) {
      check_resources(read);
      flushed_ = true;
      static_cast<void>(avcodec_send_packet(container_.decoder.get(), nullptr));
      return;
    }
    // An empty packet, which stands for a repeated frame, would tell the decoder that the video ends here.
    const bool ours = packet_->stream_index == container_.stream->index && packet_->size > 0;
    if (ours) {
      const bool shown = (packet_->flags & AV_PKT_FLAG_DISCARD) == 0;
      cut_off_ += shown ? 0 : 1;
      if (!begun_ && shown && packet_->pts != AV_NOPTS_VALUE) early_.push_back(packet_->pts);
      const int sent = avcodec_send_packet(container_.decoder.get(), packet_.get());
      check_resources(sent);
      if (sent < 0) ++damaged_;
    }
    av_packet_unref(packet_.get());
    if (ours) return;
  }
}

/// Decodes one frame into `ahead_`; false at the end.
bool FileReader::receive() {
  for (int failures = 0; failures < kMostFailures;) {
    const int result = avcodec_receive_frame(container_.decoder.get(), ahead_.get());
    if (result >= 0) return true;
    if (result == AVERROR_EOF) return false;
    check_resources(result);
    if (result != AVERROR(EAGAIN)) {
      ++damaged_;
      ++failures;
    } else if (flushed_) {
      return false;
    } else {
      send();
    }
  }
  return false;
}

/// Takes from the first frame what holds for all.
void FileReader::begin(const AVFrame& first) {
  begun_ = true;
  size_ = {first.width, first.height};
  const auto before = std::count_if(early_.begin(), early_.end(), [&](std::int64_t time) {
    return first.best_effort_timestamp != AV_NOPTS_VALUE && time < first.best_effort_timestamp;
  });
  lost_ = std::max<std::int64_t>(damaged_, before);
  damaged_ = 0;
  early_ = {};
  // Raw streams carry the matrix in the frames; where the container has one, it is the one that players follow.
  const AVFrameSideData* data = av_frame_get_side_data(&first, AV_FRAME_DATA_DISPLAYMATRIX);
  if (!container_.display && data != nullptr && data->size >= 9 * sizeof(std::int32_t)) {
    container_.display = read_display_matrix(
        std::span<const std::int32_t, 9>(reinterpret_cast<const std::int32_t*>(data->data), std::size_t{9}));
    orientation_ = container_.display->orientation;
  }
}

void FileReader::check_size(const AVFrame& frame) const {
  const Size size{frame.width, frame.height};
  if (size == size_) return;
  throw input_error("has " + size.text() + " pixels, the frames before it have " + size_.text(),
                    path_ + ": frame " + std::to_string(index() + 1),
                    "bring all frames to one size: ffmpeg -i INPUT -vf scale=" + std::to_string(size_.width) + ":" +
                        std::to_string(size_.height) + " -c:v libx264 OUTPUT.mp4");
}

bool FileReader::advance() {
  if (!std::exchange(has_ahead_, false) && !receive()) return false;
  if (!begun_) begin(*ahead_);
  if (damaged_ > 0) throw frame_error(index() + 1, "cannot be decoded, but frames after it can");
  check_size(*ahead_);
  check_time();
  std::swap(frame_, ahead_);
  av_frame_unref(ahead_.get());
  return true;
}

/// Counts are right at every access point: a frame that is missing before it shows here.
void FileReader::check_time() {
  if (!index_of_file_) return;
  const std::vector<AccessPoint>& points = index_of_file_->points;
  const std::int64_t next = index() + 1;
  while (next_point_ < points.size() && points[next_point_].frame < next) ++next_point_;
  if (next_point_ == points.size() || points[next_point_].frame > next) return;
  if (ahead_->pts != points[next_point_].pts)
    throw frame_error(next, "is not the one that the file's times promise: frames before it are damaged");
}

void FileReader::go_near(std::int64_t frame) {
  if (!index_of_file_) return;
  const std::vector<AccessPoint>& points = index_of_file_->points;
  const auto behind =
      std::upper_bound(points.begin(), points.end(), frame,
                       [](std::int64_t wanted, const AccessPoint& point) { return wanted < point.frame; });
  if (behind == points.begin()) return;
  const AccessPoint& point = *std::prev(behind);
  if (point.frame < index() + kLeastGap) return;
  if (find_packet(point) && find_frame(point)) {
    set_index(point.frame - 1);
    return;
  }
  log::debug(path_ + ": the way to frame " + std::to_string(frame) +
             " is not in the file, all frames before it are decoded");
  begin_again();
}

/// Goes to the packet of an access point, and gives it to the decoder. False where the file does not lead there.
bool FileReader::find_packet(const AccessPoint& point) {
  AVFormatContext* input = container_.input.get();
  // MP4, MOV and AVI list when packets are decoded, Matroska lists when frames are shown.
  const bool lists_pts = std::strncmp(input->iformat->name, "matroska", 8) == 0 || point.dts == AV_NOPTS_VALUE;
  const std::int64_t time = lists_pts ? point.pts : point.dts;
  if (av_seek_frame(input, container_.stream->index, time, AVSEEK_FLAG_BACKWARD) < 0) return false;
  avcodec_flush_buffers(container_.decoder.get());
  flushed_ = false;
  while (true) {
    const int read = av_read_frame(input, packet_.get());
    if (read == AVERROR(EAGAIN)) continue;
    if (read < 0) {
      check_resources(read);
      return false;
    }
    const AVPacket& packet = *packet_;
    const bool ours = packet.stream_index == container_.stream->index && packet.size > 0;
    const bool is_there = ours && packet.pts == point.pts;
    const bool is_beyond = ours && packet.pts > point.pts;  // all that comes before the packet is shown before it
    if (is_there) static_cast<void>(avcodec_send_packet(container_.decoder.get(), packet_.get()));
    av_packet_unref(packet_.get());
    if (is_there || is_beyond) return is_there;
  }
}

/// Decodes the frame of an access point into `ahead_`. Frames that are shown before it, but come after it in the file,
/// may need what was not decoded.
bool FileReader::find_frame(const AccessPoint& point) {
  while (receive()) {
    if (ahead_->pts < point.pts) continue;
    has_ahead_ = ahead_->pts == point.pts;
    damaged_ = 0;
    return has_ahead_;
  }
  return false;
}

void FileReader::begin_again() {
  index_of_file_.reset();
  Container fresh = open_container(path_);
  std::swap(container_, fresh);  // the old one goes as a whole: its parts point to each other
  begun_ = flushed_ = has_ahead_ = false;
  damaged_ = lost_ = cut_off_ = 0;
  early_.clear();
  set_index(-1);
}

namespace {

/// Tells the scaler where the values of pixels lie. Of formats that do not say it by themselves (yuvj420p does) it
/// takes the narrow range of television, and a frame may say the full one.
bool set_range(SwsContext& scaler, const AVFrame& frame) {
  if (frame.color_range != AVCOL_RANGE_JPEG) return true;
  int *from = nullptr, *to = nullptr, from_full = 0, to_full = 0, brightness = 0, contrast = 0, saturation = 0;
  if (sws_getColorspaceDetails(&scaler, &from, &from_full, &to, &to_full, &brightness, &contrast, &saturation) < 0)
    return true;  // a format without ranges, such as RGB
  return from_full == 1 ||
         sws_setColorspaceDetails(&scaler, from, 1, to, to_full, brightness, contrast, saturation) >= 0;
}

}  // namespace

cv::Mat FileReader::frame() {
  const auto format = static_cast<AVPixelFormat>(frame_->format);
  const int width = frame_->width, height = frame_->height;
  // Bicubic as in OpenCV's own reader, whose pixels people train and run their models on.
  scaler_.reset(sws_getCachedContext(scaler_.release(), width, height, format, width, height, AV_PIX_FMT_BGR24,
                                     SWS_BICUBIC, nullptr, nullptr, nullptr));
  if (!scaler_ || !set_range(*scaler_, *frame_)) {
    const char* name = av_get_pix_fmt_name(format);
    throw frame_error(index(), "has pixels that cannot be converted: " + std::string(name == nullptr ? "?" : name));
  }
  // FFmpeg's fast paths write whole groups of pixels, and want rows that begin at multiples of 64 bytes.
  constexpr int kGroup = 64;
  cv::Mat wide(height, (width + kGroup - 1) / kGroup * kGroup + kGroup, CV_8UC3);
  const std::array<std::uint8_t*, 4> planes{wide.data};
  const std::array<int, 4> strides{static_cast<int>(wide.step[0])};
  if (sws_scale(scaler_.get(), frame_->data, frame_->linesize, 0, height, planes.data(), strides.data()) != height) {
    throw frame_error(index(), "cannot be decoded");
  }
  return turned(wide(cv::Rect(0, 0, width, height)), orientation_);
}

std::int64_t FileReader::announced_frames() const {
  constexpr double kMost = 1e12;  // some containers say the largest integer when they mean that they do not know
  const AVStream& stream = *container_.stream;
  if (stream.nb_frames > 0 && static_cast<double>(stream.nb_frames) < kMost) {
    // MP4 and MOV count frames, too, that an edit list leaves out. Their index has those that are left and those that
    // others need.
    const std::int64_t left = avformat_index_get_entries_count(&stream);
    const bool edited = std::strncmp(container_.input->iformat->name, "mov", 3) == 0 && left > 0;
    return (edited ? std::min(stream.nb_frames, left) : stream.nb_frames) - cut_off_;
  }
  std::int64_t duration = container_.input->duration;
  // Matroska states when the last frame ends, whatever time the first one has.
  const bool is_end = std::strncmp(container_.input->iformat->name, "matroska", 8) == 0;
  if (is_end && container_.input->start_time != AV_NOPTS_VALUE) duration -= container_.input->start_time;
  if (duration <= 0) return 0;
  const double frames = static_cast<double>(duration) / AV_TIME_BASE * frames_per_second();
  return frames < kMost ? std::llround(frames) : 0;
}

double FileReader::frames_per_second() const {
  const AVRational rate =
      av_guess_frame_rate(container_.input.get(), const_cast<AVStream*>(container_.stream), nullptr);
  return rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
}

void FileReader::log_findings() const {
  if (!container_.choice.empty()) log::info(path_ + ": " + container_.choice);
  if (orientation_ != Orientation{}) {
    log::info(path_ + ": frames are " + to_words(orientation_) + ", as the file asks of players");
  }
  if (container_.display && container_.display->off_degrees > 1) {
    log::warn(path_ + ": asks for a turn that is no multiple of 90 degrees; it is taken as the nearest one, off by " +
              std::to_string(std::lround(container_.display->off_degrees)) + " degrees");
  }
  if (lost_ > 0) {
    log::warn(path_ + ": " + std::to_string(lost_) + (lost_ == 1 ? " frame" : " frames") +
              " before the first one that decodes are left out; frame 0 is that one");
  }
  if (damaged_ > 0) log::warn(path_ + ": its end cannot be decoded and is left out");
}

}  // namespace

std::unique_ptr<Reader> open_file(const fs::path& path) { return std::make_unique<FileReader>(path); }

}  // namespace repsim::video
