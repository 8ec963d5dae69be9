#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

at::Tensor as_floats(const at::Tensor& tensor) {
  return (tensor.is_complex() ? at::view_as_real(tensor.resolve_conj()) : tensor).to(at::kFloat).contiguous();
}

template <typename Value>
std::span<const Value> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<Value>(), static_cast<std::size_t>(tensor.numel())};
}

/// What a model finds on some frames.
struct Found {
  std::vector<Detections> frames;
  std::int64_t boxes_without_area = 0;
};

/// Reads the detections of one run: per frame. Adds to the second argument how many boxes have no area.
using ReadRun = std::function<std::vector<Detections>(std::span<const std::int64_t>, std::int64_t&)>;

Found detect(std::int64_t frames, std::int64_t batch, const ReadRun& read, Progress& progress,
             const decltype(FrameList::is_enough)& is_enough = {}) {
  Found found;
  for (const auto& positions : capture::batches(frames, batch)) {
    if (is_enough && !found.frames.empty() && is_enough(found.frames)) break;
    std::int64_t without_area = 0;
    for (Detections& one : read(positions, without_area)) found.frames.push_back(std::move(one));
    found.boxes_without_area += without_area;
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  return found;
}

/// The values of one frame in an output for several; an output without a batch dimension belongs to its first frame.
at::Tensor of_frame(const at::Tensor& output, std::int64_t frame, std::int64_t frames) {
  if (frames == 1) return output;
  if (output.dim() > 0 && output.size(0) == frames) return output.select(0, frame);
  return frame == 0 ? output : output.new_empty({0});
}

/// Adds one output of one frame: floating values as float32, complex ones as pairs, integers and bools as they are.
void add_output(std::size_t index, const at::Tensor& own, const at::Tensor& merged, TensorAgreement& agreement) {
  if (own.is_floating_point() || own.is_complex()) {
    const at::Tensor left = as_floats(own), right = as_floats(merged);
    agreement.add(index, values_of<float>(left), values_of<float>(right));
  } else {
    const at::Tensor left = own.to(at::kLong).contiguous(), right = merged.to(at::kLong).contiguous();
    agreement.add_exact(index, values_of<std::int64_t>(left), values_of<std::int64_t>(right));
  }
}

/// The tensors of an output: "2 tensors (Float, Long)".
std::string tensors_text(const std::vector<at::Tensor>& tensors) {
  std::vector<std::string> types;
  for (const at::Tensor& tensor : tensors) types.emplace_back(c10::toString(tensor.scalar_type()));
  return std::to_string(types.size()) + (types.size() == 1 ? " tensor (" : " tensors (") + join(types, ", ") + ")";
}

/// Compares raw outputs run by run.
class RawComparison {
 public:
  RawComparison(const Head& head, const FrameList& frames)
      : head_(head), frames_(frames), of_videos_(frames.per_video.size() > 1 ? frames.per_video.size() : 0) {}

  /// Adds the outputs of one run.
  void add(const c10::IValue& own, const c10::IValue& merged, std::span<const std::int64_t> positions) {
    const std::vector<at::Tensor> left = model::tensors_of(own), right = model::tensors_of(merged);
    check(left, right, frames_.numbers[positions.front()]);
    const auto count = static_cast<std::int64_t>(positions.size());
    for (std::int64_t frame = 0; frame < count; ++frame) {
      go_to_video_of_next_frame();
      for (std::size_t i = 0; i < left.size(); ++i) {
        const at::Tensor of_own = of_frame(left[i], frame, count), of_merged = of_frame(right[i], frame, count);
        add_output(i, of_own, of_merged, agreement_);
        if (!of_videos_.empty()) add_output(i, of_own, of_merged, of_videos_[video_]);
      }
      agreement_.next_frame();
      if (!of_videos_.empty()) of_videos_[video_].next_frame();
    }
  }

  void finish(Measured& out) {
    out.fidelity = agreement_.fidelity();
    out.raw = std::move(agreement_);
    out.raw_of_videos = std::move(of_videos_);
  }

 private:
  /// Frames come in their order.
  void go_to_video_of_next_frame() {
    if (of_videos_.empty()) return;
    while (frames_of_video_ == frames_.per_video[video_]) {
      agreement_.next_video();
      frames_of_video_ = 0;
      ++video_;
    }
    ++frames_of_video_;
  }

  /// Tensors are compared one by one, so their number and types have to be the same on all frames.
  void check(const std::vector<at::Tensor>& own, const std::vector<at::Tensor>& merged, std::int64_t frame) {
    const std::string now = tensors_text(own);
    if (first_.empty()) first_ = now;
    if (now != first_) {
      throw graph::failure_on_frame(head_.name, frame, "it returns " + now + " there and " + first_ + " before",
                                    "export a model whose outputs are alike for all pictures");
    }
    if (tensors_text(merged) != now)
      throw graph::failure_of_merged(frame, head_.name + " returns " + now + ", merged " + tensors_text(merged));
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i].numel() == merged[i].numel()) continue;
      throw graph::failure_on_frame(
          head_.name, frame, "the number of outputs depends on the picture: raw outputs cannot be compared",
          "give the format of its detections: --format " + head_.name + "=boxes-scores-labels");
    }
  }

  const Head& head_;
  const FrameList& frames_;
  std::string first_;  // the tensors of the original's first output
  TensorAgreement agreement_;
  std::vector<TensorAgreement> of_videos_;  // empty: there is one video
  std::size_t video_ = 0;                   // of the last frame that was added
  std::int64_t frames_of_video_ = 0;        // that were added of this video
};

}  // namespace

