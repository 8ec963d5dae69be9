#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <utility>

#include "input_picture.hpp"
#include "placement.hpp"
#include "reader.hpp"
#include "repsim/base/error.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

struct PerturbationWord {
  Perturbation value;
  const char* word;
};
constexpr std::array<PerturbationWord, 4> kPerturbationWords{{
    {Perturbation::kNone, "none"},
    {Perturbation::kJpeg95, "jpeg-95"},
    {Perturbation::kJpeg80, "jpeg-80"},
    {Perturbation::kShiftOnePixel, "shift-1px"},
}};

cv::Mat recompressed(const cv::Mat& frame, int quality) {
  std::vector<unsigned char> bytes;
  cv::imencode(".jpg", frame, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
  return cv::imdecode(bytes, cv::IMREAD_COLOR);
}

cv::Mat shifted(const cv::Mat& frame) {
  cv::Mat wider;
  cv::copyMakeBorder(frame, wider, 0, 0, 1, 0, cv::BORDER_REPLICATE);
  return wider(cv::Rect(0, 0, frame.cols, frame.rows));
}

/// One decoded frame and its perturbed copies. A copy is made when the first model asks for it.
class PerturbedFrame {
 public:
  explicit PerturbedFrame(cv::Mat frame) { made_[0] = std::move(frame); }

  const cv::Mat& get(Perturbation perturbation) {
    cv::Mat& image = made_[static_cast<std::size_t>(perturbation)];
    if (image.empty()) image = make(perturbation);
    return image;
  }

 private:
  [[nodiscard]] cv::Mat make(Perturbation perturbation) const {
    switch (perturbation) {
      case Perturbation::kJpeg95:
        return recompressed(made_[0], 95);
      case Perturbation::kJpeg80:
        return recompressed(made_[0], 80);
      case Perturbation::kShiftOnePixel:
        return shifted(made_[0]);
      case Perturbation::kNone:
        break;
    }
    return made_[0];
  }

  std::array<cv::Mat, kPerturbationWords.size()> made_;
};

/// One request while its store is filled.
class Filling {
 public:
  Filling(const VideoInfo& video, const Request& request)
      : perturbation_(request.perturbation),
        placement_(place(request.spec, video.width, video.height)),
        store_(request.frames, request.spec) {
    const auto& frames = request.frames;
    if (!std::is_sorted(frames.begin(), frames.end()) || (!frames.empty() && frames.front() < 0)) {
      throw Error(ErrorKind::kInternal, "the frames of a request are not ascending from 0");
    }
  }

  [[nodiscard]] bool wants(std::int64_t index) const {
    return next_ < store_.size() && store_.frames()[static_cast<std::size_t>(next_)] == index;
  }

  /// The frame that is wanted next; none: the largest number.
  [[nodiscard]] std::int64_t next() const {
    return next_ < store_.size() ? store_.frames()[static_cast<std::size_t>(next_)]
                                 : std::numeric_limits<std::int64_t>::max();
  }

  void take(PerturbedFrame& frame) {
    // OpenCV draws straight into the store: sizes and types fit, so it allocates nothing.
    cv::Mat input = picture_in(store_, next_);
    draw_input(frame.get(perturbation_), store_.spec(), placement_, input);
    store_.release({&next_, 1});
    ++next_;
  }

  FrameStore finish() { return std::move(store_); }

 private:
  Perturbation perturbation_;
  Placement placement_;
  FrameStore store_;
  std::int64_t next_ = 0;  ///< position to fill next
};

/// The current frame of `reader`. It must have the size of the first one, for which the resize was computed.
cv::Mat checked_frame(Reader& reader, const VideoInfo& video) {
  cv::Mat frame = reader.frame();
  if (frame.cols != video.width || frame.rows != video.height) {
    throw reader.frame_error(reader.index(), "has " + std::to_string(frame.cols) + "x" + std::to_string(frame.rows) +
                                                 " pixels, the first frame " + std::to_string(video.width) + "x" +
                                                 std::to_string(video.height));
  }
  return frame;
}

}  // namespace

const char* to_string(Perturbation perturbation) {
  return kPerturbationWords[static_cast<std::size_t>(perturbation)].word;
}

