#include "png.hpp"

#include <openssl/evp.h>

#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "repsim/base/error.hpp"

namespace repsim::report {
namespace {

std::vector<unsigned char> encoded(const cv::Mat& picture) {
  constexpr int kStrongest = 9;
  std::vector<unsigned char> bytes;
  if (!cv::imencode(".png", picture, bytes, {cv::IMWRITE_PNG_COMPRESSION, kStrongest}))
    throw Error(ErrorKind::kInternal, "OpenCV cannot write PNG");
  return bytes;
}

std::string base64(const std::vector<unsigned char>& bytes) {
  std::vector<unsigned char> text((bytes.size() + 2) / 3 * 4 + 1);  // OpenSSL ends it with a zero
  const int length = EVP_EncodeBlock(text.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {text.begin(), text.begin() + length};
}

}  // namespace

std::string png(const cv::Mat& picture) {
  const std::vector<unsigned char> bytes = encoded(picture);
  return {bytes.begin(), bytes.end()};
}

std::string jpeg_data_uri(const cv::Mat& picture) {
  constexpr int kQuality = 80;
  std::vector<unsigned char> bytes;
  if (!cv::imencode(".jpg", picture, bytes, {cv::IMWRITE_JPEG_QUALITY, kQuality}))
    throw Error(ErrorKind::kInternal, "OpenCV cannot write JPEG");
  return "data:image/jpeg;base64," + base64(bytes);
}

std::string png_data_uri(const cv::Mat& picture) { return "data:image/png;base64," + base64(encoded(picture)); }

}  // namespace repsim::report
