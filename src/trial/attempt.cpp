#include "attempt.hpp"

#include <algorithm>

namespace repsim::trial {
namespace {

// Fidelity that a complete fit adds at most to corrections, which then read all values that they may, as measured on
// many cuts.
constexpr double kMaxGainOfMoreRegressors = 0.03;

/// The estimated time of corrections: arithmetic, and two convolutions and a sum per map; per auxiliary input at most a
/// resize, a convolution and a sum.
std::int64_t corrections_ns(const fit::Attachment& plain, const fit::Attachment& corrected) {
  if (corrected.rank == plain.rank) return 0;
  const auto maps = static_cast<std::int64_t>(corrected.maps.size());
  const auto operations = 3 * (1 + static_cast<std::int64_t>(corrected.auxiliary_inputs.size()));
  return graph::kConvolutionCost.nanoseconds(corrected.flops_added - plain.flops_added, 0) +
         (operations * maps - 1) * graph::kPointwiseCost.overhead_ns;
}

planner::Savings savings_with(const fit::Attachment& corrected, const fit::Attachment& plain,
                              planner::Savings savings) {
  const std::int64_t bytes = corrected.bytes_added - plain.bytes_added;
  savings.bytes -= bytes;
  savings.flops -= corrected.flops_added - plain.flops_added;
  savings.memory -= bytes;
  savings.latency_ns -= corrections_ns(plain, corrected);
  return savings;
}

std::vector<fit::FrameSubset> frames_of(Effort effort, ModelIndex receiver, CalibrationFrames& calibration,
                                        fit::Reuse& reuse) {
  return effort == Effort::kTrial ? calibration.for_trial(receiver, &reuse)
                                  : calibration.for_complete_fit(receiver, &reuse);
}

}  // namespace

Attempt::Attempt(Fitter& fitter, const planner::Candidate& candidate, std::vector<graph::Splice> donor_splices,
                 Effort effort)
    : fitter_(fitter),
      candidate_(candidate),
      donor_splices_(std::move(donor_splices)),
      effort_(effort),
      max_regressors_(effort == Effort::kTrial ? fit::kMaxTrialRegressors : fit::kMaxRegressors),
      cut_fitter_(fitter.session_.set, frames_of(effort, candidate.cut.receiver, fitter.calibration_, fitter.reuse_),
                  donor_splices_, fitter.progress_),
      plain_(fitter.attachment(candidate.cut, 0, {})),
      sums_(cut_fitter_.gather(plain_)) {}

AttachedCandidate Attempt::attach(int rank, std::vector<fit::DonorLayer> auxiliary_inputs) const {
  AttachedCandidate attached{fitter_.attachment(candidate_.cut, rank, std::move(auxiliary_inputs)), {}};
  attached.savings = savings_with(attached.attachment, plain_, candidate_.savings);
  return attached;
}

bool Attempt::saves(const AttachedCandidate& attached) const {
  return attached.savings.of(fitter_.options().objective) > 0;
}

std::vector<fit::DonorLayer> Attempt::auxiliary_inputs_for(const fit::Attachment& attachment) const {
  const ModelIndex receiver = candidate_.cut.receiver;
  CalibrationFrames& calibration = fitter_.calibration_;
  const std::vector<fit::DonorLayer> offered = fitter_.offered_inputs_(plain_, donor_splices_);
  const fit::CutFitter on_all_frames(fitter_.session_.set,
                                     {{&calibration.all(), &calibration.all_weights(receiver), nullptr}},
                                     donor_splices_, fitter_.progress_);
  return on_all_frames.choose_auxiliary_inputs(attachment, sums_, offered, fitter_.options().max_auxiliary_inputs);
}

FittedShare Attempt::fit(AttachedCandidate attached) const {
  fit::Fitted fitted = attached.attachment.rank == 0
                           ? fit::solve(sums_, attached.attachment)
                           : fit::solve(cut_fitter_.gather_corrections(attached.attachment, sums_, max_regressors_),
                                        attached.attachment);
  return share(std::move(attached), std::move(fitted));
}

std::map<int, FittedShare> Attempt::fit_all_ranks() const {
  std::vector<AttachedCandidate> attached;
  std::vector<fit::Attachment> attachments;
  for (int rank = kMinRank; rank <= fitter_.options().max_rank; rank *= 2) {
    AttachedCandidate one = attach(rank);
    if (one.attachment.rank != rank) break;
    attachments.push_back(one.attachment);
    attached.push_back(std::move(one));
  }
  if (attached.empty()) return {};
  std::vector<fit::Fitted> fitted =
      fit::solve_ranks(cut_fitter_.gather_corrections(attachments.front(), sums_, max_regressors_), attachments);
  std::map<int, FittedShare> by_rank;
  for (std::size_t i = 0; i < attached.size(); ++i)
    by_rank.emplace(attachments[i].rank, share(std::move(attached[i]), std::move(fitted[i])));
  return by_rank;
}

FittedShare Attempt::share(AttachedCandidate attached, fit::Fitted fitted) const {
  if (!candidate_.cut.weights.empty()) fitter_.add_weights(candidate_.cut, effort_, fitted);
  const double gain = max_gain(attached.attachment);
  return {candidate_, attached.savings, std::move(attached.attachment), std::move(fitted), gain};
}

double Attempt::max_gain(const fit::Attachment& attachment) const {
  const bool all_frames = effort_ == Effort::kComplete || fitter_.calibration_.is_undivided();
  if (attachment.rank == 0) return all_frames ? 0 : kMaxGainOfFrames;
  const bool all_regressors = !fit::reads_more(sums_, max_regressors_, fit::kMaxRegressors);
  return all_frames && all_regressors ? 0 : kMaxGainOfMoreRegressors;
}

}  // namespace repsim::trial
