#include "choice_bound.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace repsim::planner {
namespace {

constexpr double kLeastGain = 1e-4;  // of a round, relative to what the bound has to lose
// Temperatures of anneal(), relative to the largest worth: each half of the one before.
constexpr double kFirstTemperature = 0.05, kLastTemperature = 0.0015;
constexpr int kRoundsPerTemperature = 10;
constexpr double kNegligible = -30;  // exponents below add less than rounding does

/// What the open variables promise, each by itself.
struct Sums {
  double nothing = 0;           ///< of all that may take nothing if they do, and of the others' best options
  int forced = 0;               ///< those others
  std::vector<double> gains;    ///< per variable: of its best option over nothing; 0: none, or it is forced
  std::vector<double> largest;  ///< gains above 0, largest first

  /// The gains of this many takers; `without` leaves out one gain of this size.
  [[nodiscard]] double gain(int takers, double without = 0) const {
    double sum = 0;
    for (const double one : largest) {
      if (takers <= 0) break;
      if (without > 0 && one == without) {
        without = 0;
        continue;
      }
      sum += one;
      --takers;
    }
    return sum;
  }
};

/// A value's price before tax.
double price_of(const Subproblem& part, std::size_t variable, int value) {
  return part.prices[variable][value] + (value == 0 ? 0 : part.tax);
}

Sums sums_of(const Subproblem& part) {
  Sums sums;
  sums.gains.assign(part.taken.size(), 0);
  for (std::size_t i = 0; i < part.taken.size(); ++i) {
    if (part.taken[i] >= 0) continue;
    double nothing = kImpossible, option = kImpossible;
    for (const int value : part.values[i]) {
      double& best = value == 0 ? nothing : option;
      best = std::max(best, price_of(part, i, value));
    }
    if (nothing == kImpossible) {
      sums.nothing += option;
      ++sums.forced;
      continue;
    }
    sums.nothing += nothing;
    if (option <= nothing) continue;
    sums.gains[i] = option - nothing;
    sums.largest.push_back(option - nothing);
  }
  std::sort(sums.largest.begin(), sums.largest.end(), std::greater<>());
  return sums;
}

/// The tax at which as many options pay off as there may be takers.
void level_tax(Subproblem& part) {
  const Sums sums = sums_of(part);
  const std::size_t room = at(std::max(0, part.left - sums.forced));
  double tax = 0;
  if (sums.largest.size() > room) tax = room == 0 ? sums.largest[0] : (sums.largest[room] + sums.largest[room - 1]) / 2;
  for (std::size_t i = 0; i < part.taken.size(); ++i) {
    if (part.taken[i] >= 0) continue;
    for (const int value : part.values[i]) {
      if (value > 0) part.prices[i][value] += part.tax - tax;
    }
  }
  part.tax = tax;
}

/// temperature * log of the sum of exp(term / temperature); kImpossible of nothing.
template <typename Terms>
double soft_maximum(double temperature, const Terms& for_each_term) {
  double most = kImpossible, sum = 0;
  for_each_term([&](double term) { most = std::max(most, term); });
  if (most == kImpossible) return most;
  for_each_term([&](double term) {
    const double exponent = (term - most) / temperature;
    if (exponent > kNegligible) sum += std::exp(exponent);
  });
  return most + temperature * std::log(sum);
}

/// The largest price per class, and which classes have one.
void gather(const std::vector<int>& values, const std::vector<int>& classes, int count,
            const std::vector<double>& prices, double temperature, PairSide& side) {
  side.best.assign(at(count), kImpossible);
  side.present.clear();
  for (const int value : values) {
    double& best = side.best[classes[value]];
    if (best == kImpossible) side.present.push_back(classes[value]);
    best = std::max(best, prices[value]);
  }
  if (temperature <= 0) return;
  side.sums.assign(at(count), 0);
  for (const int value : values) {
    const double exponent = (prices[value] - side.best[classes[value]]) / temperature;
    if (exponent > kNegligible) side.sums[classes[value]] += std::exp(exponent);
  }
  for (const int one : side.present) side.best[one] += temperature * std::log(side.sums[one]);
}

/// A value that excludes all that is left of the other variable cannot be taken.
template <typename HasPartner>
void leave_out_lonely(std::vector<int>& values, const std::vector<int>& classes, PairSide& side,
                      const HasPartner& has_partner) {
  if (std::all_of(side.present.begin(), side.present.end(), has_partner)) return;
  std::erase_if(values, [&](int value) { return !has_partner(classes[value]); });
  std::erase_if(side.present, [&](int one) { return !has_partner(one); });
}

}  // namespace

double Bounds::bound(const Subproblem& part) {
  if (!part.possible) return kImpossible;
  const Sums sums = sums_of(part);
  return part.left < sums.forced ? kImpossible : part.worth + sums.nothing + sums.gain(part.left - sums.forced);
}

