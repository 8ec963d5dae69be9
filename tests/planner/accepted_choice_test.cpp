// The best choice of accepted shares against all of them.
#include "../../src/planner/accepted_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "random_world.hpp"

namespace repsim::planner {
namespace {

using test::FakeWorld;
using Part = std::pair<int, std::vector<int>>;  // an option, and the part of a choice that it depends on

/// Two thirds of all chains of a world, as shares of made-up worth. Some save less than nothing.
struct Accepted {
  std::map<Part, std::size_t> index;
  std::vector<AcceptedShare> shares;

  Accepted(const FakeWorld& world, std::mt19937& random) {
    test::each_allowed(world, [&](const std::vector<int>& taken) {
      for (const int option : taken) {
        if (option < 0) continue;
        const Part part{option, test::chain_part(world, taken, option)};
        if (index.count(part) > 0 || random() % 3 == 0) continue;
        index[part] = shares.size();
        shares.push_back({.option = static_cast<std::size_t>(option),
                          .receiver = world.options[option].option.receiver,
                          .upstream = upstream(world, part),
                          .saving = static_cast<double>(random() % 50) - 5,
                          .fidelity = static_cast<double>(random() % 8) / 8});
      }
    });
  }

  /// Models from which the option takes, directly or through shares of the part.
  static std::map<ModelIndex, std::optional<std::size_t>> upstream(const FakeWorld& world, const Part& part) {
    std::map<ModelIndex, std::optional<std::size_t>> result;
    std::vector<int> open{part.first};
    while (!open.empty()) {
      const int option = open.back();
      open.pop_back();
      for (const Supplied& supplied : world.options[option].option.supplied) {
        const int taking = part.second[supplied.donor];
        result[supplied.donor] = taking < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(taking));
        if (taking >= 0) open.push_back(taking);
      }
    }
    return result;
  }
};

struct Best {
  double saving = 0;                                  ///< the largest
  std::optional<std::pair<double, double>> faithful;  ///< fidelity and saving of the best that saves enough
};

Best best_of(const FakeWorld& world, const Accepted& accepted, std::optional<std::int64_t> max_shares, double to_save) {
  Best best;
  test::each_allowed(world, [&](const std::vector<int>& taken) {
    double saving = 0, worst = 1;
    std::int64_t count = 0;
    for (const int option : taken) {
      if (option < 0) continue;
      const auto found = accepted.index.find({option, test::chain_part(world, taken, option)});
      if (found == accepted.index.end()) return;
      saving += accepted.shares[found->second].saving;
      worst = std::min(worst, accepted.shares[found->second].fidelity);
      ++count;
    }
    if (max_shares && count > *max_shares) return;
    best.saving = std::max(best.saving, saving);
    if (count > 0 && saving >= to_save)
      best.faithful = std::max(best.faithful, std::optional(std::pair{worst, saving}));
  });
  return best;
}

TEST(SearchAcceptedChoice, IsTheBestOfAll) {
  std::mt19937 random(31);
  for (int round = 0; round < 200 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const FakeWorld world = test::random_world(random, {});
    const Accepted accepted(world, random);
    const std::optional<std::int64_t> max_shares =
        round % 3 == 0 ? std::optional<std::int64_t>(round % 4) : std::nullopt;
    const double to_save = static_cast<double>(1 + random() % 60);
    const Best best = best_of(world, accepted, max_shares, to_save);

    const auto saving = [&](const std::vector<std::size_t>& chosen) {
      double sum = 0;
      for (const std::size_t share : chosen) sum += accepted.shares[share].saving;
      return sum;
    };
    EXPECT_EQ(saving(largest_saving(accepted.shares, max_shares)), best.saving);
    const std::vector<std::size_t> faithful = most_faithful(accepted.shares, max_shares, to_save);
    EXPECT_EQ(faithful.empty(), !best.faithful);
    if (faithful.empty() || !best.faithful) continue;
    double worst = 1;
    for (const std::size_t share : faithful) worst = std::min(worst, accepted.shares[share].fidelity);
    EXPECT_EQ(std::pair(worst, saving(faithful)), *best.faithful);
  }
}

}  // namespace
}  // namespace repsim::planner
