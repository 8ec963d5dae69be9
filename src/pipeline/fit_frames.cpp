#include "fit_frames.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kTriedFrames = 96;  // that trials are fitted on at most

void add_boxes(const verify::Head& head, const c10::IValue& output, std::int64_t frames, fit::SampleWeights& weights) {
  for (model::Detections& one : model::decode(output, head.output, head.input, frames))
    weights.boxes.push_back(std::move(one));
}

fit::SampleWeights sample_weights(const Workspace& work, const capture::Stores& frames, ModelIndex receiver,
                                  Progress& progress) {
  const session::Model& model = work.models[receiver];
  const verify::Head& head = model.head;
  fit::SampleWeights weights;
  if (head.output.format == model::OutputFormat::kTensor) return weights;
  const std::int64_t count = frames.front().size();
  progress.begin("detections of " + head.name, count);
  // A weight need not be right to the last digit: the copy that capture runs will do.
  const verify::Forward forward =
      verify::optimised_forward(model.loaded, model.prepared, work.set, frames, head)(frames);
  for (const auto& positions : capture::batches(count, head.batch())) {
    const auto batch = static_cast<std::int64_t>(positions.size());
    add_boxes(head, forward(positions), batch, weights);
    progress.step(batch);
  }
  progress.end();
  return weights;
}

}  // namespace

FitFrames::FitFrames(const Workspace& work, const capture::Stores& calibration, Progress& progress)
    : work_(work), calibration_(calibration), progress_(progress) {
  const std::int64_t frames = calibration.front().size();
  if (frames <= kTriedFrames) return;
  for (std::int64_t i = 0; i < kTriedFrames; ++i) tried_at_.push_back(i * frames / kTriedFrames);
  for (std::int64_t position = 0, next = 0; position < frames; ++position) {
    const bool tried = next < kTriedFrames && tried_at_[next] == position;
    if (tried) ++next;
    if (!tried) rest_at_.push_back(position);
  }
  for (const video::FrameStore& store : calibration) {
    tried_.push_back(store.some(tried_at_));
    rest_.push_back(store.some(rest_at_));
  }
}

const fit::SampleWeights& FitFrames::weights_of(const capture::Stores& part, fit::WeightsOf& known,
                                                ModelIndex receiver) {
  if (known.count(receiver) == 0) known.emplace(receiver, sample_weights(work_, part, receiver, progress_));
  return known.at(receiver);
}

const fit::WeightsOf& FitFrames::weights_tried(ModelIndex receiver) {
  (void)weights_of(tried(), weights_tried_, receiver);
  return weights_tried_;
}

const fit::SampleWeights& FitFrames::weights_all(ModelIndex receiver) {
  const fit::SampleWeights& tried = weights_tried(receiver).at(receiver);
  if (all_tried() || tried.boxes.empty()) return tried;
  const auto [all, is_new] = weights_all_.try_emplace(receiver, tried);
  if (!is_new) return all->second;
  const fit::SampleWeights& rest = weights_of(rest_, weights_rest_, receiver);
  std::vector<model::Detections>& boxes = all->second.boxes;
  boxes.resize(tried.boxes.size() + rest.boxes.size());
  for (std::size_t i = 0; i < tried_at_.size(); ++i) boxes[tried_at_[i]] = tried.boxes[i];
  for (std::size_t i = 0; i < rest_at_.size(); ++i) boxes[rest_at_[i]] = rest.boxes[i];
  return all->second;
}

void FitFrames::take(ModelIndex model, const c10::IValue& output, std::int64_t frames) {
  progress_.spend("detections", [&] { add_boxes(work_.models[model].head, output, frames, weights_tried_[model]); });
}

std::vector<fit::FrameSubset> FitFrames::part_tried(ModelIndex receiver, fit::Reuse* reuse) {
  return {{&tried(), &weights_tried(receiver), reuse}};
}

std::vector<fit::FrameSubset> FitFrames::parts(ModelIndex receiver, fit::Reuse* reuse) {
  std::vector<fit::FrameSubset> parts = part_tried(receiver, reuse);
  if (all_tried()) return parts;
  (void)weights_of(rest_, weights_rest_, receiver);
  parts.push_back({&rest_, &weights_rest_, nullptr});
  return parts;
}

}  // namespace repsim::pipeline
