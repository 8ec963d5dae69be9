#include <algorithm>
#include <iterator>
#include <numeric>

#include "attempt.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"

namespace repsim::trial {
namespace {

// Fidelity that is added at most, as measured on many cuts.
constexpr double kMaxGainOfCorrections = 0.2;
constexpr double kMaxGainOfAuxiliaryInputs = 0.02;  // to corrections that see all frames and values

/// "corrections of rank 8 that also read stem.conv, stage1"
std::string described(const session::Session& session, const fit::Attachment& attachment) {
  const std::string weights =
      attachment.cut.weights.empty() ? "" : "weights of " + std::to_string(attachment.cut.weights.size()) + " layers";
  if (attachment.rank == 0) return weights.empty() ? "no corrections" : weights;
  std::vector<std::string> layers;
  for (const fit::DonorLayer& one : attachment.auxiliary_inputs)
    layers.push_back(session.models[one.donor].prepared.program.layers[one.donor_layer].name);
  return (weights.empty() ? "" : weights + " and ") + "corrections of rank " + std::to_string(attachment.rank) +
         (layers.empty() ? "" : " that also read " + join(layers, ", "));
}

double worst_residual(const fit::Fitted& fitted) {
  double worst = 0;
  for (const std::vector<double>& all : {fitted.residuals, fitted.output_variances})
    worst = std::accumulate(all.begin(), all.end(), worst, [](double a, double b) { return std::max(a, b); });
  return worst;
}

/// Corrections are tried while the best fit misses the target by no more than they may add.
bool corrections_may_help(double supported, double target) {
  return supported < target && supported >= target - kMaxGainOfCorrections;
}

bool auxiliary_inputs_may_help(double supported, double target) {
  return supported < target && supported >= target - kMaxGainOfAuxiliaryInputs;
}

}  // namespace

Evaluator::Evaluator(Fitter& fitter, Measurer& measurer, std::vector<double> targets, Supported supported)
    : Evaluator(std::vector<TrialTools>(fitter.session().models.size(), TrialTools{&fitter, &measurer}),
                std::move(targets), std::move(supported)) {}

Evaluator::Evaluator(std::vector<TrialTools> tools, std::vector<double> targets, Supported supported)
    : tools_(std::move(tools)), targets_(std::move(targets)), supported_(std::move(supported)) {}

planner::Measurement Evaluator::measure(const planner::Candidate& candidate,
                                        std::span<const planner::FittedShareId> donor_shares,
                                        const WorthFitting& worth_fitting) {
  Fitter& fitter = *tools_of(candidate.cut.receiver).fitter;
  release_free_memory();  // trials differ in what they allocate
  if (candidate.cut.replacements.empty()) {
    FittedShare share = fitter.fit_weights(candidate, Effort::kTrial);
    const EarlyEnd early = early_end(share, /*gain=*/0);
    return keep(measured(splices(donor_shares), std::move(share), early));
  }
  const Attempt attempt(fitter, candidate, splices(donor_shares), Effort::kTrial);
  const double target = targets_[candidate.cut.receiver];
  FittedShare plain = attempt.fit(attempt.attach(0));
  const EarlyEnd early = early_end(plain, fitter.options().max_rank >= kMinRank ? kMaxGainOfCorrections : 0);
  Result best = measured(attempt.donor_splices(), std::move(plain), early);
  std::map<int, FittedShare> corrected;
  for (int rank = kMinRank; rank <= fitter.options().max_rank && corrections_may_help(best.supported, target);
       rank *= 2) {
    const AttachedCandidate attached = attempt.attach(rank);
    if (attached.attachment.rank != rank || !attempt.saves(attached)) break;
    if (!worth_fitting(attached.savings)) {
      if (best.supported >= target - best.share.max_gain) break;  // it may hold as it is
      planner::Measurement measurement = measurement_of(best);    // a deferred share is not kept
      measurement.deferred_savings = attached.savings;
      return measurement;
    }
    if (corrected.empty()) corrected = attempt.fit_all_ranks();
    Result result = measured(attempt.donor_splices(), std::move(corrected.at(rank)));
    if (result.supported > best.supported) best = std::move(result);
  }
  const bool reads_auxiliary_inputs = best.share.attachment.rank > 0 && fitter.options().max_auxiliary_inputs > 0;
  if (reads_auxiliary_inputs && best.supported < target)
    best.share.max_gain = std::max(best.share.max_gain, kMaxGainOfAuxiliaryInputs);
  return keep(std::move(best));
}

planner::Measurement Evaluator::complete(planner::FittedShareId id,
                                         std::span<const planner::FittedShareId> donor_shares) {
  const FittedShare& tried = shares_[id];
  Fitter& fitter = *tools_of(tried.candidate.cut.receiver).fitter;
  if (tried.candidate.cut.replacements.empty())
    return keep(measured(splices(donor_shares), fitter.fit_weights(tried.candidate, Effort::kComplete)));
  const double target = targets_[tried.candidate.cut.receiver];
  const Attempt attempt(fitter, tried.candidate, splices(donor_shares), Effort::kComplete);
  Result best = measured(attempt.donor_splices(), attempt.fit({tried.attachment, tried.savings}));
  const fit::Attachment& attachment = best.share.attachment;
  if (attachment.rank > 0 && fitter.options().max_auxiliary_inputs > 0 &&
      auxiliary_inputs_may_help(best.supported, target)) {
    AttachedCandidate more = attempt.attach(attachment.rank, attempt.auxiliary_inputs_for(attachment));
    if (!more.attachment.auxiliary_inputs.empty() && attempt.saves(more)) {
      Result result = measured(attempt.donor_splices(), attempt.fit(std::move(more)));
      if (result.supported > best.supported) best = std::move(result);
    }
  }
  return keep(std::move(best));
}

bool Evaluator::prepared(const planner::Candidate& candidate) const {
  return tools_of(candidate.cut.receiver).fitter->gathered(candidate.cut);
}

void Evaluator::prepare(std::span<const planner::Candidate> candidates) {
  // A pass over frames serves the candidates of one stream.
  std::vector<const Fitter*> done;
  for (const planner::Candidate& first : candidates) {
    const TrialTools& tools = tools_of(first.cut.receiver);
    if (std::find(done.begin(), done.end(), tools.fitter) != done.end()) continue;
    done.push_back(tools.fitter);
    std::vector<planner::Candidate> of_stream;
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(of_stream),
                 [&](const planner::Candidate& one) { return tools_of(one.cut.receiver).fitter == tools.fitter; });
    release_free_memory();
    tools.measurer->compute_ahead(tools.fitter->gather(of_stream));
  }
}

