#include "trials.hpp"

#include <cstdio>

#include "columns.hpp"
#include "repsim/base/log.hpp"
#include "repsim/optimised.hpp"
#include "savings.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kLeastRank = 4;                    // of a correction; larger ones double it
constexpr std::int64_t kMostTogether = 1 << 20;  // elements of the Gram matrices of a cut that is gathered with others
constexpr double kReach = 0.2;                   // fidelity that corrections may bring: more was never measured
constexpr double kReachOfMore = 0.03;            // and corrections that see all channels beyond that

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

fit::RowWeights row_weights(const Workspace& work, const capture::Stores& calibration, const verify::Head& head,
                            int receiver, Progress& progress) {
  fit::RowWeights weights;
  if (head.output.format == model::OutputFormat::kTensor) return weights;
  const std::int64_t frames = calibration.front().size();
  progress.begin("detections of " + head.name, frames);
  const auto inputs = [&](std::span<const std::int64_t> positions) {
    return capture::group_inputs(work.set, calibration, {&head.group, 1}, positions);
  };
  const auto runs = capture::batches(frames, head.batchable ? video::kMinibatchFrames : 1);
  const std::span<const std::int64_t> few(runs.front().data(), std::min<std::size_t>(runs.front().size(), 2));
  // A weight need not be right to the last digit: the copy that capture runs will do.
  const graph::TapRunner copy = graph::layer_runner(work.prepared[at(receiver)], inputs(few), /*keep_output=*/true);
  for (const auto& positions : runs) {
    const auto batch = static_cast<std::int64_t>(positions.size());
    for (model::Detections& one : model::decode(copy.runner.run(inputs(positions)), head.output, head.input, batch))
      weights.boxes.push_back(std::move(one));
    progress.step(batch);
  }
  progress.end();
  return weights;
}

const fit::RowWeights& Trials::weights(int receiver) {
  const auto found = weights_.find(receiver);
  if (found != weights_.end()) return found->second;
  return weights_.emplace(receiver, row_weights(work_, calibration_, heads_[at(receiver)], receiver, progress_))
      .first->second;
}

Trials::Key Trials::key(const planner::Candidate& candidate) {
  return {{candidate.receiver}, candidate.receiver_layers, candidate.donors, candidate.donor_layers};
}

bool Trials::gathered(const planner::Candidate& candidate) const {
  const fit::Joint joint = fit::plan_joint(work_.set, cut_of(candidate), fit_options(settings_));
  return joint.gram_elements > kMostTogether || gathered_.count(key(candidate)) > 0;
}

void Trials::gather(const std::vector<planner::Candidate>& candidates) {
  std::vector<fit::Cut> cuts;
  std::vector<fit::Joint> joints;
  for (const planner::Candidate& one : candidates) {
    cuts.push_back(cut_of(one));
    joints.push_back(fit::plan_joint(work_.set, cuts.back(), fit_options(settings_)));
  }
  for (const planner::Candidate& one : candidates) gathered_.insert(key(one));
  // The sums stay in what is reused; run() finds them there.
  (void)fit::gather(work_.set, calibration_, {}, cuts, joints, progress_, weights(candidates.front().receiver),
                    &on_calibration_);
}

