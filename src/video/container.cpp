#include "container.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <vector>

#include "repsim/base/posix.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

Error undecodable(const fs::path& path, const std::string& why) {
  return input_error("this is no video that FFmpeg can decode: " + why, path.string(), kVideoRemedy);
}

std::string text_of(int failure) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(failure, text.data(), text.size());
  return text.data();
}

void open_input(const fs::path& path, Container& container) {
  AVIOContext* file = nullptr;
  int result = avio_open(&file, ("file:" + rooted_path(path).string()).c_str(), AVIO_FLAG_READ);
  if (result < 0) throw undecodable(path, text_of(result));
  container.file.reset(file);
  AVFormatContext* input = avformat_alloc_context();
  if (input == nullptr) throw Error(ErrorKind::kInternal, "FFmpeg has no memory for a video");
  input->pb = file;
  // FFmpeg takes such characters for a pattern of names; the suffix alone still tells raw streams apart.
  std::string name = rooted_path(path).string();
  if (name.find_first_of("%*?[{") != std::string::npos) name = "video" + path.extension().string();
  AVDictionary* options = nullptr;
  av_dict_set(&options, "protocol_whitelist", "file", 0);                 // playlists lead to no network
  result = avformat_open_input(&input, name.c_str(), nullptr, &options);  // frees `input` when it fails
  av_dict_free(&options);
  if (result < 0) throw undecodable(path, text_of(result));
  container.input.reset(input);
  result = avformat_find_stream_info(input, nullptr);
  if (result < 0) throw undecodable(path, text_of(result));
}

/// FFmpeg draws text files as a terminal would show them, and calls that a video.
bool is_text(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_XBIN || codec == AV_CODEC_ID_IDF ||
         codec == AV_CODEC_ID_BINTEXT;
}

bool is_video(const AVStream& stream) {
  constexpr int kNoVideo = AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS;
  return stream.codecpar->codec_type == AVMEDIA_TYPE_VIDEO && (stream.disposition & kNoVideo) == 0 &&
         !is_text(stream.codecpar->codec_id);
}

bool is_default(const AVStream& stream) { return (stream.disposition & AV_DISPOSITION_DEFAULT) != 0; }

/// "stream 1 (1280x720, h264, default)": numbers as ffprobe prints them.
std::string described(const AVStream& stream) {
  return "stream " + std::to_string(stream.index) + " (" + std::to_string(stream.codecpar->width) + "x" +
         std::to_string(stream.codecpar->height) + ", " + avcodec_get_name(stream.codecpar->codec_id) +
         (is_default(stream) ? ", default)" : ")");
}

void choose_stream(const fs::path& path, Container& container) {
  const AVFormatContext& input = *container.input;
  std::vector<AVStream*> videos;
  bool pictures = false;
  for (unsigned i = 0; i < input.nb_streams; ++i) {
    AVStream* stream = input.streams[i];
    if (is_video(*stream)) videos.push_back(stream);
    pictures |= (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0;
    stream->discard = AVDISCARD_ALL;
  }
  if (videos.empty()) {
    throw undecodable(path, pictures ? "a cover picture is in it, but no video" : "there is no video in it");
  }
  const auto rank = [](const AVStream* stream) {
    const std::int64_t width = stream->codecpar->width, height = stream->codecpar->height;
    return std::tuple(is_default(*stream), width * height);
  };
  AVStream* best = *std::max_element(videos.begin(), videos.end(), [&](const AVStream* a, const AVStream* b) {
    return rank(a) < rank(b);  // the first of equals
  });
  best->discard = AVDISCARD_DEFAULT;
  container.stream = best;
  if (videos.size() == 1) return;
  container.choice = "takes " + described(*best) + " of " + std::to_string(videos.size()) + " video streams, not ";
  const char* separator = "";
  for (const AVStream* stream : videos) {
    if (stream == best) continue;
    container.choice += separator + described(*stream);
    separator = ", ";
  }
}

const std::uint8_t* display_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVPacketSideData* data = av_packet_side_data_get(
      stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  return data == nullptr || data->size < 9 * sizeof(std::int32_t) ? nullptr : data->data;
#else
  std::size_t size = 0;
  const std::uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return size < 9 * sizeof(std::int32_t) ? nullptr : data;
#endif
}

void open_decoder(const fs::path& path, Container& container) {
  const AVStream& stream = *container.stream;
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  if (codec == nullptr) {
    throw undecodable(path, std::string("there is no decoder for ") + avcodec_get_name(stream.codecpar->codec_id));
  }
  container.decoder.reset(avcodec_alloc_context3(codec));
  AVCodecContext* decoder = container.decoder.get();
  if (decoder == nullptr) throw Error(ErrorKind::kInternal, "FFmpeg has no memory for a decoder");
  int result = avcodec_parameters_to_context(decoder, stream.codecpar);
  decoder->thread_count = 0;  // as many as the machine has; the pixels do not depend on it
  decoder->pkt_timebase = stream.time_base;
  if (result >= 0) result = avcodec_open2(decoder, codec, nullptr);
  if (result < 0) throw undecodable(path, text_of(result));
}

}  // namespace

Container open_container(const fs::path& path) {
  Container container;
  open_input(path, container);
  choose_stream(path, container);
  if (const std::uint8_t* matrix = display_matrix(*container.stream)) {
    container.display = read_display_matrix(
        std::span<const std::int32_t, 9>(reinterpret_cast<const std::int32_t*>(matrix), std::size_t{9}));
  }
  open_decoder(path, container);
  return container;
}

}  // namespace repsim::video
