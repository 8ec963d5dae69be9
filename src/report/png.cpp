#include "png.hpp"

#include <algorithm>

#include "repsim/base/hash.hpp"

namespace repsim::report {
namespace {

void append_big_endian(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xFFU);
}

std::uint32_t adler32(std::string_view bytes) {
  std::uint32_t low = 1, high = 0;
  for (const char byte : bytes) {
    low = (low + static_cast<std::uint8_t>(byte)) % 65521;
    high = (high + low) % 65521;
  }
  return (high << 16U) | low;
}

void append_chunk(std::string& out, std::string_view type, const std::string& data) {
  append_big_endian(out, static_cast<std::uint32_t>(data.size()));
  const std::string body = std::string(type) + data;
  out += body;
  append_big_endian(out, crc32(body));
}

/// A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4).
std::string zlib_stored(const std::string& data) {
  constexpr std::size_t kMostPerBlock = 65535;
  std::string out("\x78\x01", 2);
  for (std::size_t begin = 0; begin < data.size(); begin += kMostPerBlock) {
    const std::size_t size = std::min(kMostPerBlock, data.size() - begin);
    out += static_cast<char>(begin + size == data.size() ? 1 : 0);
    for (const std::size_t value : {size, ~size}) {
      out += static_cast<char>(value & 0xFFU);
      out += static_cast<char>((value >> 8U) & 0xFFU);
    }
    out.append(data, begin, size);
  }
  append_big_endian(out, adler32(data));
  return out;
}

std::string base64(const std::string& bytes) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8U) | (at + k < bytes.size() ? static_cast<std::uint8_t>(bytes[at + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += at + k <= bytes.size() ? kDigits[(group >> (18 - 6 * k)) & 63U] : '=';
    }
  }
  return out;
}

}  // namespace

std::string png_data_uri(std::int64_t width, std::int64_t height, std::span<const std::uint8_t> pixels,
                         std::span<const Rgb> palette) {
  std::string header;
  append_big_endian(header, static_cast<std::uint32_t>(width));
  append_big_endian(header, static_cast<std::uint32_t>(height));
  header += std::string("\x08\x03\x00\x00\x00", 5);  // 8 bits, palette, deflate, no filter method, not interlaced
  std::string colours;
  for (const Rgb& colour : palette) colours.append(colour.begin(), colour.end());
  std::string lines;
  for (std::int64_t row = 0; row < height; ++row) {
    lines += '\0';  // this line is not filtered
    const auto line = pixels.subspan(static_cast<std::size_t>(row * width), static_cast<std::size_t>(width));
    lines.append(line.begin(), line.end());
  }
  std::string png("\x89PNG\r\n\x1a\n", 8);
  append_chunk(png, "IHDR", header);
  append_chunk(png, "PLTE", colours);
  append_chunk(png, "tRNS", std::string(1, '\0'));
  append_chunk(png, "IDAT", zlib_stored(lines));
  append_chunk(png, "IEND", {});
  return "data:image/png;base64," + base64(png);
}

}  // namespace repsim::report
