#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "repsim/validation.hpp"

namespace repsim::report {
namespace {

constexpr double kHigh = 0.8;  // fidelity above which cuts are worth having
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kFewTrials = 16;      // measured cuts that a planner can afford to learn from
constexpr std::uint64_t kRepetitions = 10;  // random draws of so few cuts

/// Cuts of some directions, by position in Validation::cuts.
using Members = std::vector<std::size_t>;

struct Group {
  std::string receiver, donor;
  Members members;
};

/// One group per direction, then one of all cuts where there are several directions.
std::vector<Group> groups_of(const Validation& validation) {
  std::vector<Group> groups;
  Group all;
  for (std::size_t direction = 0; direction < validation.directions.size(); ++direction) {
    Group one{validation.directions[direction].receiver, validation.directions[direction].donor, {}};
    for (std::size_t i = 0; i < validation.cuts.size(); ++i) {
      if (validation.cuts[i].direction == direction) one.members.push_back(i);
    }
    all.members.insert(all.members.end(), one.members.begin(), one.members.end());
    if (!one.members.empty()) groups.push_back(std::move(one));
  }
  if (groups.size() > 1) groups.push_back(std::move(all));
  return groups;
}

template <typename Value>
std::vector<double> collected(const Validation& validation, const Members& members, const Value& value) {
  std::vector<double> result;
  for (const std::size_t i : members) result.push_back(value(validation.cuts[i]));
  return result;
}

void add_correlations(const Group& group, const std::string& subset, const Members& members, bool accuracy,
                      Validation& validation) {
  const auto measured = [&](const StudiedCut& cut) {
    return accuracy ? cut.accuracy.value_or(std::nan("")) : cut.fidelity;
  };
  const std::vector<double> y = collected(validation, members, measured);
  CorrelationTable table{group.receiver, group.donor, subset, accuracy ? "accuracy" : "fidelity", 0, {}};
  for (const double value : y) table.cuts += std::isnan(value) ? 0 : 1;
  if (table.cuts < 3) return;
  const auto add = [&](const char* key, const auto& value) {
    const std::vector<double> x = collected(validation, members, value);
    table.rows.push_back({key, planner::correlated(x, y, planner::pearson, validation.seed),
                          planner::correlated(x, y, planner::spearman, validation.seed)});
  };
  for (const planner::PredictorName& predictor : planner::kPredictors)
    add(predictor.key, [&](const StudiedCut& cut) { return cut.predictors[planner::index_of(predictor.predictor)]; });
  for (std::size_t i = 0; i < planner::kCombinedPredictors.size(); ++i)
    add(planner::kCombinedPredictors[i].key, [&](const StudiedCut& cut) { return cut.from_other_cuts[i].fidelity; });
  validation.correlations.push_back(std::move(table));
}

struct Learning {
  std::vector<planner::PredictorValues> predictors;
  std::vector<double> fidelity;
  void add(const StudiedCut& cut) {
    predictors.push_back(cut.predictors);
    fidelity.push_back(cut.fidelity);
  }
};

void predict_from_other_cuts(const Group& group, Validation& validation) {
  Learning all;
  for (const std::size_t i : group.members) all.add(validation.cuts[i]);
  for (const planner::CombinedPredictor& combined : planner::kCombinedPredictors) {
    const auto found = planner::predicted_from_others(all.predictors, all.fidelity, combined.trial, validation.seed);
    for (std::size_t i = 0; i < found.size(); ++i)
      validation.cuts[group.members[i]].from_other_cuts.push_back(found[i]);
  }
}

/// The two models of a cut, sorted by name: equal for both directions of a pair.
std::pair<std::string, std::string> pair_of(const Validation& validation, const StudiedCut& cut) {
  const StudiedDirection& direction = validation.directions[cut.direction];
  return std::minmax(direction.receiver, direction.donor);
}

void predict_from_other_pairs(const Group& group, Validation& validation) {
  const auto pair = pair_of(validation, validation.cuts[group.members.front()]);
  Learning others;
  for (const StudiedCut& cut : validation.cuts) {
    if (pair_of(validation, cut) != pair) others.add(cut);
  }
  // A predictor that is undefined for every cut to predict must not be learned from either.
  for (std::size_t predictor = 0; predictor < planner::kPredictors.size(); ++predictor) {
    const bool undefined = std::all_of(group.members.begin(), group.members.end(), [&](std::size_t member) {
      return std::isnan(validation.cuts[member].predictors[predictor]);
    });
    for (planner::PredictorValues& one : others.predictors) one[predictor] = undefined ? kNaN : one[predictor];
  }
  for (const planner::CombinedPredictor& combined : planner::kCombinedPredictors) {
    std::optional<planner::Calibration> calibration;
    if (others.predictors.size() >= planner::Calibration::kFewest)
      calibration.emplace(others.predictors, others.fidelity, combined.trial);
    for (const std::size_t member : group.members) {
      StudiedCut& cut = validation.cuts[member];
      cut.from_other_pairs.push_back(calibration ? calibration->predict(cut.predictors)
                                                 : planner::Predicted{kNaN, kNaN, kNaN});
    }
  }
}

/// Predictions beside measurements.
struct Outcomes {
  std::vector<double> predicted, measured;
  double missed = 0, held = 0, width = 0;
  void add(const planner::Predicted& predicted_one, double fidelity) {
    if (std::isnan(predicted_one.fidelity)) return;
    predicted.push_back(predicted_one.fidelity);
    measured.push_back(fidelity);
    missed += std::abs(predicted_one.fidelity - fidelity);
    held += predicted_one.low <= fidelity && fidelity <= predicted_one.high ? 1 : 0;
    width += predicted_one.high - predicted_one.low;
  }
  [[nodiscard]] double pearson_above() const {
    std::vector<double> x, y;
    for (std::size_t i = 0; i < measured.size(); ++i) {
      if (measured[i] <= kHigh) continue;
      x.push_back(predicted[i]);
      y.push_back(measured[i]);
    }
    return planner::pearson(x, y);
  }
};

void add_prediction(const Group& group, const planner::CombinedPredictor& combined, const std::string& learned_from,
                    const Outcomes& outcomes, Validation& validation) {
  const auto count = static_cast<double>(outcomes.measured.size());
  if (outcomes.measured.size() < 3) return;
  PredictionTable table;
  table.receiver = group.receiver;
  table.donor = group.donor;
  table.combined = combined.key;
  table.learned_from = learned_from;
  table.cuts = static_cast<std::int64_t>(outcomes.measured.size());
  table.pearson = planner::correlated(outcomes.predicted, outcomes.measured, planner::pearson, validation.seed);
  table.pearson_above = outcomes.pearson_above();
  table.mean_error = outcomes.missed / count;
  table.coverage = outcomes.held / count;
  table.interval_width = outcomes.width / count;
  validation.predictions.push_back(std::move(table));
}

/// Learns from a few measured cuts of a direction and predicts the others, for several draws of these few. The table
/// holds means over the draws, and the range of the correlation over them.
void add_few_trials(const Group& group, const planner::CombinedPredictor& combined, Validation& validation) {
  if (group.members.size() < kFewTrials + 8) return;
  PredictionTable table;
  table.receiver = group.receiver;
  table.donor = group.donor;
  table.combined = combined.key;
  table.learned_from = "few-trials";
  std::vector<double> correlations, above;
  constexpr auto kDraws = static_cast<double>(kRepetitions);
  for (std::uint64_t draw = 0; draw < kRepetitions; ++draw) {
    const std::vector<std::size_t> order = planner::shuffled(group.members.size(), validation.seed + draw);
    Learning known;
    Outcomes outcomes;
    for (std::size_t i = 0; i < kFewTrials; ++i) known.add(validation.cuts[group.members[order[i]]]);
    const planner::Calibration calibration(known.predictors, known.fidelity, combined.trial);
    for (std::size_t i = kFewTrials; i < order.size(); ++i) {
      const StudiedCut& cut = validation.cuts[group.members[order[i]]];
      outcomes.add(calibration.predict(cut.predictors), cut.fidelity);
    }
    const auto count = static_cast<double>(outcomes.measured.size());
    table.cuts = static_cast<std::int64_t>(outcomes.measured.size());
    if (const double r = planner::pearson(outcomes.predicted, outcomes.measured); !std::isnan(r))
      correlations.push_back(r);
    if (const double r = outcomes.pearson_above(); !std::isnan(r)) above.push_back(r);
    table.mean_error += outcomes.missed / count / kDraws;
    table.coverage += outcomes.held / count / kDraws;
    table.interval_width += outcomes.width / count / kDraws;
  }
  const auto mean = [](const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? kNaN : sum / static_cast<double>(values.size());
  };
  table.pearson = {mean(correlations), kNaN, kNaN};
  if (!correlations.empty()) {
    const auto [low, high] = std::minmax_element(correlations.begin(), correlations.end());
    table.pearson.low = *low;
    table.pearson.high = *high;
  }
  table.pearson_above = mean(above);
  validation.predictions.push_back(std::move(table));
}

void add_predictions(const Group& group, Validation& validation) {
  for (std::size_t i = 0; i < planner::kCombinedPredictors.size(); ++i) {
    Outcomes cuts, pairs;
    for (const std::size_t member : group.members) {
      const StudiedCut& cut = validation.cuts[member];
      cuts.add(cut.from_other_cuts[i], cut.fidelity);
      pairs.add(cut.from_other_pairs[i], cut.fidelity);
    }
    add_prediction(group, planner::kCombinedPredictors[i], "other-cuts", cuts, validation);
    if (!group.receiver.empty()) add_few_trials(group, planner::kCombinedPredictors[i], validation);
    add_prediction(group, planner::kCombinedPredictors[i], "other-pairs", pairs, validation);
  }
}

}  // namespace

void fill_tables(Validation& validation) {
  const std::vector<Group> groups = groups_of(validation);
  for (StudiedCut& cut : validation.cuts) {
    cut.from_other_cuts.clear();
    cut.from_other_pairs.clear();
  }
  validation.correlations.clear();
  validation.predictions.clear();
  for (const Group& group : groups) {
    if (group.receiver.empty()) continue;
    predict_from_other_cuts(group, validation);
    predict_from_other_pairs(group, validation);
  }
  for (const Group& group : groups) {
    const auto those = [&](const auto& wanted) {
      Members members;
      for (const std::size_t i : group.members) {
        if (wanted(validation.cuts[i])) members.push_back(i);
      }
      return members;
    };
    const Members equal = those([](const StudiedCut& cut) { return cut.equal_depth; }),
                  high = those([](const StudiedCut& cut) { return cut.fidelity > kHigh; });
    for (const bool accuracy : {false, true}) {
      add_correlations(group, "all", group.members, accuracy, validation);
      add_correlations(group, "equal-depth", equal, accuracy, validation);
      add_correlations(group, "fidelity-above-0.8", high, accuracy, validation);
    }
    add_predictions(group, validation);
  }
}

}  // namespace repsim::report
