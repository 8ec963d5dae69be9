extern "C" {
#include <libavcodec/avcodec.h>
}

#include <array>
#include <cstdint>
#include <opencv2/core.hpp>
#include <opencv2/core/utility.hpp>
#include <opencv2/imgcodecs.hpp>

#include "repsim/codecs.hpp"

namespace repsim::video {
namespace {

struct KnownCodec {
  AVCodecID id;
  bool common;
};
constexpr std::array kVideoCodecs{
    KnownCodec{AV_CODEC_ID_H264, true},       KnownCodec{AV_CODEC_ID_HEVC, true},
    KnownCodec{AV_CODEC_ID_MPEG4, true},      KnownCodec{AV_CODEC_ID_MJPEG, true},
    KnownCodec{AV_CODEC_ID_VP8, false},       KnownCodec{AV_CODEC_ID_VP9, false},
    KnownCodec{AV_CODEC_ID_AV1, false},       KnownCodec{AV_CODEC_ID_MPEG2VIDEO, false},
    KnownCodec{AV_CODEC_ID_PRORES, false},    KnownCodec{AV_CODEC_ID_DNXHD, false},
    KnownCodec{AV_CODEC_ID_FFV1, false},      KnownCodec{AV_CODEC_ID_RAWVIDEO, false},
    KnownCodec{AV_CODEC_ID_MSMPEG4V3, false},
};

struct KnownFormat {
  const char* suffix;
  bool common;
};
constexpr std::array kPictureFormats{
    KnownFormat{".jpg", true},  KnownFormat{".png", true},   KnownFormat{".bmp", false},
    KnownFormat{".ppm", false}, KnownFormat{".tiff", false}, KnownFormat{".webp", false},
};

bool opens(AVCodecID id) {
  const AVCodec* codec = avcodec_find_decoder(id);
  if (codec == nullptr) return false;
  AVCodecContext* context = avcodec_alloc_context3(codec);
  if (context == nullptr) return false;
  context->width = context->height = 64;  // some decoders want a size, raw video a form of pixels
  context->pix_fmt = AV_PIX_FMT_YUV420P;
  const bool opened = avcodec_open2(context, codec, nullptr) == 0;
  avcodec_free_context(&context);
  return opened;
}

bool decodes(const char* suffix) {
  constexpr int kSide = 64;
  try {
    const cv::Mat picture(kSide, kSide, CV_8UC3, cv::Scalar(10, 120, 230));
    std::vector<unsigned char> bytes;
    if (!cv::imencode(suffix, picture, bytes)) return false;
    const cv::Mat read = cv::imdecode(bytes, cv::IMREAD_COLOR);
    return read.rows == kSide && read.cols == kSide;
  } catch (const cv::Exception&) {
    return false;
  }
}

std::string text_of(unsigned version) {
  return std::to_string(AV_VERSION_MAJOR(version)) + "." + std::to_string(AV_VERSION_MINOR(version)) + "." +
         std::to_string(AV_VERSION_MICRO(version));
}

}  // namespace

std::vector<Codec> video_codecs() {
  std::vector<Codec> codecs;
  for (const KnownCodec& known : kVideoCodecs)
    codecs.push_back({avcodec_get_name(known.id), opens(known.id), known.common});
  return codecs;
}

std::vector<Codec> picture_formats() {
  std::vector<Codec> formats;
  for (const KnownFormat& known : kPictureFormats)
    formats.push_back({known.suffix, decodes(known.suffix), known.common});
  return formats;
}

LibraryVersion opencv_version() { return {cv::getVersionString(), CV_VERSION}; }

LibraryVersion ffmpeg_version() {
  return {std::string(av_version_info()) + ", libavcodec " + text_of(avcodec_version()),
          "libavcodec " + text_of(LIBAVCODEC_VERSION_INT)};
}

}  // namespace repsim::video
