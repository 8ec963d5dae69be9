#pragma once

#include <vector>

#include "repsim/fit/fitting.hpp"
#include "repsim/verify.hpp"
#include "workspace.hpp"

namespace repsim::pipeline {

/// The frames that fit, in two parts: those that a search tries its fits on, and the rest, which what is kept is fitted
/// on besides. Few frames are one part. With the weights of their rows: where a receiver's own detections lie; all
/// places alike for raw outputs.
class FitFrames {
 public:
  FitFrames(const Workspace& work, const capture::Stores& calibration, Progress& progress);

  [[nodiscard]] const capture::Stores& all() const { return calibration_; }
  [[nodiscard]] const capture::Stores& tried() const { return tried_.empty() ? calibration_ : tried_; }
  [[nodiscard]] bool all_tried() const { return tried_.empty(); }

  /// Weights of the rows of tried(), with those of this receiver; each is worked out once.
  /// @throws Error{kInterrupted}
  const fit::WeightsOf& weights_tried(ModelIndex receiver);
  const fit::SampleWeights& weights_all(ModelIndex receiver);

  /// What a model returns for the next frames of tried(), in order: nothing is run for its weights then.
  void take(ModelIndex model, const c10::IValue& output, std::int64_t frames);

  /// What a fit of this receiver that is kept sees.
  /// @param reuse  of tried()
  std::vector<fit::FrameSubset> parts(ModelIndex receiver, fit::Reuse* reuse);
  /// What one that is tried sees.
  std::vector<fit::FrameSubset> part_tried(ModelIndex receiver, fit::Reuse* reuse);

 private:
  const fit::SampleWeights& weights_of(const capture::Stores& part, fit::WeightsOf& known, ModelIndex receiver);

  const Workspace& work_;
  const capture::Stores& calibration_;
  Progress& progress_;
  std::vector<std::int64_t> tried_at_, rest_at_;  // positions of all()
  capture::Stores tried_, rest_;                  // empty: all are tried
  fit::WeightsOf weights_tried_, weights_rest_, weights_all_;
};

}  // namespace repsim::pipeline
