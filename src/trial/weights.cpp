#include <algorithm>

#include "attempt.hpp"
#include "repsim/base/error.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

/// The differences of a cut's weights among those of its receiver and donor.
std::vector<fit::WeightDifference> chosen(const graph::Cut& cut, fit::WeightDifferences& all) {
  std::vector<fit::WeightDifference> result;
  for (const graph::SharedWeight& weight : cut.weights) {
    const std::vector<fit::WeightDifference>& known = all.between(cut.receiver, weight.donor);
    const auto found = std::find_if(known.begin(), known.end(), [&](const fit::WeightDifference& one) {
      return one.weight.parameter == weight.parameter && one.weight.donor_parameter == weight.donor_parameter;
    });
    if (found == known.end()) throw Error(ErrorKind::kInternal, "a shared weight is none of the pair's");
    result.push_back(*found);
  }
  return result;
}

void add_frames(const capture::ModelSet& set, const graph::Cut& cut, const capture::Stores& frames, Progress& progress,
                std::vector<fit::WeightDifference>& differences) {
  std::vector<fit::WeightDifference> more = fit::gather_differences(set, frames, cut.receiver, cut.weights, progress);
  if (differences.empty()) {
    differences = std::move(more);
    return;
  }
  for (std::size_t i = 0; i < more.size(); ++i) differences[i].add(more[i]);
}

void add_solved(const capture::ModelSet& set, const graph::Cut& cut,
                const std::vector<fit::WeightDifference>& differences, fit::Fitted& fitted) {
  fitted.splice.receiver = cut.receiver;
  for (std::size_t i = 0; i < differences.size(); ++i) {
    fit::SolvedWeight one = fit::solve_weight(set, cut.receiver, differences[i], cut.weights[i].rank);
    fitted.splice.weights.push_back(std::move(one.fitted));
    fitted.output_variances.push_back(one.output_variance);
  }
}

}  // namespace

void fit_weights(const capture::ModelSet& set, const graph::Cut& cut, std::span<const capture::Stores* const> parts,
                 Progress& progress, fit::Fitted& fitted) {
  std::vector<fit::WeightDifference> differences;
  for (const capture::Stores* const part : parts) add_frames(set, cut, *part, progress, differences);
  add_solved(set, cut, differences, fitted);
}

void Fitter::add_weights(const graph::Cut& cut, Effort effort, fit::Fitted& fitted) {
  std::vector<fit::WeightDifference> differences = chosen(cut, differences_);
  if (effort == Effort::kComplete) {
    const std::vector<const capture::Stores*> parts = calibration_.parts();
    for (std::size_t i = 1; i < parts.size(); ++i) add_frames(session_.set, cut, *parts[i], progress_, differences);
  }
  add_solved(session_.set, cut, differences, fitted);
}

FittedShare Fitter::fit_weights(const planner::Candidate& candidate, Effort effort) {
  const bool is_complete = effort == Effort::kComplete || calibration_.is_undivided();
  fit::Fitted fitted;
  add_weights(candidate.cut, effort, fitted);
  return {candidate, candidate.savings, attachment(candidate.cut, 0, {}), std::move(fitted),
          is_complete ? 0 : kMaxGainOfFrames};
}

}  // namespace repsim::trial
