#include "repsim/frame_runs.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

constexpr std::int64_t kMaxTrialFrames = 96;

void add_boxes(const verify::Head& head, const c10::IValue& output, std::int64_t frames, fit::SampleWeights& weights) {
  for (model::Detections& one : model::decode(output, head.output, head.input, frames))
    weights.boxes.push_back(std::move(one));
}

bool has_detections(const session::Model& model) { return model.head.output.format != model::OutputFormat::kTensor; }

fit::SampleWeights sample_weights(const session::Session& session, const capture::Stores& frames, ModelIndex receiver,
                                  Progress& progress) {
  const session::Model& model = session.models[receiver];
  fit::SampleWeights weights;
  if (!has_detections(model)) return weights;
  const std::int64_t count = frames.front().size();
  progress.begin("detections of " + model.name(), count);
  // A weight need not be right to the last digit: the copy that capture runs will do.
  const verify::Forward forward =
      verify::optimised_forward(model.loaded, model.prepared, session.set, frames, model.head)(frames);
  for (const auto& positions : capture::batches(count, model.head.batch())) {
    capture::on_frames({model.name(), frames.front().frames()}, positions, [&](std::span<const std::int64_t> some) {
      add_boxes(model.head, forward(some), static_cast<std::int64_t>(some.size()), weights);
    });
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();
  return weights;
}

}  // namespace

CalibrationFrames::CalibrationFrames(const session::Session& session, const capture::Stores& all, Progress& progress)
    : session_(session), all_(all), progress_(progress) {
  const std::int64_t frames = all.front().size();
  if (frames <= kMaxTrialFrames) return;
  for (std::int64_t i = 0; i < kMaxTrialFrames; ++i) trial_positions_.push_back(i * frames / kMaxTrialFrames);
  std::size_t next = 0;
  for (std::int64_t position = 0; position < frames; ++position) {
    if (next < trial_positions_.size() && trial_positions_[next] == position) {
      ++next;
    } else {
      rest_positions_.push_back(position);
    }
  }
  for (const video::FrameStore& store : all) {
    trial_.push_back(store.some(trial_positions_));
    rest_.push_back(store.some(rest_positions_));
  }
}

std::vector<const capture::Stores*> CalibrationFrames::parts() const {
  if (is_undivided()) return {&all_};
  return {&trial_, &rest_};
}

const fit::SampleWeights& CalibrationFrames::weights_on(const capture::Stores& frames, fit::WeightsOf& known,
                                                        ModelIndex receiver) {
  if (known.count(receiver) == 0) known.emplace(receiver, sample_weights(session_, frames, receiver, progress_));
  return known.at(receiver);
}

const fit::WeightsOf& CalibrationFrames::trial_weights(ModelIndex receiver) {
  (void)weights_on(trial_frames(), trial_weights_, receiver);
  return trial_weights_;
}

const fit::WeightsOf& CalibrationFrames::all_weights(ModelIndex receiver) {
  const fit::SampleWeights& trial = trial_weights(receiver).at(receiver);
  if (is_undivided()) return trial_weights_;
  const auto [all, is_new] = all_weights_.try_emplace(receiver, trial);
  if (!is_new || trial.boxes.empty()) return all_weights_;
  const fit::SampleWeights& rest = weights_on(rest_, rest_weights_, receiver);
  std::vector<model::Detections>& boxes = all->second.boxes;
  boxes.resize(trial.boxes.size() + rest.boxes.size());
  for (std::size_t i = 0; i < trial_positions_.size(); ++i) boxes[trial_positions_[i]] = trial.boxes[i];
  for (std::size_t i = 0; i < rest_positions_.size(); ++i) boxes[rest_positions_[i]] = rest.boxes[i];
  return all_weights_;
}

fit::Outputs CalibrationFrames::outputs_of(std::span<const ModelIndex> receivers) {
  fit::Outputs outputs;
  for (const ModelIndex receiver : receivers) {
    if (has_detections(session_.models[receiver])) outputs.models.insert(receiver);
  }
  outputs.take = [this](ModelIndex model, const c10::IValue& output, std::int64_t frames) {
    progress_.spend("detections",
                    [&] { add_boxes(session_.models[model].head, output, frames, trial_weights_[model]); });
  };
  return outputs;
}

std::vector<fit::FrameSubset> CalibrationFrames::for_trial(ModelIndex receiver, fit::Reuse* reuse) {
  return {{&trial_frames(), &trial_weights(receiver), reuse}};
}

std::vector<fit::FrameSubset> CalibrationFrames::for_complete_fit(ModelIndex receiver, fit::Reuse* reuse) {
  std::vector<fit::FrameSubset> subsets = for_trial(receiver, reuse);
  if (is_undivided()) return subsets;
  (void)weights_on(rest_, rest_weights_, receiver);
  subsets.push_back({&rest_, &rest_weights_, nullptr});
  return subsets;
}

}  // namespace repsim::trial
