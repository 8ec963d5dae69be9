#include "repsim/frame_stream.hpp"

#include <opencv2/core.hpp>

#include "input_picture.hpp"
#include "reader.hpp"

namespace repsim::video {

struct FrameStream::Impl {
  explicit Impl(const std::filesystem::path& path) : reader(open_reader(path)) {
    if (!reader->next()) {
      throw input_error("no frame of the video can be decoded", path.string(), "name another video");
    }
    load();
    width = frame.cols;
    height = frame.rows;
  }

  void load() {
    frame = reader->frame();
    if (!frame.isContinuous()) frame = frame.clone();
  }

  /// The current frame, converted when something first asks for it.
  const cv::Mat& current() {
    if (frame.empty()) load();
    if (frame.cols != width || frame.rows != height) {
      throw reader->frame_error(reader->index(), "has another size than the first frame");
    }
    return frame;
  }

  const std::unique_ptr<Reader> reader;
  cv::Mat frame;  ///< empty: not converted yet
  std::int64_t width = 0, height = 0;
  bool begun = false;  ///< next() was called
};

FrameStream::FrameStream(const std::filesystem::path& path) : impl_(std::make_unique<Impl>(path)) {}
FrameStream::~FrameStream() = default;

std::int64_t FrameStream::width() const { return impl_->width; }
std::int64_t FrameStream::height() const { return impl_->height; }
std::int64_t FrameStream::announced_frames() const { return impl_->reader->announced_frames(); }
double FrameStream::frames_per_second() const { return impl_->reader->frames_per_second(); }
std::int64_t FrameStream::index() const { return impl_->reader->index(); }
void FrameStream::log_findings() const { impl_->reader->log_findings(); }

bool FrameStream::next() {
  if (!impl_->begun) {
    impl_->begun = true;  // the constructor went to the first frame
    return true;
  }
  impl_->frame.release();
  return impl_->reader->next();
}

std::span<const std::uint8_t> FrameStream::pixels() {
  const cv::Mat& frame = impl_->current();
  return {frame.data, frame.total() * frame.elemSize()};
}

void FrameStream::fill(FrameStore& store, std::int64_t position) {
  const cv::Mat& frame = impl_->current();
  cv::Mat input = picture_in(store, position);
  try {
    draw_input(frame, store.spec(), place(store.spec(), impl_->width, impl_->height), input);
  } catch (const cv::Exception& error) {
    throw impl_->reader->frame_error(index(), "cannot be resized: " + error.err);
  }
}

}  // namespace repsim::video
