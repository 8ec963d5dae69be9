#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "repsim/base/log.hpp"
#include "repsim/predictor.hpp"
#include "search_state.hpp"

namespace repsim::pipeline {
namespace {

constexpr double kLeastChance = 0.05;        // that a column keeps its target though one predicted to be better did not
constexpr double kMostChance = 0.9;          // where one predicted to be worse did
constexpr double kLeastReach = 1e-3;         // of an interval, from the prediction to an end
constexpr double kDeviations = 1.645;        // standard deviations from the middle to an end of a nine-in-ten interval
constexpr double kLossPerUnexplained = 0.5;  // lost fidelity per 1 - R2 before anything is measured

/// What is known of a column before it is measured.
planner::PredictorValues predictors_of(const planner::Candidate& candidate) {
  planner::PredictorValues predictors;
  predictors.fill(std::numeric_limits<double>::quiet_NaN());
  predictors[planner::index_of(planner::Predictor::kSimilarity)] = candidate.similarity;
  predictors[planner::index_of(planner::Predictor::kR2)] = candidate.r2;
  return predictors;
}

}  // namespace

Search::Search(const SearchInput& input) : state_(std::make_unique<State>(input)) {}
Search::~Search() = default;
SearchResult Search::run() { return state_->run(); }
void Search::refuse(const planner::Candidate& share, double fidelity) { state_->refuse(share, fidelity); }
void Search::complete() { state_->complete(); }

Search::State::State(const SearchInput& input)
    : input_(input),
      objective_(objective_of(input.settings)),
      measuring_(input.settings, input.work, input.calibration, input.selection, input.signatures, input.memory_budget,
                 input.progress) {}

SearchResult Search::State::run() {
  if (!found_columns_) find_columns();
  best_ = {};
  fitting_ = input_.settings.budget && input_.bytes_to_save > 0;
  if (fitting_) {
    keep_most_fidelity();
    if (best_.options.empty()) log::info("nothing found keeps the fidelity within the budget: saving what can be");
    fitting_ = !best_.options.empty();
  }
  const bool fits_as_it_is = input_.settings.budget && input_.bytes_to_save <= 0;
  if (!fitting_ && !fits_as_it_is) save_most();
  return result();
}

void Search::State::refuse(const planner::Candidate& share, double fidelity) {
  const std::map<int, std::size_t> of_receiver = by_receiver(best_.options);
  const Chain chain = chain_of(of_receiver, of_receiver.at(share.receiver));
  Trial& trial = trials_.at(chain);
  trial.holds = false;
  trial.fidelity = fidelity;
  candidates_[trial.entry].measured_fidelity = fidelity;
  candidates_[trial.entry].reason = "fidelity " + rounded(fidelity) +
                                    " of the written bundle on the frames that judge is below " +
                                    rounded(target(chain.back()));
  drop(chain);
  const Group of = group(chain.back());
  ++refused_of_[of];
  std::erase_if(untried_, [&](std::size_t option) {
    if (group(option) != of) return false;
    status_[option] = Status::kOpen;
    if (!candidate(option).measured_fidelity) candidates_[option].reason.clear();
    return true;
  });
}

void Search::State::find_columns() {
  std::map<int, std::vector<RatedReplacement>> by_receiver;
  const std::vector<Direction> considered = directions(input_.settings, input_.work.models);
  const std::vector<std::vector<RatedReplacement>> replacements =
      replacements_of(input_.settings, input_.work, input_.signatures, measuring_.tried(), considered,
                      input_.memory_budget.screening, measuring_.wanted_of(considered), input_.progress);
  input_.progress.begin("candidates", static_cast<std::int64_t>(considered.size()));
  for (std::size_t i = 0; i < considered.size(); ++i) {
    const ModelIndex receiver = index_of(input_.work, considered[i].receiver);
    const std::vector<RatedReplacement>& found = replacements[i];
    for (planner::Candidate& one : candidates_of(input_.settings, input_.work, receiver, found))
      candidates_.push_back(std::move(one));
    by_receiver[receiver].insert(by_receiver[receiver].end(), found.begin(), found.end());
    input_.progress.step();
  }
  input_.progress.end();
  const std::vector<planner::Candidate> alone = candidates_;
  for (const auto& [receiver, found] : by_receiver) {
    const bool one_donor = std::all_of(found.begin(), found.end(), [&](const RatedReplacement& one) {
      return one.replacement.donor == found.front().replacement.donor;
    });
    if (one_donor) continue;
    for (planner::Candidate& one :
         planner::worth_mixing(candidates_of(input_.settings, input_.work, receiver, found), alone, objective_))
      candidates_.push_back(std::move(one));
  }
  for (const planner::Candidate& one : candidates_)
    options_.push_back(share_option_of(input_.settings, input_.work, one));
  status_.resize(options_.size(), Status::kOpen);
  found_columns_ = true;
  choose_by_prediction();
}

/// What would be chosen if predictions were fidelities, and how far from the bound: planning without measuring.
void Search::State::choose_by_prediction() const {
  input_.progress.begin("choose", 0);
  const planner::Chosen chosen = choose([&](std::size_t i) { return candidate(i).r2 >= target(i) ? saving(i) : 0.0; });
  input_.progress.end();
  const double gap = chosen.bound > 0 ? 100 * (chosen.bound - chosen.value) / chosen.bound : 0;
  log::info(std::to_string(options_.size()) + " candidates; by prediction alone " +
            std::to_string(chosen.options.size()) + " shares save " +
            saving_text(std::llround(chosen.value), objective_) + ", " +
            (chosen.proven ? "the best choice" : "within " + rounded(gap) + " % of the bound"));
}

planner::Chosen Search::State::choose(const std::function<double(std::size_t)>& value) const {
  planner::Choice choice;
  choice.models = static_cast<int>(input_.work.models.size());
  choice.options = options_;
  for (std::size_t i = 0; i < options_.size(); ++i) choice.options[i].value = status_[i] == Status::kOut ? 0 : value(i);
  choice.nogoods = nogoods_;
  choice.max_shares = static_cast<int>(input_.settings.max_shares.value_or(-1));
  planner::Chosen chosen = planner::choose(choice);
  if (!chosen.proven) {
    log::info("choice of shares stopped after " + std::to_string(choice.most_steps) + " steps: the best is within " +
              rounded(100 * (chosen.bound - chosen.value) / chosen.bound) + " % of the bound");
  }
  return chosen;
}

/// How likely a column keeps its target: by its prediction where what was measured of its group allows one. Before
/// that, sure to fail at the best R2 that failed, sure to hold at the worst that held, a straight line between.
/// Predictions order trials, they rule nothing out: the chance is never 0.
double Search::State::chance(std::size_t option) const {
  if (const auto& interval = candidate(option).predicted_interval) {
    const double predicted = candidate(option).predicted_fidelity, away = predicted - target(option);
    const double reach = std::max(kLeastReach, away > 0 ? predicted - interval->first : interval->second - predicted);
    const double within = std::erfc(-away / reach * kDeviations / std::numbers::sqrt2) / 2;  // of a normal distribution
    return std::clamp(within, kLeastChance, kMostChance);
  }
  double fails = 0, holds = 1;
  bool held = false;
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != group(option)) continue;
    const double predicted = candidate(chain.front()).r2;
    if (trial.holds) {
      holds = std::min(holds, predicted);
      held = true;
    } else {
      fails = std::max(fails, predicted);
    }
  }
  const double predicted = candidate(option).r2;
  if (held && predicted >= holds) return kMostChance;
  if (predicted <= fails) return kLeastChance * (1 + predicted) / 2;
  return kLeastChance + (kMostChance - kLeastChance) * (predicted - fails) / std::max(kEqual, holds - fails);
}

