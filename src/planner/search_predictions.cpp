#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "repsim/predictor.hpp"
#include "repsim/search.hpp"
#include "search_limits.hpp"

namespace repsim::planner {
namespace {

constexpr double kLeastChance = 0.05;        // of an option, though one of better prediction missed its target
constexpr double kMostChance = 0.9;          // of an option, where one of worse prediction held
constexpr double kLeastHalfWidth = 1e-3;     // of an interval, from the prediction to an end
constexpr double kDeviations = 1.645;        // standard deviations from the middle to an end of a nine-in-ten interval
constexpr double kLossPerUnexplained = 0.5;  // lost fidelity per 1 - R2 before anything is measured

/// What is known of a candidate before its trial.
PredictorValues predictors_of(const Candidate& candidate) {
  PredictorValues predictors;
  predictors.fill(std::numeric_limits<double>::quiet_NaN());
  predictors[index_of(Predictor::kSimilarity)] = candidate.similarity;
  predictors[index_of(Predictor::kR2)] = candidate.r2;
  return predictors;
}

/// Whether one cut shares most of the weights that the other shares, and none finer.
bool shares_most_of(const graph::Cut& cut, const graph::Cut& other) {
  constexpr std::size_t kPart = 3, kOfParts = 4;
  if (cut.weights.empty() || kOfParts * cut.weights.size() < kPart * other.weights.size()) return false;
  return std::all_of(cut.weights.begin(), cut.weights.end(), [&](const graph::SharedWeight& one) {
    return std::any_of(other.weights.begin(), other.weights.end(), [&](const graph::SharedWeight& same) {
      return same.parameter == one.parameter && same.donor == one.donor &&
             same.donor_parameter == one.donor_parameter && same.rank >= one.rank;
    });
  });
}

}  // namespace

/// How likely an option keeps its target: by its prediction where its group has one with an interval. Before that, the
/// chance is lowest at the best R2 that missed its target and highest at the worst that held, linear between. The
/// chance orders trials and is never 0: is_far_below() alone rules out.
double Search::chance(Option option, double missed) const {
  if (const auto& interval = candidate(option).predicted_interval) {
    const double predicted = candidate(option).predicted_fidelity, margin = predicted - demanded(option);
    const double half_width =
        std::max(kLeastHalfWidth, margin > 0 ? predicted - interval->low : interval->high - predicted);
    const double normal = std::erfc(-margin / half_width * kDeviations / std::numbers::sqrt2) / 2;
    return std::clamp(normal, kLeastChance, kMostChance);
  }
  double best_miss = missed, worst_hold = 1;
  bool held = false;
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != group(option)) continue;
    const double r2 = candidate(chain.front()).r2;
    if (trial.holds) {
      worst_hold = std::min(worst_hold, r2);
      held = true;
    } else {
      best_miss = std::max(best_miss, r2);
    }
  }
  const double r2 = candidate(option).r2;
  if (held && r2 >= worst_hold) return kMostChance;
  if (r2 <= best_miss) return kLeastChance * (1 + r2) / 2;
  return kLeastChance + (kMostChance - kLeastChance) * (r2 - best_miss) / std::max(kEqual, worst_hold - best_miss);
}

/// Whether the option was not tried, and even a lucky trial would miss what is asked for by far.
bool Search::is_far_below(Option option) const {
  if (status_[option] != Status::kOpen || was_measured(option) || deferred_.count(option) > 0) return false;
  const auto& interval = candidate(option).predicted_interval;
  return interval && interval->high < target(option) - options_.far_below;
}

/// The fidelity of an option: measured, predicted, or from the loss per 1 - R2 of the trial of its group that is
/// nearest in R2.
double Search::estimate(Option option) const {
  const CandidateRecord& one = records_[option];
  if (one.measured_fidelity) return *one.measured_fidelity;
  if (was_measured(option)) return one.candidate.r2;  // nothing could be compared
  if (one.candidate.predicted_interval) return one.candidate.predicted_fidelity;
  double factor = kLossPerUnexplained, nearest = 2;
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != group(option)) continue;
    const double r2 = candidate(chain.front()).r2;
    const double distance = std::abs(r2 - one.candidate.r2);
    if (distance >= nearest || r2 >= 1) continue;
    nearest = distance;
    factor = (1 - trial.fidelity) / (1 - r2);
  }
  return std::clamp(1 - factor * (1 - one.candidate.r2), 0.0, 1.0);
}

/// Where weights alone kept far too little, most of them do not keep more beside layers that are replaced, too.
void Search::predict_beside_layers(Option alone) {
  const auto trial = trials_.find({alone});
  if (!shares_weights_alone(alone) || trial == trials_.end() || !trial->second.measured || !trial->second.compared)
    return;
  const double kept = trial->second.fidelity;
  if (kept >= target(alone) - options_.far_below) return;
  for (Option i = 0; i < input_.options.size(); ++i) {
    Candidate& other = records_[i].candidate;
    if (input_.options[i].receiver != input_.options[alone].receiver || shares_weights_alone(i) || was_measured(i) ||
        !shares_most_of(other.cut, candidate(alone).cut))
      continue;
    other.predicted_fidelity = std::min(other.predicted_fidelity, kept);
    other.predicted_interval = {0, kept};
    bounded_.insert(i);
  }
}

/// Predicts the options of a group that were not measured from those that were.
void Search::predict_others(const Group& of) {
  std::vector<PredictorValues> predictors;
  std::vector<double> fidelity;
  std::vector<bool> measured(input_.options.size(), false);
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != of || !trial.measured) continue;
    measured[chain.front()] = true;
    if (!trial.compared) continue;
    predictors.push_back(predictors_of(candidate(chain.front())));
    fidelity.push_back(trial.fidelity);
  }
  if (predictors.size() < Calibration::kFewest) return;
  const Calibration calibration(predictors, fidelity, /*trial=*/false);
  for (Option i = 0; i < input_.options.size(); ++i) {
    if (measured[i] || group(i) != of || bounded_.count(i) > 0) continue;
    const Predicted predicted = calibration.predict(predictors_of(candidate(i)));
    records_[i].candidate.predicted_fidelity = predicted.fidelity;
    records_[i].candidate.predicted_interval = {predicted.low, predicted.high};
  }
}

}  // namespace repsim::planner
