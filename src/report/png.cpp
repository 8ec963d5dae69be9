#include "png.hpp"

#include <openssl/evp.h>

#include <new>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "repsim/base/error.hpp"

namespace repsim::report {
namespace {

/// @param suffix  of the format
std::vector<unsigned char> encoded(const cv::Mat& picture, const char* suffix, const std::vector<int>& options) {
  std::vector<unsigned char> bytes;
  try {
    if (cv::imencode(suffix, picture, bytes, options)) return bytes;
  } catch (const cv::Exception&) {
    throw std::bad_alloc();  // the format and the picture are well: only memory can be missing
  }
  throw Error(ErrorKind::kInternal, std::string("OpenCV cannot write ") + suffix);
}

std::vector<unsigned char> encoded_png(const cv::Mat& picture) {
  constexpr int kStrongest = 9;
  return encoded(picture, ".png", {cv::IMWRITE_PNG_COMPRESSION, kStrongest});
}

std::string base64(const std::vector<unsigned char>& bytes) {
  std::vector<unsigned char> text((bytes.size() + 2) / 3 * 4 + 1);  // OpenSSL ends it with a zero
  const int length = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {text.begin(), text.begin() + length};
}

}  // namespace

std::string png(const cv::Mat& picture) {
  const std::vector<unsigned char> bytes = encoded_png(picture);
  return {bytes.begin(), bytes.end()};
}

std::string jpeg_data_uri(const cv::Mat& picture) {
  constexpr int kQuality = 80;
  return "data:image/jpeg;base64," + base64(encoded(picture, ".jpg", {cv::IMWRITE_JPEG_QUALITY, kQuality}));
}

std::string png_data_uri(const cv::Mat& picture) { return "data:image/png;base64," + base64(encoded_png(picture)); }

}  // namespace repsim::report
