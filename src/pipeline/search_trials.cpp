#include <algorithm>
#include <cmath>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "search_state.hpp"

namespace repsim::pipeline {
namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// "0.831", "0.831 (0.652 to 0.907)"
std::string predicted_text(const planner::Candidate& one) {
  std::string text = rounded(one.predicted_fidelity);
  if (one.predicted_interval)
    text += " (" + rounded(one.predicted_interval->first) + " to " + rounded(one.predicted_interval->second) + ")";
  return text;
}

}  // namespace

std::string saving_text(std::int64_t saving, planner::Objective objective) {
  switch (objective) {
    case planner::Objective::kFlops:
      return std::to_string(saving) + " FLOPs a frame";
    case planner::Objective::kLatency:
      return std::to_string(saving / 1000) + " us a frame of the estimate";
    case planner::Objective::kPeakMemory:
      return report::human_bytes(saving) + " of parameters and activations";
    case planner::Objective::kBytes:
      break;
  }
  return report::human_bytes(saving);
}

/// Measures what is not known of a combination, donors first. What holds of it may become the best combination.
void Search::State::measure(const std::vector<std::size_t>& options) {
  const std::map<int, std::size_t> of_receiver = by_receiver(options);
  std::vector<Chain> chains;
  for (const std::size_t option : options) chains.push_back(chain_of(of_receiver, option));
  // A donor's chain is part of those of its receivers, so it is shorter.
  std::stable_sort(chains.begin(), chains.end(), [](auto& a, auto& b) { return a.size() < b.size(); });
  std::set<std::size_t> holding;
  Combination combination;
  for (const Chain& chain : chains) {
    if (!std::all_of(chain.begin(), chain.end() - 1, [&](std::size_t donor) { return holding.count(donor) > 0; }))
      continue;
    if (trials_.count(chain) == 0 && !out_of_time()) try_chain(chain);
    const auto trial = trials_.find(chain);
    if (trial == trials_.end() || !trial->second.holds) continue;
    const bool gives = std::any_of(chains.begin(), chains.end(), [&](const Chain& other) {
      return std::find(other.begin(), other.end() - 1, chain.back()) != other.end() - 1;
    });
    if (gives && !complete(chain)) continue;
    holding.insert(chain.back());
    combination.options.push_back(chain.back());
    combination.value += saving(chain.back());
    combination.worst = std::min(combination.worst, trial->second.fidelity);
  }
  offer(combination);
}

void Search::State::offer(const Combination& combination) {
  if (combination.options.empty()) return;
  if (fitting_) {
    double bytes = 0;
    for (const std::size_t option : combination.options) bytes += static_cast<double>(candidate(option).bytes_saved);
    if (bytes < static_cast<double>(input_.bytes_to_save)) return;
    if (!best_.options.empty() && combination.worst <= best_.worst) return;
  } else if (combination.value <= best_.value) {
    return;
  }
  best_ = combination;
}

std::map<int, std::size_t> Search::State::by_receiver(const std::vector<std::size_t>& options) const {
  std::map<int, std::size_t> result;
  for (const std::size_t option : options) result[options_[option].receiver] = option;
  return result;
}

Search::State::Chain Search::State::chain_of(const std::map<int, std::size_t>& of_receiver, std::size_t option) const {
  Chain chain;
  const std::function<void(std::size_t)> add = [&](std::size_t one) {
    for (const planner::Supplied& supplied : options_[one].supplied) {
      const auto taking = of_receiver.find(supplied.donor);
      if (taking != of_receiver.end() && std::find(chain.begin(), chain.end(), taking->second) == chain.end())
        add(taking->second);
    }
    chain.push_back(one);
  };
  add(option);
  return chain;
}

void Search::State::drop(const Chain& chain) {
  if (chain.size() == 1) {
    status_[chain.front()] = Status::kOut;
  } else {
    nogoods_.push_back(chain);
  }
}

