#include "trials.hpp"

#include <cstdio>

#include "columns.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kDraws = 200;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::pair<Accepted, Agreement> Trials::run(const planner::Candidate& candidate, std::vector<graph::Splice> before) {
  const fit::Cut cut = cut_of(candidate);
  const fit::Options options = fit_options(settings_);
  Accepted accepted{candidate, {}, fit::plan_joint(work_.set, cut, options)};
  accepted.fitted = fit::fit(work_.set, calibration_, before, cut, accepted.joint, options, progress_);
  before.push_back(accepted.fitted.splice);
  const Agreement agreement = measured(candidate.receiver, before);
  return {std::move(accepted), agreement};
}

Agreement Trials::measured(int receiver, const std::vector<graph::Splice>& splices) {
  std::vector<int> involved{receiver};
  for (const graph::Splice& splice : splices) {
    for (const graph::Override& one : splice.overrides) involved.push_back(one.donor);
  }
  verify::Head head = heads_[at(receiver)];
  head.batchable = work_.set.batch(involved) > 1;
  const std::vector<int> wanted{receiver};
  const graph::Assembly assembly = graph::assemble(work_.set.models, work_.set.groups, splices, wanted);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), {}, /*keep_output=*/true);
  const verify::Forward original = verify::original_forward(work_.loaded[at(receiver)], work_.set, frames_, head.group);
  const verify::Forward merged = [&](std::span<const std::int64_t> positions) {
    return runner.run(capture::group_inputs(work_.set, frames_, assembly.input_groups, positions));
  };
  const std::int64_t frames = frames_.front().size();
  if (references_.count(receiver) == 0) references_[receiver] = verify::reference(head, original, frames, progress_);
  const verify::Reference& reference = references_.at(receiver);
  const verify::Measured found = verify::measure(head, reference, original, merged, frames, progress_);
  Agreement agreement{found.fidelity, found.fidelity};
  // Without detections of its own, or with raw outputs, there is nothing to draw from.
  if (settings_.confidence > 0 && reference.own_detections > 0) {
    agreement.low =
        verify::bootstrap_interval(found.found, reference.targets, settings_.confidence, kDraws, settings_.seed).low;
  }
  return agreement;
}

}  // namespace repsim::pipeline