/// Predicts what was not measured of a column's group from what was.
void Search::State::predict_others(std::size_t option) {
  std::vector<planner::PredictorValues> predictors;
  std::vector<double> fidelity;
  std::vector<bool> measured(options_.size(), false);
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != group(option) || !trial.accepted) continue;
    measured[chain.front()] = true;
    predictors.push_back(predictors_of(candidate(chain.front())));
    fidelity.push_back(trial.fidelity);
  }
  if (predictors.size() < planner::Calibration::kFewest) return;
  const planner::Calibration calibration(predictors, fidelity, /*trial=*/false);
  for (std::size_t i = 0; i < options_.size(); ++i) {
    if (measured[i] || group(i) != group(option)) continue;
    const planner::Predicted predicted = calibration.predict(predictors_of(candidate(i)));
    candidates_[i].predicted_fidelity = predicted.fidelity;
    candidates_[i].predicted_interval = {predicted.low, predicted.high};
  }
}

/// The largest saving that keeps all targets. What is measured next promises most beyond what is already sure; it
/// ends when no choice among what has not failed saves more.
void Search::State::save_most() {
  while (!out_of_time()) {
    const planner::Chosen most = choose([&](std::size_t i) { return saving(i); });
    if (most.bound <= best_.value * (1 + kEqual)) {
      log::debug("the search is complete: no other choice saves more");
      return;
    }
    std::map<int, double> sure;  // per receiver what the best combination saves
    for (const std::size_t option : best_.options) sure[options_[option].receiver] = saving(option);
    const planner::Chosen likely = choose([&](std::size_t i) {
      const auto found = sure.find(options_[i].receiver);
      const double base = found == sure.end() ? 0 : found->second;
      const bool chosen = std::find(best_.options.begin(), best_.options.end(), i) != best_.options.end();
      if (status_[i] == Status::kHolds || chosen) return saving(i);
      return saving(i) > base ? base + chance(i) * (saving(i) - base) : chance(i) * saving(i);
    });
    const std::size_t measured = trials_.size(), nogoods = nogoods_.size();
    const std::int64_t defer = times_deferred_;
    const double value = best_.value;
    const auto learnt = [&] {
      return trials_.size() > measured || nogoods_.size() > nogoods || best_.value > value || times_deferred_ > defer;
    };
    measure(likely.options);
    if (!learnt()) measure(most.options);
    const bool moved = learnt() || out_of_trials_;
    out_of_trials_ = false;
    if (!moved) return;  // what is out of nodes may repeat itself
  }
}

