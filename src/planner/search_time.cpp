#include <algorithm>

#include "repsim/search.hpp"

namespace repsim::planner {

/// Whether what needs so much time would end too late. Once something did not fit, the search begins nothing more.
bool Search::out_of_time(Duration needed) {
  if (options_.deadline == SearchOptions::Clock::time_point::max()) return false;
  const Duration left = options_.deadline - options_.now();
  if (!timed_out_ && left > Duration::zero() && needed <= left) return false;
  if (!timed_out_) observer_.out_of_time();
  timed_out_ = true;
  return true;
}

/// Nothing is expected of the first trial of a receiver.
Search::Duration Search::expected_trial(const Chain& chain) const {
  const auto known = longest_.find(input_.options[chain.back()].receiver);
  if (known == longest_.end()) return owed();
  const bool prepares = chain.size() == 1 && !evaluator_.prepared(candidate(chain.back()));
  return known->second.trial + (prepares ? known->second.preparation : Duration::zero()) + owed();
}

/// A complete fit reads more than a trial: until one was made, it is expected to take as long.
Search::Duration Search::expected_complete_fit(ModelIndex receiver) const {
  const auto known = longest_.find(receiver);
  return known == longest_.end() ? Duration::zero() : std::max(known->second.trial, known->second.complete_fit);
}

/// What the complete fits of the best combination take once the search ends.
Search::Duration Search::owed() const {
  const OptionOf of_receiver = by_receiver(best_.options);
  Duration sum{0};
  for (const Option option : best_.options) {
    if (trials_.at(chain_of(of_receiver, option)).max_gain > 0)
      sum += expected_complete_fit(input_.options[option].receiver);
  }
  return sum;
}

void Search::took(Duration& longest, SearchOptions::Clock::time_point since) const {
  longest = std::max(longest, options_.now() - since);
}

}  // namespace repsim::planner
