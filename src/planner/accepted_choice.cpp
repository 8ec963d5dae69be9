#include "accepted_choice.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

namespace repsim::planner {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000;

/// Decides one receiver after the other, its largest savings first.
class BranchAndBound {
 public:
  BranchAndBound(const std::vector<AcceptedShare>& shares, std::optional<std::int64_t> max_shares,
                 double least_fidelity)
      : shares_(shares), max_shares_(max_shares) {
    std::map<ModelIndex, std::vector<std::size_t>> of_receiver;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (shares[i].fidelity >= least_fidelity) of_receiver[shares[i].receiver].push_back(i);
    }
    for (auto& [receiver, all] : of_receiver) {
      std::stable_sort(all.begin(), all.end(), [&](auto a, auto b) { return shares[a].saving > shares[b].saving; });
      receivers_.push_back(receiver);
      shares_of_.push_back(all);
    }
    rest_.resize(receivers_.size() + 1);
    for (std::size_t i = receivers_.size(); i-- > 0;)
      rest_[i] = rest_[i + 1] + std::max(0.0, shares[shares_of_[i].front()].saving);
  }

  std::vector<std::size_t> run() {
    decide(0, 0);
    return best_;
  }
  [[nodiscard]] double value() const { return best_value_; }

 private:
  void decide(std::size_t at, double value) {
    if (++steps_ > kMostSteps || value + rest_[at] <= best_value_) return;
    if (at == receivers_.size()) {
      if (!is_whole()) return;
      best_ = taken_;
      best_value_ = value;
      return;
    }
    const bool may_take = !max_shares_ || static_cast<std::int64_t>(taken_.size()) < *max_shares_;
    for (const std::size_t share : shares_of_[at]) {
      if (!may_take || !fits(share)) continue;
      taken_.push_back(share);
      decide(at + 1, value + shares_[share].saving);
      taken_.pop_back();
    }
    decide(at + 1, value);
  }

  [[nodiscard]] bool fits(std::size_t share) const {
    return std::all_of(taken_.begin(), taken_.end(),
                       [&](std::size_t other) { return agree(share, other) && agree(other, share); });
  }

  /// Whether `one` was measured beside the option of `other`, or does not depend on it.
  [[nodiscard]] bool agree(std::size_t one, std::size_t other) const {
    const auto found = shares_[one].upstream.find(shares_[other].receiver);
    return found == shares_[one].upstream.end() || found->second == shares_[other].option;
  }

  /// Whether all donors' shares that a share needs are taken.
  [[nodiscard]] bool is_whole() const {
    std::set<std::size_t> options;
    for (const std::size_t share : taken_) options.insert(shares_[share].option);
    return std::all_of(taken_.begin(), taken_.end(), [&](std::size_t share) {
      return std::all_of(shares_[share].upstream.begin(), shares_[share].upstream.end(),
                         [&](const auto& donor) { return !donor.second || options.count(*donor.second) > 0; });
    });
  }

  const std::vector<AcceptedShare>& shares_;
  const std::optional<std::int64_t> max_shares_;
  std::vector<ModelIndex> receivers_;
  std::vector<std::vector<std::size_t>> shares_of_;  // per receiver
  std::vector<double> rest_;                         // what the receivers from here on save at most
  std::vector<std::size_t> taken_, best_;
  double best_value_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace

std::vector<std::size_t> largest_saving(const std::vector<AcceptedShare>& shares,
                                        std::optional<std::int64_t> max_shares) {
  return BranchAndBound(shares, max_shares, 0).run();
}

std::vector<std::size_t> most_faithful(const std::vector<AcceptedShare>& shares, std::optional<std::int64_t> max_shares,
                                       double to_save) {
  std::set<double, std::greater<>> levels;
  for (const AcceptedShare& share : shares) levels.insert(share.fidelity);
  for (const double level : levels) {
    BranchAndBound search(shares, max_shares, level);
    std::vector<std::size_t> chosen = search.run();
    if (search.value() >= to_save) return chosen;
  }
  return {};
}

}  // namespace repsim::planner
