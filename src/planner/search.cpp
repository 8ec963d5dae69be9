#include "repsim/search.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "search_limits.hpp"

namespace repsim::planner {

Search::Search(SearchInput input, SearchOptions options, Evaluator& evaluator, SearchObserver& observer)
    : input_(std::move(input)), options_(std::move(options)), evaluator_(evaluator), observer_(observer) {
  for (const Candidate& candidate : input_.candidates) records_.push_back({candidate, std::nullopt, {}});
  status_.resize(input_.options.size(), Status::kOpen);
  for (Option i = 0; i < status_.size() && !input_.evidence.empty(); ++i) {
    const ModelEvidence& evidence = input_.evidence[input_.options[i].receiver];
    if (evidence.is_enough()) continue;
    status_[i] = Status::kOut;
    records_[i].reason = {
        .kind = Reason::Kind::kTooLittleEvidence, .detections = evidence.detections, .wanted = evidence.wanted};
  }
}

SearchResult Search::run() {
  is_settled_ = false;
  best_ = {};
  const bool models_fit = options_.bytes_to_save && *options_.bytes_to_save <= 0;
  if (!models_fit && out_of_time()) {
    // What was found holds still. Complete fits are made once: the time for more of them is not there.
    take_best_known([&](const Trial& trial) { return trial.holds && (trial.max_gain == 0 || !completed_late_); });
    return result();
  }
  maximize_fidelity_ = options_.bytes_to_save && *options_.bytes_to_save > 0;
  if (maximize_fidelity_) {
    keep_most_fidelity();
    if (best_.options.empty()) observer_.nothing_within_budget();
    maximize_fidelity_ = !best_.options.empty();
  }
  if (!maximize_fidelity_ && !models_fit) save_most();
  returned_ = best_.options;
  compare_predictions();
  return result();
}

void Search::complete() {
  completed_late_ = timed_out_;
  const OptionOf of_receiver = by_receiver(returned_);
  for (const Option option : returned_) (void)complete(chain_of(of_receiver, option));
}

/// What shares of this receiver and kind lose between the selection frames and the test frames, as far as refused ones
/// showed.
double Search::loss(Option option) const {
  const auto known = loss_.find(kind(option));
  return known == loss_.end() ? 0 : known->second;
}

/// The fidelity that the selection frames have to show, so that the test frames may find the target kept. A loss beyond
/// what is possible at all rules nothing out.
double Search::demanded(Option option) const { return std::min(target(option) + loss(option), 1.0); }

/// With the least corrections that the option is known to need on donors without shares. On donors that take layers it
/// may need more, so a trial there says nothing of what it saves elsewhere.
Savings Search::savings(Option option) const {
  const auto deferred = deferred_.find(option);
  if (deferred != deferred_.end()) return deferred->second;
  const auto alone = trials_.find({option});
  return alone == trials_.end() ? input_.candidates[option].savings : alone->second.candidate.savings;
}

double Search::saving(Option option) const { return static_cast<double>(savings(option).of(options_.objective)); }

bool Search::shares_weights_alone(Option option) const {
  const graph::Cut& cut = input_.candidates[option].cut;
  return cut.replacements.empty() && !cut.weights.empty();
}

bool Search::begin_with_weights() {
  std::size_t count = 0;
  for (Option i = 0; i < input_.options.size(); ++i) count += shares_weights_alone(i) ? 1 : 0;
  weights_only_ = count > 0 && count < input_.options.size() && !options_.bytes_to_save;
  return weights_only_;
}

Search::Group Search::group(Option option) const {
  const ShareOption& one = input_.options[option];
  if (shares_weights_alone(option)) return {one.receiver, -1, true};
  return {one.receiver, one.supplied.size() == 1 ? one.supplied.front().donor : -1,
          !candidate(option).cut.weights.empty()};
}

Search::OptionOf Search::by_receiver(const std::vector<Option>& options) const {
  OptionOf result;
  for (const Option option : options) result[input_.options[option].receiver] = option;
  return result;
}

Search::Chain Search::chain_of(const OptionOf& of_receiver, Option option) const {
  Chain chain;
  append_chain(of_receiver, option, chain);
  return chain;
}

void Search::append_chain(const OptionOf& of_receiver, Option option, Chain& chain) const {
  for (const Supplied& supplied : input_.options[option].supplied) {
    const auto taking = of_receiver.find(supplied.donor);
    if (taking != of_receiver.end() && std::find(chain.begin(), chain.end(), taking->second) == chain.end())
      append_chain(of_receiver, taking->second, chain);
  }
  chain.push_back(option);
}

Chosen Search::choose_by_prediction() const {
  return choose([&](Option i, const Savings& savings) {
    return candidate(i).r2 >= target(i) ? static_cast<double>(savings.of(options_.objective)) : 0.0;
  });
}

/// Looks for the largest saving that keeps all targets. It measures what promises most beyond what is already sure, and
/// ends when no choice among the options that are not out saves more than the best that held.
void Search::save_most() {
  while (!out_of_time()) {
    const Chosen most =
        choose([&](Option, const Savings& savings) { return static_cast<double>(savings.of(options_.objective)); });
    if (most.bound <= best_.value * (1 + kEqual)) {
      observer_.no_other_choice_saves_more();
      return;
    }
    const Chosen likely = most_promising();
    const std::size_t measured = trials_.size(), nogoods = nogoods_.size();
    const std::int64_t deferred = times_deferred_;
    const double value = best_.value;
    const auto learnt = [&] {
      return trials_.size() > measured || nogoods_.size() > nogoods || best_.value > value ||
             times_deferred_ > deferred;
    };
    measure(likely.options);
    if (!learnt()) measure(most.options);
    const bool moved = learnt() || out_of_trials_ || refuted_;
    out_of_trials_ = refuted_ = false;
    if (!moved) return;  // planner::choose() is out of steps and may repeat itself
  }
}

/// An option promises what its receiver saves already, plus what it would save beyond that times its chance.
Chosen Search::most_promising() const {
  std::map<ModelIndex, double> sure;  // what the best combination saves
  const OptionOf of_receiver = by_receiver(best_.options);
  for (const auto& [receiver, option] : of_receiver) {
    const Trial& trial = trials_.at(chain_of(of_receiver, option));
    sure[receiver] = static_cast<double>(trial.candidate.savings.of(options_.objective));
  }
  return choose([&](Option i, const Savings& savings) {
    const auto saving = static_cast<double>(savings.of(options_.objective));
    const auto found = sure.find(input_.options[i].receiver);
    const double base = found == sure.end() ? 0 : found->second;
    const bool chosen = std::find(best_.options.begin(), best_.options.end(), i) != best_.options.end();
    if (status_[i] == Status::kHolds || chosen) return saving;
    return saving > base ? base + chance(i) * (saving - base) : chance(i) * saving;
  });
}

/// Looks for the best worst fidelity of all combinations that fit into the budget: measures the combination whose worst
/// estimate is best, until no combination that was not measured promises more.
void Search::keep_most_fidelity() {
  const auto bytes_to_save = static_cast<double>(*options_.bytes_to_save);
  while (!out_of_time()) {
    std::vector<double> estimates;
    std::set<double> levels;
    for (Option i = 0; i < input_.options.size(); ++i) {
      estimates.push_back(estimate(i));
      if (is_in_question(i)) levels.insert(estimates.back());
    }
    const std::vector<double> ascending(levels.begin(), levels.end());
    const auto at_level = [&](double level) {
      return choose([&](Option i, const Savings& savings) {
        return estimates[i] >= level ? static_cast<double>(savings.bytes) : 0.0;
      });
    };
    // A lower level allows more options, so what fits at one level fits at all below: bisect.
    std::size_t low = 0, high = ascending.size();
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (at_level(ascending[middle]).value >= bytes_to_save * (1 - kEqual)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == 0) return;
    const double level = ascending[low - 1];
    if (!best_.options.empty() && level <= best_.worst_fidelity + kEqual) return;
    const std::size_t measured = trials_.size(), nogoods = nogoods_.size();
    measure(at_level(level).options);
    if (trials_.size() == measured && nogoods_.size() == nogoods && !out_of_trials_ && !refuted_) return;
    out_of_trials_ = refuted_ = false;
  }
}

}  // namespace repsim::planner