std::pair<Accepted, Agreement> Trials::run(const planner::Candidate& candidate, std::vector<graph::Splice> before) {
  const fit::Cut cut = cut_of(candidate);
  const double target = settings_.min_fidelity_for(work_.prepared[at(candidate.receiver)].name);
  fit::Options options = fit_options(settings_);
  const fit::Joint plain = fit::plan_joint(work_.set, cut, options);
  const fit::RowWeights& rows = weights(candidate.receiver);
  const fit::Gathered gathered = std::move(
      fit::gather(work_.set, calibration_, before, {&cut, 1}, {&plain, 1}, progress_, rows, &on_calibration_).front());
  const auto corrected = [&](const fit::Joint& joint, std::int64_t most_regressors) {
    return fit::gather_corrections(work_.set, calibration_, before, cut, joint, gathered, progress_, rows,
                                   &on_calibration_, most_regressors);
  };
  const auto tried = [&](Accepted accepted, const fit::Gathered& sums) {
    accepted.fitted = fit::solve(sums, accepted.joint, options);
    std::vector<graph::Splice> splices = before;
    splices.push_back(accepted.fitted.splice);
    const Agreement agreement = measured(candidate.receiver, splices);
    const std::string with = accepted.joint.rank > 0 ? "corrections of rank " + std::to_string(accepted.joint.rank)
                                                     : std::string("no corrections");
    log::debug("with " + with + ": " + rounded(agreement.fidelity) + ", R2 " +
               rounded(1 - accepted.fitted.residuals.front()) + "; " +
               report::human_bytes(on_calibration_.values.bytes() + on_frames_.bytes()) + " of values kept");
    return std::pair(std::move(accepted), agreement);
  };
  std::optional<std::pair<Accepted, Agreement>> best;
  std::optional<fit::Gathered> sums;  // what one rank needs serves all
  for (int rank = 0; rank <= settings_.max_rank; rank = rank == 0 ? kLeastRank : 2 * rank) {
    options.rank = rank;
    Accepted accepted{candidate, {}, fit::plan_joint(work_.set, cut, options)};
    if (accepted.joint.rank != rank) break;  // nothing is fitted that a correction could stand beside
    accepted.candidate.bytes_saved -= accepted.joint.bytes_added - plain.bytes_added;
    accepted.candidate.flops_saved -= accepted.joint.flops_added - plain.flops_added;
    accepted.candidate.memory_saved -= accepted.joint.bytes_added - plain.bytes_added;
    accepted.candidate.latency_saved_ns -= corrections_ns(plain, accepted.joint);
    if (rank > 0 && planner::saving_of(accepted.candidate, objective_of(settings_)) <= 0) break;
    if (rank == kLeastRank) sums = corrected(accepted.joint, fit::kMostRegressorsTried);
    auto trial = tried(std::move(accepted), rank == 0 ? gathered : *sums);
    if (!best || trial.second.low > best->second.low) best = std::move(trial);
    if (best->second.low >= target || best->second.low < target - kReach) break;
  }
  // What is kept sees all channels, so what may be kept is judged as that.
  const int rank = best->first.joint.rank;
  if (rank > 0 && best->second.low >= target - kReachOfMore &&
      fit::sees_more(gathered, fit::kMostRegressorsTried, fit::kMostRegressors)) {
    options.rank = rank;
    const fit::Gathered all = corrected(best->first.joint, fit::kMostRegressors);
    best = tried(std::move(best->first), all);
  }
  return std::move(*best);
}

const verify::Reference& Trials::reference(int receiver) {
  const auto known = references_.find(receiver);
  if (known != references_.end()) return known->second;
  const verify::Head& head = heads_[at(receiver)];
  const verify::Forward original = verify::original_on_device(work_.loaded[at(receiver)], work_.prepared[at(receiver)],
                                                              work_.set, frames_, head.group);
  return references_.emplace(receiver, verify::reference(head, original, frames_.front().size(), progress_))
      .first->second;
}

verify::Measured Trials::found(int receiver, const std::vector<graph::Splice>& splices) {
  std::vector<int> involved{receiver};
  for (const graph::Splice& splice : splices) {
    for (const graph::Override& one : splice.overrides) involved.push_back(one.donor);
  }
  verify::Head head = heads_[at(receiver)];
  head.batchable = work_.set.batch(involved) > 1;
  const std::vector<int> wanted{receiver};
  const graph::Assembly assembly = graph::assemble(work_.set.models, work_.set.groups, splices, wanted);
  const std::int64_t frames = frames_.front().size();
  capture::JointPass pass(assembly, work_.set, frames_, frames, head.batchable ? video::kMinibatchFrames : 1,
                          &on_frames_);
  const verify::Forward original = verify::original_on_device(work_.loaded[at(receiver)], work_.prepared[at(receiver)],
                                                              work_.set, frames_, head.group);
  const verify::Forward merged = [&](std::span<const std::int64_t>) { return pass.results(); };
  return verify::measure(head, reference(receiver), original, merged, frames, progress_);
}

Agreement Trials::measured(int receiver, const std::vector<graph::Splice>& splices) {
  const verify::Measured merged = found(receiver, splices);
  Agreement agreement{merged.fidelity, merged.fidelity};
  // Without detections of its own, or with raw outputs, there is nothing to draw from.
  if (settings_.confidence > 0 && reference(receiver).own_detections > 0) {
    agreement.low = verify::bootstrap_interval(merged.found, reference(receiver).targets, settings_.confidence,
                                               verify::kDraws, settings_.seed)
                        .low;
  }
  return agreement;
}

}  // namespace repsim::pipeline
