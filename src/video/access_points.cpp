#include "access_points.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace repsim::video {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr int kSlice = 1, kIdrSlice = 5, kSei = 6;               // types of H.264 units
constexpr int kFirstIrap = 16, kLastIrap = 23, kLastSlice = 31;  // types of HEVC units
constexpr int kBlaWithLeading = 16, kBlaWithDecodable = 17, kEndOfSequence = 36, kEndOfStream = 37;

constexpr std::uint8_t kRecoveryPoint = 6;  // a type of SEI messages
constexpr std::uint8_t kMore = 255;         // in types and sizes of SEI messages: goes on

/// Takes the units of a packet, one after the other.
class Units {
 public:
  Units(Bytes packet, int length_bytes) : rest_(packet), length_bytes_(length_bytes) {
    if (length_bytes_ == 0) skip_start_code();
  }

  /// The next unit; empty: there is none, or the packet is damaged.
  Bytes next() { return length_bytes_ == 0 ? next_by_start_code() : next_by_length(); }

 private:
  Bytes next_by_length() {
    const auto head = static_cast<std::size_t>(length_bytes_);
    if (rest_.size() < head) return {};
    std::size_t length = 0;
    for (std::size_t i = 0; i < head; ++i) length = length << 8 | rest_[i];
    rest_ = rest_.subspan(head);
    if (length > rest_.size()) return {};
    const Bytes unit = rest_.first(length);
    rest_ = rest_.subspan(length);
    return unit;
  }

  Bytes next_by_start_code() {
    const Bytes from = rest_;
    skip_start_code();
    const std::size_t end = rest_.empty() ? from.size() : static_cast<std::size_t>(rest_.data() - from.data()) - 3;
    return from.first(end);
  }

  /// Goes behind the next 0 0 1.
  void skip_start_code() {
    for (std::size_t i = 0; i + 3 <= rest_.size(); ++i) {
      if (rest_[i] == 0 && rest_[i + 1] == 0 && rest_[i + 2] == 1) {
        rest_ = rest_.subspan(i + 3);
        return;
      }
    }
    rest_ = {};
  }

  Bytes rest_;
  int length_bytes_;
};

/// The payload of a unit without the bytes that keep start codes out of it.
std::vector<std::uint8_t> unescaped(Bytes unit) {
  std::vector<std::uint8_t> bytes;
  int zeros = 0;
  for (const std::uint8_t byte : unit) {
    const bool is_escape = zeros >= 2 && byte == 3;
    zeros = byte == 0 ? zeros + 1 : 0;
    if (!is_escape) bytes.push_back(byte);
  }
  return bytes;
}

/// A type or size of SEI messages: bytes of 255, then the rest. Nothing at the end of the unit.
std::optional<std::size_t> sei_number(Bytes& rest) {
  std::size_t number = 0;
  while (!rest.empty()) {
    const std::uint8_t byte = rest.front();
    rest = rest.subspan(1);
    number += byte;
    if (byte != kMore) return number;
  }
  return std::nullopt;
}

/// Whether a unit of SEI messages says that pictures are exact from this one on: recovery_frame_cnt is 0 (the code "1")
/// and exact_match_flag is 1.
bool promises_exact_recovery(Bytes unit) {
  const std::vector<std::uint8_t> bytes = unescaped(unit.subspan(1));
  Bytes rest = bytes;
  while (true) {
    const std::optional<std::size_t> type = sei_number(rest);
    const std::optional<std::size_t> size = sei_number(rest);
    if (!type || !size || *size > rest.size()) return false;
    constexpr std::uint8_t kAtOnceAndExact = 0xC0;
    if (*type == kRecoveryPoint) return *size > 0 && (rest.front() & kAtOnceAndExact) == kAtOnceAndExact;
    rest = rest.subspan(*size);
  }
}

bool is_h264_access_point(Units units) {
  bool is_exact = false;
  for (Bytes unit = units.next(); !unit.empty(); unit = units.next()) {
    const int type = unit.front() & 0x1F;
    if (type == kIdrSlice) return true;
    if (type >= kSlice && type < kIdrSlice) return is_exact;
    if (type == kSei) is_exact = is_exact || promises_exact_recovery(unit);
  }
  return false;
}

int hevc_type(Bytes unit) { return unit.front() >> 1 & 0x3F; }

bool is_hevc_access_point(Units units) {
  for (Bytes unit = units.next(); !unit.empty(); unit = units.next()) {
    const int type = hevc_type(unit);
    if (type <= kLastSlice) return type >= kFirstIrap && type <= kLastIrap;
  }
  return false;
}

}  // namespace

UnitFormat unit_format(const AVCodecParameters& parameters) {
  UnitFormat format;
  format.is_hevc = parameters.codec_id == AV_CODEC_ID_HEVC;
  // The configuration records of ISO/IEC 14496-15 begin with their version, 1; start codes with 0. The low two bits of
  // one byte are the length's size minus one.
  const std::size_t place = format.is_hevc ? 21 : 4;
  const bool is_record = static_cast<std::size_t>(parameters.extradata_size) > place && parameters.extradata[0] == 1;
  if (is_record) format.length_bytes = (parameters.extradata[place] & 3) + 1;
  return format;
}

bool is_access_point(Bytes packet, const UnitFormat& format) {
  const Units units(packet, format.length_bytes);
  return format.is_hevc ? is_hevc_access_point(units) : is_h264_access_point(units);
}

bool drops_pictures(Bytes packet, const UnitFormat& format) {
  if (!format.is_hevc) return false;
  Units units(packet, format.length_bytes);
  for (Bytes unit = units.next(); !unit.empty(); unit = units.next()) {
    switch (hevc_type(unit)) {
      case kBlaWithLeading:
      case kBlaWithDecodable:
      case kEndOfSequence:
      case kEndOfStream:
        return true;
      default:
        break;
    }
  }
  return false;
}

}  // namespace repsim::video
