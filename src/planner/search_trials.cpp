#include <algorithm>
#include <set>
#include <utility>

#include "repsim/base/error.hpp"
#include "repsim/search.hpp"
#include "search_limits.hpp"

namespace repsim::planner {

/// Measures what is not known of these options together, donors first. Those that hold may become the best combination.
void Search::measure(const std::vector<Option>& options) {
  const OptionOf of_receiver = by_receiver(options);
  std::vector<Chain> chains;
  for (const Option option : options) chains.push_back(chain_of(of_receiver, option));
  // A donor's chain is part of those of its receivers, so it is shorter.
  std::stable_sort(chains.begin(), chains.end(), [](auto& a, auto& b) { return a.size() < b.size(); });
  std::set<Option> holding;
  Combination combination;
  for (const Chain& chain : chains) {
    if (!std::all_of(chain.begin(), chain.end() - 1, [&](Option donor) { return holding.count(donor) > 0; })) continue;
    if (chain.size() == 1 && is_far_below(chain.back())) continue;  // as a trial just before showed
    if (trials_.count(chain) == 0 && !out_of_time(expected_trial(chain))) try_chain(chain);
    const auto trial = trials_.find(chain);
    if (trial == trials_.end() || !trial->second.holds) continue;
    const bool gives = std::any_of(chains.begin(), chains.end(), [&](const Chain& other) {
      return std::find(other.begin(), other.end() - 1, chain.back()) != other.end() - 1;
    });
    const bool completes = gives && trial->second.max_gain > 0;
    const bool is_late = completes && out_of_time(expected_complete_fit(input_.options[chain.back()].receiver));
    if (completes && !is_late && !complete(chain)) continue;
    if (!is_late) holding.insert(chain.back());
    combination.options.push_back(chain.back());
    combination.value += static_cast<double>(trial->second.candidate.savings.of(options_.objective));
    combination.bytes += static_cast<double>(trial->second.candidate.savings.bytes);
    combination.worst_fidelity = std::min(combination.worst_fidelity, trial->second.fidelity);
  }
  offer(combination);
}

void Search::offer(const Combination& combination) {
  if (combination.options.empty()) return;
  if (maximize_fidelity_) {
    if (combination.bytes < static_cast<double>(*options_.bytes_to_save)) return;
    if (!best_.options.empty() && combination.worst_fidelity <= best_.worst_fidelity) return;
  } else if (combination.value <= best_.value) {
    return;
  }
  best_ = combination;
}

void Search::try_chain(const Chain& chain) {
  const Option option = chain.back();
  if (trials_left(group(option)) == 0) {
    run_out_of_trials(chain);
    return;
  }
  if (deferred_.count(option) == 0) ++trials_of_[group(option)];
  Trial trial;
  trial.candidate = candidate(option);
  trial.candidate.savings = input_.candidates[option].savings;  // on other donors it may need other corrections
  // If one candidate cannot be computed, the search goes on with the others.
  try {
    if (chain.size() == 1) prepare_ahead(option);
    const auto began = options_.now();
    const Measurement measurement =
        evaluator_.measure(trial.candidate, donor_shares(chain), [&](const Savings& corrected) {
          return maximize_fidelity_ || chain.size() > 1 ||
                 could_beat_the_best(option, static_cast<double>(corrected.of(options_.objective)));
        });
    took(longest_[input_.options[option].receiver].trial, began);
    if (defer(option, measurement)) {
      report_progress();
      return;
    }
    trial.record = record_of_trial(option);
    note(chain, measurement, trial);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    trial.record = record_of_trial(option);
    records_[trial.record].reason = {.kind = Reason::Kind::kNotComputable, .problem = error.problem()};
    observer_.measured(records_[trial.record]);
  }
  deferred_.erase(option);
  if (!trial.holds) drop(chain);
  if (trial.holds && chain.size() == 1) status_[option] = Status::kHolds;
  trials_.emplace(chain, std::move(trial));
  if (chain.size() == 1) {
    predict_others(group(option));
    predict_beside_layers(option);
  }
  report_progress();
}

void Search::report_progress() const {
  SearchProgress progress{.best_saving = best_.value};
  for (const auto& [of, trials] : trials_of_) progress.trials += trials;
  std::map<Group, std::int64_t> open;
  for (Option i = 0; i < input_.options.size(); ++i) {
    if (status_[i] == Status::kOpen && is_in_question(i) && deferred_.count(i) == 0 && saving(i) > 0) ++open[group(i)];
  }
  for (const auto& [of, options] : open) progress.left_at_most += std::min(options, trials_left(of));
  observer_.progress(progress);
}

/// Each trial has a record: the option's own, or a new one where the option was measured on other donors before.
std::size_t Search::record_of_trial(Option option) {
  if (!was_measured(option)) return option;
  records_.push_back({candidate(option), std::nullopt, {}});
  records_.back().candidate.savings = input_.candidates[option].savings;
  return records_.size() - 1;
}

void Search::run_out_of_trials(const Chain& chain) {
  const Option option = chain.back();
  if (chain.size() == 1) {
    untried_.push_back(option);
    // An option that was measured on donors with shares has its reason.
    if (!was_measured(option))
      records_[option].reason = {.kind = Reason::Kind::kOutOfTrials, .max_trials = options_.max_trials};
  }
  drop_untried(chain);
  out_of_trials_ = true;
}

/// The trial of a share that the test frames refuse does not count, up to max_trials such shares: what is left of its
/// group may save less for want of trials alone.
std::int64_t Search::trials_left(const Group& of) const {
  const auto count = [&](const std::map<Group, std::int64_t>& counts) {
    const auto found = counts.find(of);
    return found == counts.end() ? 0 : found->second;
  };
  const std::int64_t limit = options_.max_trials + std::min(count(refused_of_), options_.max_trials);
  return std::max<std::int64_t>(limit - count(trials_of_), 0);
}

/// Prepares this option together with those that the search may try next.
void Search::prepare_ahead(Option option) {
  if (evaluator_.prepared(candidate(option))) return;
  std::vector<Candidate> together{candidate(option)};
  for (const Option other : preparable_with(option)) {
    if (together.size() >= options_.prepare_together) break;
    together.push_back(candidate(other));
  }
  const auto began = options_.now();
  // A candidate that cannot be computed fails again in its own trial.
  try {
    evaluator_.prepare(together);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
  }
  took(longest_[input_.options[option].receiver].preparation, began);
}

/// Options that may be tried next for the same receiver, or between the same models in the other direction, and that
/// are not prepared. Each receiver's come in the order in which they are tried if all miss: then most of them are
/// needed. Receivers take turns: what one may save says nothing about another one.
std::vector<Search::Option> Search::preparable_with(Option option) const {
  const auto models_of = [&](Option i) {
    std::set<ModelIndex> models{input_.options[i].receiver};
    for (const Supplied& supplied : input_.options[i].supplied) models.insert(supplied.donor);
    return models;
  };
  const std::set<ModelIndex> models = models_of(option);
  const ModelIndex receiver = input_.options[option].receiver;
  std::map<ModelIndex, std::vector<Option>> open_of;
  for (Option i = 0; i < input_.options.size(); ++i) {
    const bool related = input_.options[i].receiver == receiver || models_of(i) == models;
    const bool open = i != option && related && status_[i] == Status::kOpen && is_in_question(i) && !was_measured(i) &&
                      trials_left(group(i)) > 0;
    if (open && !evaluator_.prepared(candidate(i))) open_of[input_.options[i].receiver].push_back(i);
  }
  std::vector<std::pair<std::size_t, Option>> in_turns;
  for (auto& [other, open] : open_of) {
    std::size_t turn = other == receiver ? 1 : 0;  // the option itself had the receiver's first turn
    for (const Option i : next_if_all_miss(std::move(open), option)) in_turns.emplace_back(turn++, i);
  }
  std::stable_sort(in_turns.begin(), in_turns.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<Option> result;
  for (const auto& [turn, i] : in_turns) result.push_back(i);
  return result;
}

/// One receiver's options, each the most promising one if `first` and those before it missed their target.
std::vector<Search::Option> Search::next_if_all_miss(std::vector<Option> options, Option first) const {
  std::map<Group, double> missed{{group(first), candidate(first).r2}};
  std::vector<Option> order;
  while (!options.empty() && order.size() < options_.prepare_together) {
    const auto promise = [&](Option i) { return chance(i, missed[group(i)]) * saving(i); };
    const auto best =
        std::max_element(options.begin(), options.end(), [&](Option a, Option b) { return promise(a) < promise(b); });
    order.push_back(*best);
    missed[group(*best)] = std::max(missed[group(*best)], candidate(*best).r2);
    options.erase(best);
  }
  return order;
}

/// Whether any choice with this option, at this saving, could save more than the best that held, if all other options
/// held.
bool Search::could_beat_the_best(Option option, double saving_then) const {
  double force = 1;  // more than all others together: the choice takes the option
  for (Option i = 0; i < input_.options.size(); ++i) force += saving(i);
  const Chosen chosen = choose([&](Option i, const Savings& savings) {
    if (i == option) return saving_then + force;
    return input_.options[i].receiver == input_.options[option].receiver
               ? 0.0
               : static_cast<double>(savings.of(options_.objective));
  });
  return chosen.bound - force > best_.value * (1 + kEqual);
}

/// An option whose corrections save too little to be fitted stays open: it may be of use once the test frames refuse
/// what is better.
bool Search::defer(Option option, const Measurement& measurement) {
  if (!measurement.deferred_savings) return false;
  // The search learns nothing from an option that it defers again at the same saving, and must turn to another one.
  const auto [known, is_new] = deferred_.emplace(option, *measurement.deferred_savings);
  if (is_new || known->second.of(options_.objective) != measurement.deferred_savings->of(options_.objective))
    ++times_deferred_;
  known->second = *measurement.deferred_savings;
  records_[option].reason = {.kind = Reason::Kind::kDeferred, .fidelity = measurement.fidelity};
  observer_.measured(records_[option]);
  return true;
}

std::vector<FittedShareId> Search::donor_shares(const Chain& chain) const {
  const OptionOf of_receiver = by_receiver(chain);
  std::vector<FittedShareId> shares;
  for (const Option donor : chain) {
    if (donor != chain.back()) shares.push_back(trials_.at(chain_of(of_receiver, donor)).share);
  }
  return shares;
}

/// A trial fits on a part of the data. What the plan keeps, and what others are fitted on, is fitted completely.
/// @return whether the share then holds
bool Search::complete(const Chain& chain) {
  Trial& trial = trials_.at(chain);
  if (!trial.holds || trial.max_gain == 0) return trial.holds;
  const auto began = options_.now();
  const Measurement measurement = evaluator_.complete(trial.share, donor_shares(chain));
  took(longest_[input_.options[chain.back()].receiver].complete_fit, began);
  note(chain, measurement, trial);
  if (trial.holds) return true;
  drop(chain);
  refuted_ = true;
  // Without the share, what else the best combination has is found again without a measurement.
  const bool in_best = std::find(best_.options.begin(), best_.options.end(), chain.back()) != best_.options.end() &&
                       chain_of(by_receiver(best_.options), chain.back()) == chain;
  if (in_best) best_ = {};
  return false;
}

bool Search::is_accepted_unmeasured(Option option) const {
  return !input_.evidence.empty() && input_.evidence[input_.options[option].receiver].accepted;
}

/// Writes down what a trial or a complete fit found.
void Search::note(const Chain& chain, const Measurement& measurement, Trial& trial) {
  trial.measured = true;
  trial.compared = measurement.is_measured;
  trial.accepted = false;  // what the test frames said is of another share
  trial.fidelity = trial.compared ? measurement.fidelity : trial.candidate.r2;
  trial.low = trial.compared ? measurement.low : std::nullopt;
  trial.share = measurement.share;
  trial.max_gain = measurement.max_gain;
  trial.decided_after = measurement.decided_after;
  trial.candidate.savings = measurement.savings;
  trial.holds = holds(chain, trial);
  measured_records_.insert(trial.record);
  CandidateRecord& record = records_[trial.record];
  record.candidate = trial.candidate;
  record.measured_fidelity = trial.compared ? std::optional(trial.fidelity) : std::nullopt;
  record.reason = reason_of_trial(chain, trial);
  observer_.measured(record);
}

/// Whether the share reaches what is demanded of it, or its complete fit may. Where nothing can be compared, R2 decides
/// if the user accepts that.
bool Search::holds(const Chain& chain, const Trial& trial) const {
  if (!trial.compared) return is_accepted_unmeasured(chain.back()) && trial.candidate.r2 >= target(chain.back());
  if (is_near_copy(chain, trial)) return false;
  const double gain = trial.max_gain;
  return trial.fidelity >= demanded(chain.back()) - gain && trial.lower() >= target(chain.back()) - gain;
}

Reason Search::reason_of_trial(const Chain& chain, const Trial& trial) const {
  using Kind = Reason::Kind;
  const Option option = chain.back();
  Reason reason{.target = target(option), .models = taking_donors(chain)};
  if (!trial.compared) {
    reason.kind = Kind::kNotMeasured;
    reason.r2 = trial.candidate.r2;
    return reason;
  }
  reason.fidelity = trial.fidelity;
  reason.low = trial.low;
  reason.decided_after = trial.decided_after;
  if (trial.holds) {
    const bool reaches = trial.fidelity >= demanded(option) && trial.lower() >= target(option);
    reason.kind = reaches ? Kind::kHolds : Kind::kNear;
  } else {
    reason.kind = trial.lower() >= target(option) - trial.max_gain ? Kind::kLikelyRefused : Kind::kBelow;
  }
  if (reason.kind == Kind::kNear || reason.kind == Kind::kLikelyRefused) reason.loss = loss(option);
  reason.near_copy = reason.kind == Kind::kLikelyRefused && is_near_copy(chain, trial);
  return reason;
}

void Search::drop(const Chain& chain) {
  if (chain.size() == 1) {
    status_[chain.front()] = Status::kOut;
  } else {
    nogoods_.push_back(chain);
  }
}

/// Drops a chain for which no trial is left. An option on donors with shares is dropped together with everything that
/// one of these donors takes beside, unless a trial that holds contains both: there are many such chains, and none can
/// be tried any more.
void Search::drop_untried(const Chain& chain) {
  const Option option = chain.back();
  for (const Supplied& supplied : input_.options[option].supplied) {
    const auto taking = std::find_if(chain.begin(), chain.end() - 1,
                                     [&](Option one) { return input_.options[one].receiver == supplied.donor; });
    if (taking == chain.end() - 1) continue;
    const bool held = std::any_of(trials_.begin(), trials_.end(), [&](const auto& known) {
      const auto& [other, trial] = known;
      return trial.holds && other.back() == option && std::find(other.begin(), other.end(), *taking) != other.end();
    });
    if (held) continue;
    nogoods_.push_back({*taking, option});
    return;
  }
  drop(chain);
}

}  // namespace repsim::planner