std::vector<Detections> read_detections(const Head& head, const c10::IValue& output, std::int64_t batch,
                                        std::int64_t* boxes_without_area) {
  std::vector<Detections> frames = model::decode(output, head.output, head.input, batch);
  const video::AffineMap& map = head.to_frame;
  for (Detections& detections : frames) {
    for (Detection& one : detections) {
      one.x1 = one.x1 * map.scale_x + map.offset_x;
      one.x2 = one.x2 * map.scale_x + map.offset_x;
      one.y1 = one.y1 * map.scale_y + map.offset_y;
      one.y2 = one.y2 * map.scale_y + map.offset_y;
    }
    const std::int64_t dropped = drop_boxes_without_area(detections);
    if (boxes_without_area != nullptr) *boxes_without_area += dropped;
    detections = suppress(detections);
  }
  return frames;
}

namespace {

/// The detections of a merged model, whose original could be read on these frames.
std::vector<Detections> read_merged(const Head& head, const Forward& merged, const std::vector<std::int64_t>& frames,
                                    std::span<const std::int64_t> positions, std::int64_t& without_area) {
  const c10::IValue output = merged(positions);
  try {
    return read_detections(head, output, static_cast<std::int64_t>(positions.size()), &without_area);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw graph::failure_of_merged(frames[positions.front()], head.name + ": " + error.problem());
  }
}

}  // namespace

Reference reference(const Head& head, const Forward& original, const std::vector<std::int64_t>& frames,
                    Progress& progress) {
  Reference result;
  if (head.output.format == model::OutputFormat::kTensor) return result;
  const auto count = static_cast<std::int64_t>(frames.size());
  progress.begin("original " + head.name, count);
  const ReadRun read = [&](std::span<const std::int64_t> positions, std::int64_t& without_area) {
    // An output that cannot be read is a failure on its frame, too.
    return capture::on_frames({head.name, frames}, positions, [&](std::span<const std::int64_t> some) {
      without_area = 0;
      return read_detections(head, original(some), static_cast<std::int64_t>(some.size()), &without_area);
    });
  };
  Found found = detect(count, head.batch(), read, progress);
  result.own = std::move(found.frames);
  result.boxes_without_area = found.boxes_without_area;
  progress.end();
  result.targets = targets_from_own(result.own, head.output.score_threshold);
  for (const Target& target : result.targets) result.own_detections += static_cast<std::int64_t>(target.sure.size());
  return result;
}

namespace {

/// Leaves the first frames of several videos, of which each has so many.
void keep_first(std::vector<std::int64_t>& per_video, std::size_t frames) {
  auto left = static_cast<std::int64_t>(frames);
  for (std::int64_t& count : per_video) {
    count = std::min(count, left);
    left -= count;
  }
}

}  // namespace

Measured measure(const Head& head, const Reference& reference, const Forward& original, const Forward& merged,
                 const FrameList& frames, Progress& progress) {
  Measured result;
  const auto count = static_cast<std::int64_t>(frames.numbers.size());
  result.per_video = frames.per_video;
  progress.begin("measure " + head.name, count);
  if (head.output.format != model::OutputFormat::kTensor) {
    const ReadRun read = [&](std::span<const std::int64_t> positions, std::int64_t& without_area) {
      return read_merged(head, merged, frames.numbers, positions, without_area);
    };
    Found found = detect(count, head.batch(), read, progress, frames.is_enough);
    result.found = std::move(found.frames);
    result.boxes_without_area = found.boxes_without_area;
    if (reference.own_detections > 0) {
      keep_first(result.per_video, result.found.size());
      result.fidelity = average_precision(result.found, std::span(reference.targets).first(result.found.size()));
    } else if (finds_anything(result.found, head.output.score_threshold)) {
      result.fidelity = 0;  // all that it finds are false alarms
    }
  } else {
    RawComparison comparison(head, frames);
    for (const auto& positions : capture::batches(count, head.batch())) {
      const c10::IValue own = original(positions);  // first: its failure is the model's, not that of the merged one
      comparison.add(own, merged(positions), positions);
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    comparison.finish(result);
  }
  progress.end();
  return result;
}

}  // namespace repsim::verify