/// Drops what no trials are left for. A column on donors that take is dropped with all that one of these takes beside,
/// unless something that holds would go with it: there are many such chains, and none can be tried any more.
void Search::State::drop_untried(const Chain& chain) {
  const std::size_t option = chain.back();
  for (const planner::Supplied& supplied : options_[option].supplied) {
    const auto taking = std::find_if(chain.begin(), chain.end() - 1,
                                     [&](std::size_t one) { return options_[one].receiver == supplied.donor; });
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

/// A share that the frames that judge refuse was found for nothing, and what is left of its group may save less for
/// want of trials alone: it is given its trial back, as often as there are trials.
bool Search::State::trials_left(const Group& of) {
  return trials_of_[of] < input_.settings.max_trials + std::min(refused_of_[of], input_.settings.max_trials);
}

/// One pass over the frames gathers what several candidates need: this one, and those that promise most of what may be
/// tried next, for the same receiver or with the same models the other way round.
void Search::State::gather_ahead(std::size_t option) {
  if (measuring_.gathered(candidate(option))) return;
  const auto models_of = [&](std::size_t i) {
    std::set<int> models{options_[i].receiver};
    for (const planner::Supplied& supplied : options_[i].supplied) models.insert(supplied.donor);
    return models;
  };
  const std::set<int> models = models_of(option);
  std::vector<std::pair<double, std::size_t>> next;
  for (std::size_t i = 0; i < options_.size(); ++i) {
    const bool together = options_[i].receiver == options_[option].receiver || models_of(i) == models;
    const bool open = i != option && together && status_[i] == Status::kOpen && !candidate(i).measured_fidelity &&
                      trials_left(group(i));
    if (open && !measuring_.gathered(candidate(i))) next.emplace_back(-chance(i) * saving(i), i);
  }
  std::sort(next.begin(), next.end());
  // Receivers take turns: what one may save says nothing about another.
  std::map<int, std::size_t> taken{{options_[option].receiver, 1}};
  std::vector<std::pair<std::size_t, std::size_t>> in_turns;
  for (const auto& [promise, i] : next) in_turns.emplace_back(taken[options_[i].receiver]++, i);
  std::stable_sort(in_turns.begin(), in_turns.end(), [](auto& a, auto& b) { return a.first < b.first; });
  std::vector<planner::Candidate> together{candidate(option)};
  for (std::size_t i = 0; i < in_turns.size() && together.size() < input_.memory_budget.together; ++i)
    together.push_back(candidate(in_turns[i].second));
  // What cannot be computed fails again when it is tried, alone.
  try {
    measuring_.gather(together);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
  }
}

/// Whether any choice with this column, at this saving, could save more than the best that held: the others as if they
/// all held.
bool Search::State::could_beat_the_best(std::size_t option, double saving_then) const {
  double force = 1;
  for (std::size_t i = 0; i < options_.size(); ++i) force += saving(i);
  const planner::Chosen chosen = choose([&](std::size_t i) {
    if (i == option) return saving_then + force;
    return options_[i].receiver == options_[option].receiver ? 0.0 : saving(i);
  });
  return chosen.bound - force > best_.value * (1 + kEqual);
}

/// Corrections are not fitted for what saves too little with them. It may be of use once the frames that judge refuse
/// what is better.
bool Search::State::defer(std::size_t option, const Trials::Measured& measured) {
  if (!measured.deferred_candidate) return false;
  // Put off once more for the same reason nothing was learnt, and the search must turn to something else.
  const auto [known, is_new] = deferred_.emplace(option, *measured.deferred_candidate);
  if (is_new ||
      planner::saving_of(known->second, objective_) != planner::saving_of(*measured.deferred_candidate, objective_))
    ++times_deferred_;
  known->second = *measured.deferred_candidate;
  planner::Candidate& one = candidates_[option];
  const std::string without = rounded(measured.agreement.fidelity);
  one.reason = "keeps " + without + " without further corrections; with them another choice saves more";
  log::info(described(one) + ": " + one.reason);
  return true;
}

void Search::State::try_chain(const Chain& chain) {
  const std::size_t option = chain.back();
  if (!trials_left(group(option))) {
    if (chain.size() == 1) untried_.push_back(option);
    // What was measured on donors that take has its reason.
    if (chain.size() == 1 && !candidate(option).measured_fidelity)
      candidates_[option].reason = "not tried: --max-trials " + std::to_string(input_.settings.max_trials) +
                                   " reached for " + (group(option).second < 0 ? "these donors mixed" : "this pair");
    drop_untried(chain);
    out_of_trials_ = true;
    return;
  }
  if (deferred_.count(option) == 0) ++trials_of_[group(option)];
  // Each trial has an entry: the column's own, or a copy where it was measured on other donors before.
  std::size_t entry = option;
  if (candidate(option).measured_fidelity) {
    candidates_.push_back(candidate(option));
    entry = candidates_.size() - 1;
  }
  Trial trial;
  // One candidate that cannot be computed is no reason to lose the others.
  try {
    if (input_.settings.memory_limit) release_free_memory();
    if (chain.size() == 1) gather_ahead(option);
    Trials::Measured measured = measuring_.run(candidates_[entry], shares_before(chain), [&](auto& corrected) {
      return fitting_ || chain.size() > 1 ||
             could_beat_the_best(option, static_cast<double>(planner::saving_of(corrected, objective_)));
    });
    if (defer(option, measured)) return;
    trial.entry = entry;
    note(chain, std::move(measured), trial);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    candidates_[entry].reason = "cannot be computed: " + error.problem();
    log::info(described(candidates_[entry]) + ": " + candidates_[entry].reason);
  }
  trial.entry = entry;
  deferred_.erase(option);
  if (!trial.holds) drop(chain);
  if (trial.holds && chain.size() == 1) status_[option] = Status::kHolds;
  trials_.emplace(chain, std::move(trial));
  if (chain.size() == 1) predict_others(option);
}

std::vector<graph::Splice> Search::State::shares_before(const Chain& chain) const {
  const std::map<int, std::size_t> of_receiver = by_receiver(chain);
  std::vector<graph::Splice> before;
  for (const std::size_t donor : chain) {
    if (donor != chain.back()) before.push_back(trials_.at(chain_of(of_receiver, donor)).accepted->fitted.splice);
  }
  return before;
}

/// A search tries fits on less than they may see. What is kept, and what others are fitted on, sees all: whether it
/// then holds.
bool Search::State::complete(const Chain& chain) {
  Trial& trial = trials_.at(chain);
  if (!trial.holds || trial.accepted->reach == 0) return trial.holds;
  note(chain, measuring_.completed(*trial.accepted, shares_before(chain)), trial);
  if (!trial.holds) drop(chain);
  return trial.holds;
}

void Search::State::complete() {
  const std::map<int, std::size_t> of_receiver = by_receiver(best_.options);
  for (const std::size_t option : best_.options) (void)complete(chain_of(of_receiver, option));
}

/// What a trial found.
void Search::State::note(const Chain& chain, Trials::Measured measured, Trial& trial) {
  planner::Candidate& one = candidates_[trial.entry];
  const Agreement agreement = measured.agreement;
  one = measured.accepted.candidate;  // what corrections add is known now
  one.measured_fidelity = agreement.fidelity;
  trial.fidelity = agreement.fidelity;
  const double wanted_fidelity = target(chain.back());
  const bool reached = agreement.low >= wanted_fidelity;
  trial.holds = agreement.low >= wanted_fidelity - measured.accepted.reach;
  std::string kept = rounded(agreement.fidelity);
  if (input_.settings.confidence > 0) kept += " (lower end " + rounded(agreement.low) + ")";
  const std::string on = on_donors_that_take(chain);
  const std::string wanted = rounded(wanted_fidelity);
  std::vector<std::string> names;
  for (const LayerIndex layer : one.receiver_layers)
    names.push_back(input_.work.models[one.receiver].prepared.program.layers[layer].name);
  log::info(described(one) + " at " + joined(names) + on + ": saves " +
            saving_text(planner::saving_of(one, objective_), objective_) + ", predicted " + predicted_text(one) +
            ", measured " + kept + (reached ? ": holds" : (trial.holds ? ": near " : ": below ") + wanted));
  if (reached) {
    one.reason = "keeps the fidelity" + on + ", another choice is better";
  } else if (trial.holds) {
    one.reason = "measured fidelity " + kept + on + " is near " + wanted + ", another choice is better";
  } else {
    one.reason = "measured fidelity " + kept + on + " is below " + wanted;
  }
  trial.accepted = std::make_shared<const FittedShare>(std::move(measured.accepted));
}

std::string Search::State::described(const planner::Candidate& one) const {
  return name(one.receiver) + "<-" + names_of(input_.work, planner::donors_of(one));
}

/// " on a wide that takes layers itself"; empty where no donor does.
std::string Search::State::on_donors_that_take(const Chain& chain) const {
  std::vector<ModelIndex> taking;
  for (const planner::Supplied& supplied : options_[chain.back()].supplied) {
    if (by_receiver(chain).count(supplied.donor) > 0) taking.push_back(supplied.donor);
  }
  if (taking.empty()) return {};
  const std::string names = names_of(input_.work, taking);
  return taking.size() == 1 ? " on a " + names + " that takes layers itself"
                            : " on " + names + " that take layers themselves";
}

/// How well trials were foretold that had a prediction with an interval.
void Search::State::judge_predictions() const {
  double count = 0, held = 0, missed = 0;
  for (const planner::Candidate& one : candidates_) {
    if (!one.measured_fidelity || !one.predicted_interval) continue;
    const double measured = *one.measured_fidelity;
    ++count;
    held += one.predicted_interval->first <= measured && measured <= one.predicted_interval->second ? 1 : 0;
    missed += std::abs(one.predicted_fidelity - measured);
  }
  if (count > 0) {
    log::info(std::to_string(std::lround(count)) + " trials were foretold from others of the same pair: " +
              std::to_string(std::lround(held)) + " within their interval, mean error " + rounded(missed / count));
  }
}

SearchResult Search::State::result() const {
  judge_predictions();
  SearchResult found;
  found.candidates = candidates_;
  const std::string why = fitting_ ? "best worst fidelity within the budget" : "largest saving that keeps the fidelity";
  const std::map<int, std::size_t> of_receiver = by_receiver(best_.options);
  for (const std::size_t option : best_.options) {
    const Trial& trial = trials_.at(chain_of(of_receiver, option));
    planner::Candidate& one = found.candidates[trial.entry];
    one.chosen = true;
    one.reason = why;
    FittedShare accepted = *trial.accepted;
    accepted.candidate = one;
    found.shares.push_back(std::move(accepted));
  }
  for (planner::Candidate& one : found.candidates) {
    if (!one.reason.empty()) continue;
    one.reason = timed_out_ ? "not tried: --max-minutes reached" : "not tried: " + beaten_by(one, found.shares);
  }
  return found;
}

/// Why a candidate was not worth a trial.
std::string Search::State::beaten_by(const planner::Candidate& one, const std::vector<FittedShare>& shares) const {
  if (input_.settings.budget && input_.bytes_to_save <= 0) return "the models fit into the budget as they are";
  for (const FittedShare& share : shares) {
    if (share.candidate.receiver == one.receiver) return name(one.receiver) + " already takes a better share";
  }
  const auto gives = [](ModelIndex model, const planner::Candidate& to) {
    return std::find(to.donors.begin(), to.donors.end(), model) != to.donors.end();
  };
  for (const FittedShare& share : shares) {
    const int other = share.candidate.receiver;
    if (gives(other, one)) return "its donor " + name(other) + " takes layers itself";
    if (gives(one.receiver, share.candidate)) return name(one.receiver) + " gives layers to " + name(other);
  }
  return "no choice with it is better";
}

std::vector<graph::Splice> splices_of(const std::vector<FittedShare>& shares) {
  std::vector<graph::Splice> splices;
  for (const FittedShare& share : shares) splices.push_back(share.fitted.splice);
  return splices;
}

}  // namespace repsim::pipeline
