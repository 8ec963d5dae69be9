#include "repsim/base/error.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

constexpr std::int64_t kMaxGramElements = 1 << 20;  // of a cut that is gathered together with others
constexpr std::int64_t kPartOfWeights = 4;          // one part in so many of the memory for sums

}  // namespace

std::vector<graph::Splice> splices_of(std::span<const FittedShare> shares) {
  std::vector<graph::Splice> splices;
  for (const FittedShare& share : shares) splices.push_back(share.fitted.splice);
  return splices;
}

Fitter::Fitter(const session::Session& session, CalibrationFrames& calibration, FittingOptions options,
               OfferedInputs offered_inputs, Progress& progress)
    : session_(session),
      calibration_(calibration),
      options_(options),
      offered_inputs_(std::move(offered_inputs)),
      progress_(progress),
      reuse_(session.memory_budget.calibration_values,
             session.memory_budget.sums - (options_.shares_weights ? session.memory_budget.sums / kPartOfWeights : 0)),
      differences_(session.set, calibration.trial_frames(), session.memory_budget.sums / kPartOfWeights, progress) {}

fit::Attachment Fitter::attachment(const graph::Cut& cut, int rank,
                                   std::vector<fit::DonorLayer> auxiliary_inputs) const {
  std::optional<fit::Attachment> planned =
      fit::plan_attachment(session_.set, cut, {options_.linear, options_.refit, rank, std::move(auxiliary_inputs)});
  if (!planned) throw Error(ErrorKind::kInternal, "a candidate cannot be attached");
  return std::move(*planned);
}

bool Fitter::gathered(const graph::Cut& cut) const {
  return cut.replacements.empty() || gathered_.count({cut.receiver, cut.replacements}) > 0 ||
         attachment(cut, 0, {}).gram_elements > kMaxGramElements;
}

std::vector<graph::Splice> Fitter::gather(std::span<const planner::Candidate> candidates) {
  std::vector<fit::Attachment> attachments;
  for (const planner::Candidate& one : candidates) {
    attachments.push_back(attachment(one.cut, 0, {}));
    gathered_.emplace(one.cut.receiver, one.cut.replacements);
    (void)calibration_.trial_weights(one.cut.receiver);
  }
  // The sums stay in what is reused; attempts find them there.
  const std::vector<fit::FrameSubset> frames = calibration_.for_trial(candidates.front().cut.receiver, &reuse_);
  const std::vector<fit::CutSums> sums = fit::CutFitter(session_.set, frames, {}, progress_).gather(attachments);
  std::vector<graph::Splice> splices;
  for (std::size_t i = 0; i < sums.size(); ++i) splices.push_back(fit::solve(sums[i], attachments[i]).splice);
  return splices;
}

}  // namespace repsim::trial
