#include "trials.hpp"

#include <cstdio>

#include "columns.hpp"
#include "repsim/base/log.hpp"
#include "repsim/optimised.hpp"
#include "savings.hpp"
#include "side_inputs.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kLeastRank = 4;                    // of a correction; larger ones double it
constexpr std::int64_t kMostTogether = 1 << 20;  // elements of the Gram matrices of a cut that is gathered with others
constexpr double kReach = 0.2;                   // fidelity that corrections may bring: more was never measured
constexpr double kReachOfSides = 0.02;           // and side inputs beyond that

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

/// One candidate on its donors' shares: what its fits have in common.
class Trials::Attempt {
 public:
  Attempt(Trials& trials, const planner::Candidate& candidate, const std::vector<graph::Splice>& before)
      : trials_(trials),
        candidate_(candidate),
        before_(before),
        cut_(cut_of(candidate)),
        plain_(fit::plan_joint(trials.work_.set, cut_, fit_options(trials.settings_))),
        rows_(trials.weights(candidate.receiver)),
        sums_(std::move(fit::gather(trials.work_.set, trials.calibration_, before, {&cut_, 1}, {&plain_, 1},
                                    trials.progress_, rows_, &trials.on_calibration_)
                            .front())) {}

  [[nodiscard]] const fit::Gathered& plain_sums() const { return sums_; }
  /// Whether corrections that are kept see more than those that a search tries.
  [[nodiscard]] bool sees_more() const {
    return fit::sees_more(sums_, fit::kMostRegressorsTried, fit::kMostRegressors);
  }

  /// The candidate joined like this, and what it then saves; nothing is fitted.
  [[nodiscard]] Accepted joined(int rank, std::vector<fit::Side> sides = {}) const {
    fit::Options options = fit_options(trials_.settings_);
    options.rank = rank;
    options.sides = std::move(sides);
    Accepted accepted{candidate_, {}, fit::plan_joint(trials_.work_.set, cut_, options)};
    const std::int64_t bytes = accepted.joint.bytes_added - plain_.bytes_added;
    accepted.candidate.bytes_saved -= bytes;
    accepted.candidate.flops_saved -= accepted.joint.flops_added - plain_.flops_added;
    accepted.candidate.memory_saved -= bytes;
    accepted.candidate.latency_saved_ns -= corrections_ns(plain_, accepted.joint);
    return accepted;
  }
  [[nodiscard]] bool saves(const Accepted& accepted) const {
    return planner::saving_of(accepted.candidate, objective_of(trials_.settings_)) > 0;
  }

  [[nodiscard]] fit::Gathered corrections(const fit::Joint& joint, std::int64_t most_regressors) const {
    return fit::gather_corrections(trials_.work_.set, trials_.calibration_, before_, cut_, joint, sums_,
                                   trials_.progress_, rows_, &trials_.on_calibration_, most_regressors);
  }

  /// More layers that corrections of this joint are to read.
  [[nodiscard]] std::vector<fit::Side> sides_for(const fit::Joint& joint) const {
    const std::vector<fit::Side> offered =
        offered_sides(trials_.settings_, trials_.work_, trials_.signatures_, candidate_, plain_, before_);
    return fit::choose_sides(trials_.work_.set, trials_.calibration_, before_, cut_, joint, sums_, offered,
                             static_cast<std::size_t>(trials_.settings_.max_side_inputs), trials_.progress_, rows_);
  }

  /// With corrections on all that they may see.
  [[nodiscard]] Measured completed(Accepted accepted) const {
    const fit::Gathered sums = corrections(accepted.joint, fit::kMostRegressors);
    accepted.complete = true;
    return measured(std::move(accepted), sums);
  }

  [[nodiscard]] Measured measured(Accepted accepted, const fit::Gathered& sums) const {
    accepted.fitted = fit::solve(sums, accepted.joint, fit_options(trials_.settings_));
    std::vector<graph::Splice> splices = before_;
    splices.push_back(accepted.fitted.splice);
    const Agreement agreement = trials_.measured(candidate_.receiver, splices);
    log::debug("with " + described(accepted.joint) + ": " + rounded(agreement.fidelity) + ", R2 " +
               rounded(1 - accepted.fitted.residuals.front()) + "; " +
               report::human_bytes(trials_.on_calibration_.values.bytes() + trials_.on_frames_.bytes()) +
               " of values kept");
    return {std::move(accepted), agreement};
  }

 private:
  [[nodiscard]] std::string described(const fit::Joint& joint) const {
    if (joint.rank == 0) return "no corrections";
    std::string text = "corrections of rank " + std::to_string(joint.rank);
    for (std::size_t i = 0; i < joint.sides.size(); ++i) {
      const fit::Side& side = joint.sides[i];
      text += i == 0 ? " that also read " : ", ";
      text += trials_.work_.prepared[at(side.donor)].program.layers[at(side.donor_layer)].name;
    }
    return text;
  }

  Trials& trials_;
  const planner::Candidate& candidate_;
  const std::vector<graph::Splice>& before_;
  const fit::Cut cut_;
  const fit::Joint plain_;
  const fit::RowWeights& rows_;
  const fit::Gathered sums_;
};

Trials::Measured Trials::run(const planner::Candidate& candidate, const std::vector<graph::Splice>& before,
                             const Worth& worth) {
  const double target = settings_.min_fidelity_for(work_.prepared[at(candidate.receiver)].name);
  const Attempt attempt(*this, candidate, before);
  std::optional<Measured> best;
  std::optional<fit::Gathered> sums;  // what one rank needs serves all
  for (int rank = 0; rank <= settings_.max_rank; rank = rank == 0 ? kLeastRank : 2 * rank) {
    Accepted accepted = attempt.joined(rank);
    if (accepted.joint.rank != rank) break;  // nothing is fitted that a correction could stand beside
    if (rank > 0 && !attempt.saves(accepted)) break;
    if (rank > 0 && !worth(accepted.candidate)) {
      best->not_worth_it = accepted.candidate;
      return std::move(*best);
    }
    if (rank == kLeastRank) sums = attempt.corrections(accepted.joint, fit::kMostRegressorsTried);
    Measured trial = attempt.measured(std::move(accepted), rank == 0 ? attempt.plain_sums() : *sums);
    if (!best || trial.agreement.low > best->agreement.low) best = std::move(trial);
    if (best->agreement.low >= target || best->agreement.low < target - kReach) break;
  }
  if (best->accepted.joint.rank == 0) return std::move(*best);
  best->accepted.complete = !attempt.sees_more();
  if (best->agreement.low >= target || best->agreement.low < target - kReachOfMore) return std::move(*best);
  if (!best->accepted.complete) best = attempt.completed(best->accepted);
  if (settings_.max_side_inputs == 0 || best->agreement.low >= target || best->agreement.low < target - kReachOfSides)
    return std::move(*best);
  const fit::Joint& joint = best->accepted.joint;
  Accepted accepted = attempt.joined(joint.rank, attempt.sides_for(joint));
  if (accepted.joint.sides.empty() || !attempt.saves(accepted) || !worth(accepted.candidate)) return std::move(*best);
  Measured trial = attempt.completed(std::move(accepted));
  if (trial.agreement.low > best->agreement.low) best = std::move(trial);
  return std::move(*best);
}

Trials::Measured Trials::completed(const Accepted& accepted, const std::vector<graph::Splice>& before) {
  return Attempt(*this, accepted.candidate, before).completed(accepted);
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
    for (const graph::Source* one : splice.sources()) involved.push_back(one->donor);
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
