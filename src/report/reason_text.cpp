#include "repsim/reason_text.hpp"

#include <vector>

#include "format.hpp"
#include "repsim/base/text.hpp"

namespace repsim::report {
namespace {

// One place for what is said of the frames that judge.
constexpr const char* kJudgingFrames = "the frames that judge";
constexpr const char* kNoLookLeft = "no look at the frames that judge is left (--max-judgements)";

std::string too_little_evidence_text(const planner::Reason& reason, const std::string& receiver) {
  const std::string finds = reason.detections == 0 ? " finds nothing on "
                                                   : " finds " + std::to_string(reason.detections) +
                                                         (reason.detections == 1 ? " object on " : " objects on ");
  return "not tried: " + receiver + finds + kJudgingFrames + ", " + std::to_string(reason.wanted) +
         " wanted: --min-evidence, --accept-unmeasured " + receiver;
}

std::string not_measured_text(const planner::Reason& reason, const std::string& receiver,
                              const std::string& taking_donors) {
  return "not measured" + taking_donors + ": nothing of " + receiver + " can be compared on these frames; R2 " +
         fixed3(reason.r2) + (reason.r2 < reason.target ? " is below " + fixed3(reason.target) : "");
}

/// Of which candidates the trials are counted together.
std::string group_text(const graph::Cut& cut) {
  if (!cut.weights.empty())
    return cut.replacements.empty() ? "weights of this model" : "layers and weights of this pair";
  return cut.donors().size() > 1 ? "these donors mixed" : "this pair";
}

}  // namespace

std::string measured_text(const planner::Reason& reason) {
  std::string text = fidelity_text(reason.fidelity);
  if (reason.decided_after > 0) text += " on the first " + counted(reason.decided_after, "frame");
  if (reason.low && *reason.low < reason.fidelity) text += " (its frames support " + fidelity_text(*reason.low) + ")";
  return text;
}

std::string taking_donors_text(const planner::Reason& reason, std::span<const std::string> model_names) {
  if (reason.models.empty()) return {};
  std::vector<std::string> names;
  for (const ModelIndex model : reason.models) names.push_back(model_names[model]);
  const std::string all = join(names, "+");
  return names.size() == 1 ? " on a " + all + " that takes layers itself"
                           : " on " + all + " that take layers themselves";
}

// NOLINTNEXTLINE(readability-function-size): a sentence per kind
std::string reason_text(const planner::CandidateRecord& record, std::span<const std::string> model_names) {
  using Kind = planner::Reason::Kind;
  const planner::Reason& reason = record.reason;
  const std::string& receiver = model_names[record.candidate.cut.receiver];
  switch (reason.kind) {
    case Kind::kNone:
      return {};
    case Kind::kChosenLargestSaving:
      return "largest saving that keeps the fidelity";
    case Kind::kChosenBestFidelity:
      return "best worst fidelity within the budget";
    case Kind::kHolds:
      return "keeps the fidelity" + taking_donors_text(reason, model_names) + ", another choice is better";
    case Kind::kNear:
      return "measured fidelity " + measured_text(reason) + taking_donors_text(reason, model_names) + " is near " +
             fixed3(reason.target) +
             (reason.loss > 0 ? " plus " + fixed3(reason.loss) + " that " + kJudgingFrames + " showed less" : "") +
             ", another choice is better";
    case Kind::kBelow:
      return "measured fidelity " + measured_text(reason) + taking_donors_text(reason, model_names) + " is below " +
             fixed3(reason.target);
    case Kind::kNotMeasured:
      return not_measured_text(reason, receiver, taking_donors_text(reason, model_names));
    case Kind::kRefused:
      return "fidelity " + measured_text(reason) + " on " + kJudgingFrames + " is below " + fixed3(reason.target);
    case Kind::kLikelyRefused:
      return "measured fidelity " + measured_text(reason) + taking_donors_text(reason, model_names) +
             (reason.near_copy ? " is hardly better than that of a share that " + std::string(kJudgingFrames) +
                                     " refused, and saves nearly as much"
                               : " leaves too little: " + std::string(kJudgingFrames) + " showed " +
                                     fixed3(reason.loss) + " less for " + receiver);
    case Kind::kNotJudged:
      return "measured fidelity " + measured_text(reason) + taking_donors_text(reason, model_names) +
             " may hold, but " + kNoLookLeft;
    case Kind::kDeferredNotJudged:
      return "keeps " + fidelity_text(reason.fidelity) + " without further corrections; with them " + kNoLookLeft;
    case Kind::kDeferred:
      return "keeps " + fidelity_text(reason.fidelity) +
             " without further corrections; with them another choice saves more";
    case Kind::kNotComputable:
      return "cannot be computed: " + reason.problem;
    case Kind::kTooLittleEvidence:
      return too_little_evidence_text(reason, receiver);
    case Kind::kFarBelow:
      return "not tried: predicted at most " + fixed3(record.candidate.predicted_interval->high) + ", far below " +
             fixed3(reason.target);
    case Kind::kOutOfTrials:
      return "not tried: --max-trials " + std::to_string(reason.max_trials) + " reached for " +
             group_text(record.candidate.cut);
    case Kind::kOutOfJudgements:
      return std::string("not tried: ") + kNoLookLeft;
    case Kind::kOutOfTime:
      return "not tried: --max-minutes reached";
    case Kind::kModelsFit:
      return "not tried: the models fit into the budget as they are";
    case Kind::kReceiverTakesAnother:
      return "not tried: " + receiver + " already takes a better share";
    case Kind::kDonorTakes:
      return "not tried: its donor " + model_names[reason.models.front()] + " takes layers itself";
    case Kind::kReceiverGives:
      return "not tried: " + receiver + " gives layers to " + model_names[reason.models.front()];
    case Kind::kNoBetterChoice:
      return "not tried: no choice with it is better";
  }
  return {};
}

}  // namespace repsim::report
