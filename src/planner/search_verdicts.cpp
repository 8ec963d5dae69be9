#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <utility>

#include "accepted_choice.hpp"
#include "repsim/search.hpp"

namespace repsim::planner {

namespace {

/// What the fidelity on the selection frames has to exceed the target by, after a share kept `selection` there and
/// `test` on the test frames. Errors are taken to grow from the one to the other as those of this share did: a
/// difference near 1 would ask for more than 1. One detection more on both sides keeps few detections from deciding
/// much. @param detections  on the test frames; 0: raw outputs, of which the difference is taken
double learnt_loss(double selection, double test, double target, std::int64_t detections) {
  if (detections == 0) return selection - test;
  const double one = 1 / static_cast<double>(detections);
  const double ratio = (1 - selection + one) / (1 - test + one);
  return (1 - target) * (1 - std::min(1.0, ratio));
}

/// The part of a refused share's saving above which others are near copies of it. Errors grow about with the 4th power
/// of what is saved (docs/research/evidence.md): the further the share misses, the smaller the part.
double near_copy_part(double supported, double target) {
  constexpr double kMost = 0.8, kPower = 4;
  if (supported >= target) return kMost;
  return std::min(kMost, std::pow((1 - target) / (1 - supported), 1 / kPower));
}

}  // namespace

void Search::refuse(ModelIndex receiver, const Refusal& refusal) {
  const Chain chain = returned_chain(receiver);
  Trial& trial = trials_.at(chain);
  if (trial.compared) {
    const double loss = learnt_loss(trial.fidelity, refusal.fidelity, target(chain.back()), refusal.detections);
    double& most = loss_[kind(chain.back())];
    most = std::max(most, loss);
    if (options_.skip_near_copies) near_copies_[kind(chain.back())].push_back(near_copies_of(trial, refusal));
  }
  trial.holds = trial.accepted = false;
  trial.fidelity = refusal.fidelity;
  CandidateRecord& record = records_[trial.record];
  record.measured_fidelity = refusal.fidelity;
  record.reason = {.kind = Reason::Kind::kRefused,
                   .fidelity = refusal.fidelity,
                   .low = refusal.supported,
                   .target = target(chain.back())};
  drop(chain);
  drop_likely_refused(kind(chain.back()));
  best_ = {};  // without the share, what else it has is found again without a measurement
  reopen_untried(group(chain.back()));
}

Search::NearCopies Search::near_copies_of(const Trial& refused, const Refusal& refusal) const {
  constexpr double kPartOfLastLook = 0.5;
  const auto saving = static_cast<double>(refused.candidate.savings.of(options_.objective));
  const double target = input_.targets[refused.candidate.cut.receiver];
  const double part = near_copy_part(refusal.supported.value_or(refusal.fidelity), target);
  // Where one look is left, what looks clearly better but saves as much counts as a near copy, too.
  if (refusal.one_look_left) return {std::min(part, kPartOfLastLook) * saving, -1};
  // One error more on both sides: among shares without any error none is clearly better than another.
  const double one = refusal.detections > 0 ? 1 / static_cast<double>(refusal.detections) : 0;
  return {part * saving, (1 - refused.fidelity + one) / 2 - one};
}

void Search::accept(ModelIndex receiver) {
  Trial& trial = trials_.at(returned_chain(receiver));
  trial.accepted = trial.holds;
}

void Search::go_on_with_all(bool no_look_is_left) {
  weights_only_ = false;
  if (!no_look_is_left) return;
  std::set<Option> accepted;
  for (const auto& [chain, trial] : trials_) {
    if (trial.accepted) accepted.insert(chain.back());
  }
  for (Option i = 0; i < input_.options.size(); ++i) {
    if (!shares_weights_alone(i) || status_[i] == Status::kOut || accepted.count(i) > 0) continue;
    status_[i] = Status::kOut;
    const bool held = records_[i].measured_fidelity.has_value();
    records_[i].reason = {.kind = held ? Reason::Kind::kNotJudged : Reason::Kind::kOutOfJudgements};
  }
}

bool Search::is_near_copy(const Chain& chain, const Trial& trial) const {
  const auto refused = near_copies_.find(kind(chain.back()));
  if (refused == near_copies_.end() || maximize_fidelity_) return false;
  const auto saving = static_cast<double>(trial.candidate.savings.of(options_.objective));
  return std::any_of(refused->second.begin(), refused->second.end(), [&](const NearCopies& copies) {
    return saving > copies.saving && 1 - trial.fidelity > copies.error;
  });
}

SearchResult Search::safest() {
  is_settled_ = true;
  take_best_known([](const Trial& trial) { return trial.accepted; });
  return result();
}

/// Takes the best combination of trials that were made, without any measurement.
void Search::take_best_known(const MayBeTaken& may_be_taken) {
  best_ = {};
  maximize_fidelity_ = options_.bytes_to_save && *options_.bytes_to_save > 0;
  if (maximize_fidelity_) {
    best_ = best_known(true, may_be_taken);
    maximize_fidelity_ = !best_.options.empty();
  }
  if (!maximize_fidelity_) best_ = best_known(false, may_be_taken);
  returned_ = best_.options;
}

Search::Chain Search::returned_chain(ModelIndex receiver) const {
  const OptionOf of_receiver = by_receiver(returned_);
  return chain_of(of_receiver, of_receiver.at(receiver));
}

/// Takes out what was measured and does not keep enough since the loss of its kind is known. What the test frames have
/// accepted stays.
void Search::drop_likely_refused(const ShareKind& of) {
  for (auto& [chain, trial] : trials_) {
    const bool affected = kind(chain.back()) == of && trial.holds && !trial.accepted;
    if (!affected || holds(chain, trial)) continue;
    trial.holds = false;
    records_[trial.record].reason = reason_of_trial(chain, trial);
    drop(chain);
  }
}

/// A refused trial was spent in vain: its group gets it back, and with it the options for which none was left.
void Search::reopen_untried(const Group& of) {
  ++refused_of_[of];
  std::erase_if(untried_, [&](Option option) {
    if (group(option) != of) return false;
    status_[option] = Status::kOpen;
    if (!was_measured(option)) records_[option].reason = {};
    return true;
  });
}

/// @param by_fidelity  the best worst fidelity that fits into the budget, else the largest saving; empty if none fits
Search::Combination Search::best_known(bool by_fidelity, const MayBeTaken& may_be_taken) const {
  std::vector<AcceptedShare> shares;
  std::vector<const Chain*> chains;
  for (const auto& [chain, trial] : trials_) {
    if (!may_be_taken(trial)) continue;
    const OptionOf of_receiver = by_receiver(chain);
    AcceptedShare share{.option = chain.back(), .receiver = input_.options[chain.back()].receiver};
    for (const Option option : chain) {
      for (const Supplied& supplied : input_.options[option].supplied) {
        const auto taking = of_receiver.find(supplied.donor);
        share.upstream[supplied.donor] = taking == of_receiver.end() ? std::nullopt : std::optional(taking->second);
      }
    }
    const Savings& savings = trial.candidate.savings;
    share.saving = static_cast<double>(by_fidelity ? savings.bytes : savings.of(options_.objective));
    share.fidelity = trial.fidelity;
    shares.push_back(std::move(share));
    chains.push_back(&chain);
  }
  const std::vector<std::size_t> chosen =
      by_fidelity ? most_faithful(shares, options_.max_shares, static_cast<double>(*options_.bytes_to_save))
                  : largest_saving(shares, options_.max_shares);
  std::vector<const Chain*> taken;
  for (const std::size_t share : chosen) taken.push_back(chains[share]);
  std::stable_sort(taken.begin(), taken.end(), [](auto* a, auto* b) { return a->size() < b->size(); });
  Combination combination;
  for (const Chain* chain : taken) {
    const Trial& trial = trials_.at(*chain);
    combination.options.push_back(chain->back());
    combination.value += static_cast<double>(trial.candidate.savings.of(options_.objective));
    combination.worst_fidelity = std::min(combination.worst_fidelity, trial.fidelity);
  }
  return combination;
}

}  // namespace repsim::planner