/// A fit is out where nothing that may follow can help. One that holds may be told from the first frames if its
/// complete fit is measured on all of them before the share is kept.
/// @param gain  fidelity that corrections may add at most
EarlyEnd Evaluator::early_end(const FittedShare& share, double gain) const {
  const double target = targets_[share.candidate.cut.receiver];
  return {.misses_below = target - std::max(gain, share.max_gain),
          .holds_from = share.max_gain > 0 ? std::optional(target) : std::nullopt};
}

Evaluator::Result Evaluator::measured(std::span<const graph::Splice> donor_splices, FittedShare share,
                                      const std::optional<EarlyEnd>& early) {
  std::vector<graph::Splice> splices(donor_splices.begin(), donor_splices.end());
  splices.push_back(share.fitted.splice);
  const ModelIndex receiver = share.candidate.cut.receiver;
  const TrialTools& tools = tools_of(receiver);
  const Agreement agreement = tools.measurer->agreement(receiver, splices, early);
  log::debug("with " + described(tools.fitter->session(), share.attachment) + ": " +
             (agreement.fidelity ? fixed3(*agreement.fidelity) : "not measured") + ", R2 " +
             fixed3(1 - worst_residual(share.fitted)) + "; " +
             report::human_bytes(tools.fitter->bytes_kept() + tools.measurer->bytes_kept()) + " of values kept");
  const double supported = supported_ ? supported_(receiver, agreement) : agreement.low;
  return {std::move(share), agreement, supported};
}

std::vector<graph::Splice> Evaluator::splices(std::span<const planner::FittedShareId> ids) const {
  std::vector<graph::Splice> splices;
  for (const planner::FittedShareId id : ids) splices.push_back(shares_[id].fitted.splice);
  return splices;
}

planner::Measurement Evaluator::measurement_of(const Result& result) const {
  planner::Measurement measurement;
  measurement.savings = result.share.savings;
  measurement.fidelity = result.agreement.fidelity.value_or(0);
  measurement.is_measured = result.agreement.fidelity.has_value();
  measurement.decided_after = result.agreement.decided_after;
  if (tools_of(result.share.candidate.cut.receiver).measurer->has_interval()) measurement.low = result.supported;
  measurement.max_gain = result.share.max_gain;
  return measurement;
}

planner::Measurement Evaluator::keep(Result result) {
  planner::Measurement measurement = measurement_of(result);
  measurement.share = shares_.size();
  shares_.push_back(std::move(result.share));
  return measurement;
}

}  // namespace repsim::trial
