#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string_view>
#include <utility>

#include "pictures.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/log.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

/// Whether a JPEG lacks its end: decoders fill up what is missing with grey, and tell nobody.
bool is_cut_jpeg(std::string_view bytes) {
  constexpr auto kByte = [](char byte) { return static_cast<unsigned char>(byte); };
  if (bytes.size() < 4 || kByte(bytes[0]) != 0xFF || kByte(bytes[1]) != 0xD8) return false;
  // Segments up to the pixels are stepped over, since a small preview in one of them has an end of its own.
  std::size_t at = 2;
  while (at + 4 <= bytes.size() && kByte(bytes[at]) == 0xFF && kByte(bytes[at + 1]) != 0xDA) {
    const bool filler = kByte(bytes[at + 1]) == 0xFF;
    at += filler ? 1 : 2U + 256U * kByte(bytes[at + 2]) + kByte(bytes[at + 3]);
  }
  return at >= bytes.size() || bytes.find("\xFF\xD9", at) == std::string_view::npos;
}

/// Pictures as frames. A picture is decoded when something looks at it.
class PictureReader final : public Reader {
 public:
  explicit PictureReader(PictureSequence sequence) : sequence_(std::move(sequence)) {}

  void check() override { static_cast<void>(frame()); }
  [[nodiscard]] cv::Mat frame() override;
  [[nodiscard]] std::int64_t announced_frames() const override { return std::ssize(sequence_.pictures); }
  [[nodiscard]] double frames_per_second() const override { return 0; }
  [[nodiscard]] Error frame_error(std::int64_t index, const std::string& problem) const override {
    return input_error(problem, path_of(index).string(), "replace this picture, or take it out of the folder");
  }
  void log_findings() const override;

 private:
  [[nodiscard]] bool advance() override { return index() + 1 < announced_frames(); }
  [[nodiscard]] const fs::path& path_of(std::int64_t index) const {
    return sequence_.pictures.at(static_cast<std::size_t>(index));
  }
  [[nodiscard]] cv::Mat decoded() const;

  PictureSequence sequence_;
  cv::Mat first_;  ///< empty, or a picture that tells the size of all
  std::int64_t first_index_ = 0;
};

/// What viewers show: turned as EXIF says, in colour, 8 bits, without transparency.
cv::Mat PictureReader::decoded() const {
  const std::string bytes = read_file(path_of(index()));
  if (bytes.empty()) throw frame_error(index(), "the file is empty");
  if (is_cut_jpeg(bytes)) throw frame_error(index(), "the picture is cut short");
  cv::Mat picture;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    picture = cv::imdecode(raw, cv::IMREAD_COLOR);
  } catch (const cv::Exception& error) {
    throw frame_error(index(), "the picture cannot be decoded: " + error.err);
  }
  if (picture.empty() || picture.type() != CV_8UC3) throw frame_error(index(), "the picture cannot be decoded");
  return picture;
}

cv::Mat PictureReader::frame() {
  cv::Mat picture = decoded();
  if (first_.empty()) {
    first_ = picture;
    first_index_ = index();
  }
  if (picture.size() == first_.size()) return picture;
  const auto text = [](const cv::Mat& one) { return std::to_string(one.cols) + "x" + std::to_string(one.rows); };
  throw input_error(
      "has " + text(picture) + " pixels, " + path_of(first_index_).filename().string() + " has " + text(first_),
      path_of(index()).string(), "bring all pictures of the video to one size");
}

void PictureReader::log_findings() const {
  const std::string count = std::to_string(announced_frames());
  log::info(
      sequence_.path + ": " + count + " pictures are the frames, from " + path_of(0).filename().string() + " to " +
      sequence_.pictures.back().filename().string() +
      (sequence_.others == 0 ? "" : "; other entries of the folder left out: " + std::to_string(sequence_.others)));
}

}  // namespace

std::unique_ptr<Reader> open_pictures(PictureSequence sequence) {
  return std::make_unique<PictureReader>(std::move(sequence));
}

}  // namespace repsim::video