void Bounds::prune(Subproblem& part, double least) {
  const Sums sums = sums_of(part);
  const int room = part.left - sums.forced;
  for (std::size_t i = 0; i < part.taken.size() && part.possible; ++i) {
    if (part.taken[i] >= 0) continue;
    std::vector<int>& values = part.values[i];
    const bool free = values.front() == 0;
    double counted = kImpossible;  // of this variable, in sums.nothing
    for (const int value : values) {
      if (value == 0 || !free) counted = std::max(counted, price_of(part, i, value));
    }
    const double others = part.worth + sums.nothing - counted;
    const double beside_nothing = others + sums.gain(room, sums.gains[i]);
    const double beside_option = others + sums.gain(free ? room - 1 : room, sums.gains[i]);
    std::erase_if(values, [&](int value) {
      return (value == 0 ? beside_nothing : beside_option) + price_of(part, i, value) <= least;
    });
    part.possible = !values.empty();
  }
}

void Bounds::tighten(Subproblem& part, double least, int most_rounds) {
  double before = bound(part);
  for (int i = 0; i < most_rounds && before > least; ++i) {
    round(part, i % 2 == 0, 0);
    const double now = bound(part);
    if (before - now < kLeastGain * (now - least)) return;
    before = now;
  }
}

void Bounds::anneal(Subproblem& part) {
  double largest = 0;
  for (const Variable& variable : problem_.variables) largest = std::max(largest, variable.worth[1]);
  for (double relative = kFirstTemperature; relative > kLastTemperature; relative /= 2) {
    for (int i = 0; i < kRoundsPerTemperature; ++i) round(part, i % 2 == 0, relative * largest);
  }
  round(part, true, 0);  // makes what pairs moved a bound again
}

/// temperature 0: exact maxima.
void Bounds::round(Subproblem& part, bool forward, double temperature) {
  const std::size_t count = problem_.pairs.size();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t index = forward ? i : count - 1 - i;
    const Pair& pair = problem_.pairs[index];
    if (!part.open(pair.a) || !part.open(pair.b)) continue;
    auto &values_a = part.values[pair.a], &values_b = part.values[pair.b];
    auto &prices_a = part.prices[pair.a], &prices_b = part.prices[pair.b];
    auto &to_a = part.to_a[index], &to_b = part.to_b[index];
    for (const int value : values_a) prices_a[value] -= to_a[pair.class_a[value]];
    for (const int value : values_b) prices_b[value] -= to_b[pair.class_b[value]];
    gather(values_a, pair.class_a, pair.classes_a, prices_a, temperature, a_);
    gather(values_b, pair.class_b, pair.classes_b, prices_b, temperature, b_);
    leave_out_lonely(values_a, pair.class_a, a_, [&](int p) {
      return std::any_of(b_.present.begin(), b_.present.end(), [&](int q) { return pair.fit(p, q); });
    });
    leave_out_lonely(values_b, pair.class_b, b_, [&](int q) {
      return std::any_of(a_.present.begin(), a_.present.end(), [&](int p) { return pair.fit(p, q); });
    });
    part.possible = !values_a.empty() && !values_b.empty();
    if (!part.possible) return;
    if (temperature > 0) {
      soft_handshake(pair, temperature, to_a, to_b);
    } else {
      handshake(pair, to_a, to_b);
    }
    for (const int value : values_a) prices_a[value] += to_a[pair.class_a[value]];
    for (const int value : values_b) prices_b[value] += to_b[pair.class_b[value]];
    steps_ += static_cast<std::int64_t>(a_.present.size() * b_.present.size() + values_a.size() + values_b.size());
  }
  level_tax(part);
}

/// All prices of both go to the pair; half of what a value can get there goes back to `a`, the rest to `b`, and what
/// `b` then leaves to `a`.
void Bounds::handshake(const Pair& pair, std::vector<double>& to_a, std::vector<double>& to_b) {
  rest_.assign(at(pair.classes_a), kImpossible);
  for (const int p : a_.present) {
    double partner = kImpossible;
    for (const int q : b_.present) {
      if (pair.fit(p, q)) partner = std::max(partner, b_.best[q]);
    }
    rest_[p] = (a_.best[p] - partner) / 2;
  }
  for (const int q : b_.present) {
    double most = kImpossible;
    for (const int p : a_.present) {
      if (pair.fit(p, q)) most = std::max(most, rest_[p]);
    }
    to_b[q] = most;
  }
  for (const int p : a_.present) {
    double most = kImpossible;
    for (const int q : b_.present) {
      if (pair.fit(p, q)) most = std::max(most, -to_b[q]);
    }
    to_a[p] = most;
  }
}

/// Makes each class as likely for its variable as for the pair, one side after the other.
void Bounds::soft_handshake(const Pair& pair, double temperature, std::vector<double>& to_a,
                            std::vector<double>& to_b) {
  const auto move_to_a = [&] {
    for (const int p : a_.present) {
      const double of_pair = soft_maximum(temperature, [&](const auto& term) {
        for (const int q : b_.present) {
          if (pair.fit(p, q)) term(-to_b[q]);
        }
      });
      to_a[p] = (of_pair - a_.best[p]) / 2;
    }
  };
  move_to_a();
  for (const int q : b_.present) {
    const double of_pair = soft_maximum(temperature, [&](const auto& term) {
      for (const int p : a_.present) {
        if (pair.fit(p, q)) term(-to_a[p]);
      }
    });
    to_b[q] = (of_pair - b_.best[q]) / 2;
  }
  move_to_a();
}

}  // namespace repsim::planner