std::vector<FrameStore> decode(const VideoInfo& video, std::span<const Request> requests, Progress& progress) {
  return DecodeBehind(video, requests, {}, progress).first();
}

struct DecodeBehind::Impl {
  Impl(const VideoInfo& of, std::span<const Request> of_first, std::span<const Request> of_later)
      : video(of), reader(open_reader(of.path)) {
    reader->use(of.index);
    first.reserve(of_first.size());
    later.reserve(of_later.size());
    for (const Request& request : of_first) first.emplace_back(video, request);
    for (const Request& request : of_later) later.emplace_back(video, request);
  }

  /// The last frame that one of these requests needs.
  static std::int64_t last_of(std::span<const Request> requests) {
    std::int64_t last = -1;
    for (const Request& request : requests) {
      if (!request.frames.empty()) last = std::max(last, request.frames.back());
    }
    return last;
  }

  /// @param step  is called after each frame, with how many frames it is further than before
  void decode_to(std::int64_t last, const std::vector<Filling*>& fillings,
                 const std::function<void(std::int64_t)>& step) {
    while (reader->index() < last) {
      const std::int64_t before = reader->index();
      std::int64_t wanted = last;
      for (const Filling* filling : fillings) wanted = std::min(wanted, filling->next());
      reader->go_near(wanted);
      if (!reader->next()) {
        throw input_error("the video ends after " + std::to_string(reader->index() + 1) + " frames, but frame " +
                              std::to_string(last) + " was asked for",
                          video.path, "if the file was changed meanwhile, start again");
      }
      const std::int64_t index = reader->index();
      if (std::any_of(fillings.begin(), fillings.end(), [&](const Filling* f) { return f->wants(index); })) {
        PerturbedFrame frame(checked_frame(*reader, video));
        try {
          for (Filling* filling : fillings) {
            while (filling->wants(index)) filling->take(frame);
          }
        } catch (const cv::Exception& error) {
          throw reader->frame_error(index, "cannot be resized or recompressed: " + error.err);
        }
      }
      step(std::max<std::int64_t>(0, index - before));
    }
  }

  static std::vector<FrameStore> finish(std::vector<Filling>& fillings) {
    std::vector<FrameStore> stores;
    stores.reserve(fillings.size());
    for (Filling& filling : fillings) stores.push_back(filling.finish());
    return stores;
  }

  const VideoInfo video;
  const std::unique_ptr<Reader> reader;
  std::vector<Filling> first, later;
  std::atomic<bool> given_up = false;
  std::future<void> rest;
};

DecodeBehind::DecodeBehind(const VideoInfo& video, std::span<const Request> first, std::span<const Request> later,
                           Progress& progress)
    : impl_(std::make_unique<Impl>(video, first, later)) {
  const std::int64_t last = Impl::last_of(first), last_of_all = std::max(last, Impl::last_of(later));
  std::vector<Filling*> open;
  for (Filling& filling : impl_->later) open.push_back(&filling);
  std::vector<Filling*> all = open;
  for (Filling& filling : impl_->first) all.push_back(&filling);
  progress.begin("decode frames", last + 1);
  impl_->decode_to(last, all, [&](std::int64_t frames) { progress.step(frames); });
  progress.end();
  if (later.empty()) return;
  impl_->rest = std::async(std::launch::async, [impl = impl_.get(), last_of_all, open] {
    impl->decode_to(last_of_all, open, [impl](std::int64_t /*frames*/) {
      if (impl->given_up) throw Error(ErrorKind::kInterrupted, "decoding is given up");
    });
  });
}

DecodeBehind::~DecodeBehind() {
  impl_->given_up = true;
  if (impl_->rest.valid()) impl_->rest.wait();
}

std::vector<FrameStore> DecodeBehind::first() { return Impl::finish(impl_->first); }

std::vector<FrameStore> DecodeBehind::later(Progress& progress) {
  if (impl_->later.empty()) return {};
  progress.begin("decode the rest", 0);
  while (impl_->rest.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) progress.step(0);
  impl_->rest.get();
  progress.end();
  return Impl::finish(impl_->later);
}

}  // namespace repsim::video
