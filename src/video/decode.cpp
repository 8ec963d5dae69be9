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
  Filling(const Playlist& videos, const Request& request)
      : perturbation_(request.perturbation), store_(request.frames, request.spec) {
    const auto& frames = request.frames;
    if (!std::is_sorted(frames.begin(), frames.end()) || (!frames.empty() && frames.front() < 0)) {
      throw Error(ErrorKind::kInternal, "the frames of a request are not ascending from 0");
    }
    for (const PlaylistVideo& video : videos.videos())
      placements_.push_back(place(request.spec, video.info.width, video.info.height));
  }

  [[nodiscard]] bool wants(std::int64_t frame) const {
    return next_ < store_.size() && store_.frames()[static_cast<std::size_t>(next_)] == frame;
  }

  /// The frame that is wanted next; none: the largest number.
  [[nodiscard]] std::int64_t next() const {
    return next_ < store_.size() ? store_.frames()[static_cast<std::size_t>(next_)]
                                 : std::numeric_limits<std::int64_t>::max();
  }

  /// @param video  index in the playlist
  void take(PerturbedFrame& frame, std::size_t video) {
    // OpenCV draws straight into the store: sizes and types fit, so it allocates nothing.
    cv::Mat input = picture_in(store_, next_);
    draw_input(frame.get(perturbation_), store_.spec(), placements_[video], input);
    store_.release({&next_, 1});
    ++next_;
  }

  FrameStore finish() { return std::move(store_); }

 private:
  Perturbation perturbation_;
  std::vector<Placement> placements_;  ///< per video
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

std::vector<FrameStore> decode(const Playlist& videos, std::span<const Request> requests, Progress& progress) {
  return DecodeBehind(videos, requests, {}, progress).first();
}

struct DecodeBehind::Impl {
  Impl(const Playlist& of, std::span<const Request> of_first, std::span<const Request> of_later)
      : videos(of), last_wanted(of.videos().size(), -1) {
    first.reserve(of_first.size());
    later.reserve(of_later.size());
    for (const Request& request : of_first) first.emplace_back(videos, request);
    for (const Request& request : of_later) later.emplace_back(videos, request);
    for (const auto& requests : {of_first, of_later}) {
      for (const Request& request : requests) note_wanted(request.frames);
    }
    open(0);
  }

  /// A frame behind the end counts as one of the last video: decoding it says what is wrong.
  void note_wanted(const std::vector<std::int64_t>& frames) {
    for (const std::int64_t frame : frames) {
      const std::size_t video = video_of(frame);
      last_wanted[video] = std::max(last_wanted[video], frame - videos.videos()[video].first);
    }
  }

  [[nodiscard]] std::size_t video_of(std::int64_t frame) const {
    return frame < videos.frame_count() ? videos.place_of(frame).video : last_wanted.size() - 1;
  }

  void open(std::size_t video) {
    const VideoInfo& info = videos.videos().at(video).info;
    reader = open_reader(info.path);
    reader->use(info.index);
    current = video;
  }

  /// The last frame that one of these requests needs.
  static std::int64_t last_of(std::span<const Request> requests) {
    std::int64_t last = -1;
    for (const Request& request : requests) {
      if (!request.frames.empty()) last = std::max(last, request.frames.back());
    }
    return last;
  }

  /// How many frames have to be decoded until frame `last` of the playlist is.
  [[nodiscard]] std::int64_t steps_to(std::int64_t last) const {
    if (last < 0) return 0;
    const std::size_t end = video_of(last);
    std::int64_t steps = last - videos.videos()[end].first + 1;
    for (std::size_t video = 0; video < end; ++video) steps += last_wanted[video] + 1;
    return steps;
  }

  /// Goes on until frame `last` of the playlist is decoded.
  /// @param step  is called after each frame, with how many frames it is further than before
  void decode_to(std::int64_t last, const std::vector<Filling*>& fillings,
                 const std::function<void(std::int64_t)>& step) {
    if (last < 0) return;
    const std::size_t end = video_of(last);
    while (current < end) {
      decode_current(last_wanted[current], fillings, step);
      open(current + 1);
    }
    decode_current(last - videos.videos()[end].first, fillings, step);
  }

  /// Goes on in the current video until its frame `last` is decoded.
  void decode_current(std::int64_t last, const std::vector<Filling*>& fillings,
                      const std::function<void(std::int64_t)>& step) {
    const PlaylistVideo& video = videos.videos()[current];
    while (reader->index() < last) {
      const std::int64_t before = reader->index();
      std::int64_t wanted = last;
      for (const Filling* filling : fillings) wanted = std::min(wanted, filling->next() - video.first);
      reader->go_near(wanted);
      if (!reader->next()) {
        throw input_error("the video ends after " + std::to_string(reader->index() + 1) + " frames, but frame " +
                              std::to_string(last) + " was asked for",
                          video.info.path, "if the file was changed meanwhile, start again");
      }
      const std::int64_t frame = video.first + reader->index();
      if (std::any_of(fillings.begin(), fillings.end(), [&](const Filling* f) { return f->wants(frame); })) {
        PerturbedFrame picture(checked_frame(*reader, video.info));
        try {
          for (Filling* filling : fillings) {
            while (filling->wants(frame)) filling->take(picture, current);
          }
        } catch (const cv::Exception& error) {
          throw reader->frame_error(reader->index(), "cannot be resized or recompressed: " + error.err);
        }
      }
      step(std::max<std::int64_t>(0, reader->index() - before));
    }
  }

  static std::vector<FrameStore> finish(std::vector<Filling>& fillings) {
    std::vector<FrameStore> stores;
    stores.reserve(fillings.size());
    for (Filling& filling : fillings) stores.push_back(filling.finish());
    return stores;
  }

  const Playlist videos;
  std::vector<std::int64_t> last_wanted;  ///< per video its last frame that a request needs; -1: none
  std::size_t current = 0;                ///< the video that `reader` reads
  std::unique_ptr<Reader> reader;
  std::vector<Filling> first, later;
  std::atomic<bool> given_up = false;
  std::future<void> rest;
};

DecodeBehind::DecodeBehind(const Playlist& videos, std::span<const Request> first, std::span<const Request> later,
                           Progress& progress)
    : impl_(std::make_unique<Impl>(videos, first, later)) {
  const std::int64_t last = Impl::last_of(first), last_of_all = std::max(last, Impl::last_of(later));
  std::vector<Filling*> open;
  for (Filling& filling : impl_->later) open.push_back(&filling);
  std::vector<Filling*> all = open;
  for (Filling& filling : impl_->first) all.push_back(&filling);
  progress.begin("decode frames", impl_->steps_to(last));
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
