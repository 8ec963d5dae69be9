#include "frame_index.hpp"

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "access_points.hpp"
#include "container.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::video {
namespace {

struct CloseParser {
  void operator()(AVCodecParserContext* parser) const { av_parser_close(parser); }
};

constexpr std::string_view kUneven = "a packet is not one whole frame";

/// Formats that find a time without reading what lies before it. The name is FFmpeg's, which lists aliases.
bool has_places(const AVFormatContext& input) {
  constexpr std::array<std::string_view, 3> kFormats{"mov,", "matroska,", "avi"};
  const std::string_view name = input.iformat->name;
  return std::any_of(kFormats.begin(), kFormats.end(), [&](std::string_view one) { return name.starts_with(one); });
}

bool is_independent(AVCodecID codec) {
  const AVCodecDescriptor* descriptor = avcodec_descriptor_get(codec);
  return descriptor != nullptr && (descriptor->props & AV_CODEC_PROP_INTRA_ONLY) != 0;
}

bool has_units(AVCodecID codec) { return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC; }

/// Reads the packets of a file's main video.
class PacketReader {
 public:
  explicit PacketReader(const std::filesystem::path& path)
      : path_(path.string()), container_(open_container(path)), packet_(av_packet_alloc()) {
    if (!packet_) throw Error(ErrorKind::kInternal, "FFmpeg has no memory for a packet");
    codec_ = container_.stream->codecpar->codec_id;
    if (has_units(codec_)) {
      format_ = unit_format(*container_.stream->codecpar);
      parser_.reset(av_parser_init(codec_));
      if (parser_) parser_->flags |= PARSER_FLAG_COMPLETE_FRAMES;
    }
  }

  /// Why no index of this file can be made; empty: one can be tried.
  [[nodiscard]] std::string problem_of_file() const {
    if (!has_places(*container_.input))
      return std::string("the format has no places: ") + container_.input->iformat->name;
    if (has_units(codec_) ? parser_ == nullptr : !is_independent(codec_))
      return std::string("frames of this codec cannot be counted by packets: ") + avcodec_get_name(codec_);
    return {};
  }

  /// Reads all packets. @return why no index can be made; empty: all is well
  std::string read(PacketTimes& times, Progress& progress) {
    while (next()) {
      std::string problem = take(times);
      av_packet_unref(packet_.get());
      if (!problem.empty()) return problem;
      progress.step();
    }
    return {};
  }

 private:
  /// Goes to the next packet of the stream; false at the end.
  bool next() {
    while (true) {
      const int result = av_read_frame(container_.input.get(), packet_.get());
      if (result == AVERROR(EAGAIN)) continue;
      if (result < 0) {
        const int failure = container_.input->pb == nullptr ? 0 : container_.input->pb->error;
        if (failure < 0 && failure != AVERROR_EOF) throw system_error("cannot be read", path_, AVUNERROR(failure));
        return false;
      }
      if (packet_->stream_index == container_.stream->index && packet_->size > 0) return true;
      av_packet_unref(packet_.get());
    }
  }

  std::string take(PacketTimes& times) {
    const AVPacket& packet = *packet_;
    if ((packet.flags & AV_PKT_FLAG_DISCARD) != 0) return "an edit list leaves frames out";
    if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) return "a packet is damaged";
    if (packet.pts == AV_NOPTS_VALUE) return "a packet has no time";
    if (av_packet_get_side_data(&packet, AV_PKT_DATA_NEW_EXTRADATA, nullptr) != nullptr) return "the coding changes";
    if (parser_ && !is_whole_frame()) return std::string(kUneven);
    if (parser_ && drops_pictures(bytes(), format_)) return "the video was cut or joined";
    // All that comes before an access point is shown before it: else frames after it would be missing.
    const bool may_begin = (packet.flags & AV_PKT_FLAG_KEY) != 0 && packet.pts > latest_ && is_clean();
    if (may_begin) times.points.push_back({0, packet.pts, packet.dts});
    times.pts.push_back(packet.pts);
    latest_ = std::max(latest_, packet.pts);
    return {};
  }

  /// Of interlaced video a packet may hold one of a frame's two fields.
  bool is_whole_frame() {
    std::uint8_t* out = nullptr;
    int size = 0;
    const AVPacket& packet = *packet_;
    av_parser_parse2(parser_.get(), container_.decoder.get(), &out, &size, packet.data, packet.size, packet.pts,
                     packet.dts, packet.pos);
    return parser_->picture_structure == AV_PICTURE_STRUCTURE_FRAME ||
           (codec_ == AV_CODEC_ID_HEVC && parser_->picture_structure == AV_PICTURE_STRUCTURE_UNKNOWN);
  }

  [[nodiscard]] bool is_clean() const {
    if (!has_units(codec_)) return true;
    return is_access_point(bytes(), format_);
  }

  [[nodiscard]] std::span<const std::uint8_t> bytes() const {
    return {packet_->data, static_cast<std::size_t>(packet_->size)};
  }

  std::string path_;
  Container container_;
  Owned<AVPacket> packet_;
  AVCodecID codec_ = AV_CODEC_ID_NONE;
  UnitFormat format_;
  std::unique_ptr<AVCodecParserContext, CloseParser> parser_;
  std::int64_t latest_ = std::numeric_limits<std::int64_t>::min();  ///< time of all packets so far
};

}  // namespace

std::optional<FrameIndex> index_of(PacketTimes times, std::int64_t first) {
  std::vector<std::int64_t>& pts = times.pts;
  std::sort(pts.begin(), pts.end());
  if (std::adjacent_find(pts.begin(), pts.end()) != pts.end()) return std::nullopt;
  const auto begin = std::lower_bound(pts.begin(), pts.end(), first);
  if (begin == pts.end() || *begin != first) return std::nullopt;
  FrameIndex index;
  index.frame_count = pts.end() - begin;
  for (AccessPoint point : times.points) {
    point.frame = std::lower_bound(pts.begin(), pts.end(), point.pts) - begin;
    const bool is_close = !index.points.empty() && point.frame < index.points.back().frame + kLeastGap;
    if (point.frame >= 0 && !is_close) index.points.push_back(point);
  }
  return index;
}

IndexOrReason read_frame_index(const std::filesystem::path& path, std::int64_t first, Progress& progress) {
  PacketReader reader(path);
  if (std::string problem = reader.problem_of_file(); !problem.empty()) return {nullptr, std::move(problem)};
  PacketTimes times;
  if (std::string problem = reader.read(times, progress); !problem.empty()) return {nullptr, std::move(problem)};
  std::optional<FrameIndex> index = index_of(std::move(times), first);
  if (!index) return {nullptr, "two frames have one time, or the first one has none"};
  return {std::make_shared<FrameIndex>(std::move(*index)), ""};
}

}  // namespace repsim::video
