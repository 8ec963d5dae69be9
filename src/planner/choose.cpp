#include <algorithm>
#include <numeric>

#include "repsim/base/error.hpp"
#include "repsim/planner.hpp"

namespace repsim::planner {
namespace {

constexpr double kRounding = 1e-9;  // relative: sums in another order differ by less

std::size_t at(int index) { return static_cast<std::size_t>(index); }

class Chooser {
 public:
  explicit Chooser(const Choice& choice) : choice_(choice), columns_of_(at(choice.models)), most_(at(choice.models)) {
    for (std::size_t i = 0; i < choice.columns.size(); ++i) {
      const Column& column = choice.columns[i];
      const auto known = [&](int model) { return model >= 0 && model < choice.models; };
      if (!known(column.receiver) || column.given.empty() ||
          !std::all_of(column.given.begin(), column.given.end(), [&](const Given& one) { return known(one.donor); }))
        throw Error(ErrorKind::kInternal, "a column names no model");
      if (column.value > 0) columns_of_[at(column.receiver)].push_back(i);
    }
    for (auto& columns : columns_of_) {
      std::stable_sort(columns.begin(), columns.end(),
                       [&](std::size_t a, std::size_t b) { return choice.columns[a].value > choice.columns[b].value; });
    }
    for (std::size_t model = 0; model < most_.size(); ++model) {
      if (!columns_of_[model].empty()) most_[model] = choice.columns[columns_of_[model].front()].value;
    }
    order_.resize(at(choice.models));
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) { return most_[at(a)] > most_[at(b)]; });
    banned_with_.resize(choice.columns.size());
    for (const auto& set : choice.banned) {
      for (const std::size_t column : set) banned_with_.at(column).push_back(&set);
    }
    taken_.assign(at(choice.models), -1);
  }

  Chosen run() {
    descend(0, 0, left_at_start(), false);
    Chosen result;
    for (const int column : best_) {
      if (column >= 0) result.columns.push_back(at(column));
    }
    result.value = best_value_;
    result.proven = nodes_ <= choice_.most_nodes;
    result.bound = result.proven ? best_value_ : std::max(best_value_, open_bound_);
    return result;
  }

 private:
  int left_at_start() const { return choice_.max_shares < 0 ? choice_.models : choice_.max_shares; }

  /// No choice for the receivers from `depth` on is worth more.
  double bound(std::size_t depth, int left, bool one_takes_nothing) const {
    const std::size_t open = order_.size() - depth;
    std::size_t takers = std::min(open, at(left));
    // `order_` is sorted, so the first ones are the largest and the last is the smallest.
    if (!one_takes_nothing && takers == open && takers > 0) --takers;
    double sum = 0;
    for (std::size_t i = depth; i < depth + takers; ++i) sum += most_[at(order_[i])];
    return sum;
  }

  /// May a column stand beside what is taken?
  bool fits(std::size_t index) const {
    const Column& column = choice_.columns[index];
    for (const int taken : taken_) {
      if (taken < 0) continue;
      const Column& other = choice_.columns[at(taken)];
      if (!left_by(column, other) || !left_by(other, column)) return false;
    }
    return !banned(index) && !leads_back(column);
  }

  /// Whether `own` leaves its receiver what `taker` takes of it.
  static bool left_by(const Column& taker, const Column& own) {
    return std::none_of(taker.given.begin(), taker.given.end(), [&](const Given& given) {
      return given.donor == own.receiver && std::any_of(given.layers.begin(), given.layers.end(), [&](int layer) {
               return std::binary_search(own.lost.begin(), own.lost.end(), layer);
             });
    });
  }

  /// Whether all others of a banned set are taken.
  bool banned(std::size_t index) const {
    const auto& sets = banned_with_[index];
    return std::any_of(sets.begin(), sets.end(), [&](const std::vector<std::size_t>* set) {
      return std::all_of(set->begin(), set->end(), [&](std::size_t one) {
        return one == index || taken_[at(choice_.columns[one].receiver)] == static_cast<int>(one);
      });
    });
  }

  /// Whether following the donors from here, and the donors of those that take, leads back to the receiver.
  bool leads_back(const Column& column) const {
    const auto takes = [&](const Given& one) { return taken_[at(one.donor)] >= 0; };
    if (std::none_of(column.given.begin(), column.given.end(), takes)) {
      return std::any_of(column.given.begin(), column.given.end(),
                         [&](const Given& one) { return one.donor == column.receiver; });
    }
    std::vector<bool> seen(taken_.size(), false);
    std::vector<const Column*> open{&column};
    while (!open.empty()) {
      const Column* next = open.back();
      open.pop_back();
      for (const Given& given : next->given) {
        if (given.donor == column.receiver) return true;
        const int taken = taken_[at(given.donor)];
        if (taken < 0 || seen[at(given.donor)]) continue;
        seen[at(given.donor)] = true;
        open.push_back(&choice_.columns[at(taken)]);
      }
    }
    return false;
  }

  void descend(std::size_t depth, double value, int left, bool one_takes_nothing) {
    if (value > best_value_ * (1 + kRounding) && value > 0) {
      best_value_ = value;
      best_ = taken_;
    }
    if (depth == order_.size() || left == 0) return;
    const double most = value + bound(depth, left, one_takes_nothing);
    if (most <= best_value_ * (1 + kRounding)) return;
    if (++nodes_ > choice_.most_nodes) {
      open_bound_ = std::max(open_bound_, most);
      return;
    }
    const int receiver = order_[depth];
    const double rest = bound(depth + 1, left - 1, one_takes_nothing);
    for (const std::size_t index : columns_of_[at(receiver)]) {
      // Largest value first: once it cannot do, none behind can.
      if (value + choice_.columns[index].value + rest <= best_value_ * (1 + kRounding)) break;
      if (!fits(index)) continue;
      taken_[at(receiver)] = static_cast<int>(index);
      descend(depth + 1, value + choice_.columns[index].value, left - 1, one_takes_nothing);
      taken_[at(receiver)] = -1;
    }
    descend(depth + 1, value, left, true);
  }

  const Choice& choice_;
  std::vector<std::vector<std::size_t>> columns_of_;                       // per receiver, largest value first
  std::vector<double> most_;                                               // per receiver
  std::vector<int> order_;                                                 // receivers, largest `most_` first
  std::vector<std::vector<const std::vector<std::size_t>*>> banned_with_;  // per column the banned sets that hold it
  std::vector<int> taken_, best_;                                          // per receiver a column, -1: none
  double best_value_ = 0, open_bound_ = 0;
  std::int64_t nodes_ = 0;
};

}  // namespace

Chosen choose(const Choice& choice) { return Chooser(choice).run(); }

}  // namespace repsim::planner