/// What a column's fidelity may be: measured, or predicted in the proportion of loss that its group has shown nearest
/// to it.
double Search::State::estimate(std::size_t option) const {
  const planner::Candidate& one = candidate(option);
  if (one.measured_fidelity) return *one.measured_fidelity;
  if (one.predicted_interval) return one.predicted_fidelity;
  double factor = kLossPerUnexplained, nearest = 2;
  for (const auto& [chain, trial] : trials_) {
    if (chain.size() != 1 || group(chain.front()) != group(option)) continue;
    const double predicted = candidate(chain.front()).r2;
    const double away = std::abs(predicted - one.r2);
    if (away >= nearest || predicted >= 1) continue;
    nearest = away;
    factor = (1 - trial.fidelity) / (1 - predicted);
  }
  return std::clamp(1 - factor * (1 - one.r2), 0.0, 1.0);
}

/// The best worst fidelity of all combinations that fit into the budget: the combination whose worst estimate is best
/// is measured, until none that was not measured promises more.
void Search::State::keep_most_fidelity() {
  while (!out_of_time()) {
    std::vector<double> estimates;
    std::set<double> levels;
    for (std::size_t i = 0; i < options_.size(); ++i) {
      estimates.push_back(estimate(i));
      if (status_[i] != Status::kOut) levels.insert(estimates.back());
    }
    const std::vector<double> ascending(levels.begin(), levels.end());
    const auto at_level = [&](double level) {
      return choose(
          [&](std::size_t i) { return estimates[i] >= level ? static_cast<double>(candidate(i).bytes_saved) : 0.0; });
    };
    const auto fits = [&](const planner::Chosen& chosen) {
      return chosen.value >= static_cast<double>(input_.bytes_to_save) * (1 - kEqual);
    };
    // A lower level allows more columns, so what fits at one level fits at all below: bisect.
    std::size_t low = 0, high = ascending.size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (fits(at_level(ascending[middle]))) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) return;
    const double level = ascending[low - 1];
    if (!best_.options.empty() && level <= best_.worst + kEqual) return;
    const std::size_t measured = trials_.size(), nogoods = nogoods_.size();
    measure(at_level(level).options);
    if (trials_.size() == measured && nogoods_.size() == nogoods && !out_of_trials_) return;
    out_of_trials_ = false;
  }
}

bool Search::State::out_of_time() {
  if (input_.settings.max_minutes <= 0) return false;
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin_;
  if (passed.count() < 60 * input_.settings.max_minutes) return false;
  if (!timed_out_) log::info("the search ends here: --max-minutes " + std::to_string(input_.settings.max_minutes));
  timed_out_ = true;
  return true;
}

}  // namespace repsim::pipeline
