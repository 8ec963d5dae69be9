#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <cstdint>
#include <span>

namespace repsim::video {

/// How the packets of H.264 and HEVC separate their units.
struct UnitFormat {
  bool is_hevc = false;
  int length_bytes = 0;  ///< before each unit its length, big-endian; 0: start codes (Annex B)
};

/// From a stream's parameters. @param parameters  of codec H.264 or HEVC
[[nodiscard]] UnitFormat unit_format(const AVCodecParameters& parameters);

/// Whether decoding may begin at this packet, so that this picture and all that are shown after it come out as if
/// decoding had begun at the start of the video. H.264: an IDR picture, or a recovery point that takes effect at once
/// and promises an exact match. HEVC: an IRAP picture. Reads the heads of units up to the picture's first slice.
/// Sources: ITU-T H.264 7.3.1, 7.4.1.2, D.2.8; ITU-T H.265 7.4.2.2.
[[nodiscard]] bool is_access_point(std::span<const std::uint8_t> packet, const UnitFormat& format);

/// Whether decoders leave out pictures around this packet that are in the file: HEVC where a video was cut or joined,
/// at a BLA picture with leading pictures or an end of sequence (ITU-T H.265 8.1.3).
[[nodiscard]] bool drops_pictures(std::span<const std::uint8_t> packet, const UnitFormat& format);

}  // namespace repsim::video
