// What the test frames say, in random worlds: the search against its definition.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fake_evaluator.hpp"
#include "made_up_world.hpp"
#include "random_world.hpp"

namespace repsim::planner {
namespace {

using test::Difficulties;
using test::FakeEvaluator;
using test::FakeWorld;
using test::Game;
using test::taken_of;
using Question = FakeEvaluator::Question;

/// Plays a search as a plan does: at most three looks at the test frames, then the safest choice.
class Player {
 public:
  Player(const FakeWorld& world, SearchOptions options) : game(world, std::move(options)) {}

  SearchResult play() {
    for (looks = 0; looks < 3;) {
      const SearchResult found = game.search.run();
      ++looks;
      const bool refused = judge(found);
      const bool complete = std::all_of(found.shares.begin(), found.shares.end(),
                                        [](const SelectedShare& share) { return share.max_gain == 0; });
      if (!refused && complete) break;
      if (!refused) game.search.complete();
    }
    return game.search.safest();
  }

  Game game;
  int looks = 0;
  std::map<ModelIndex, int> refusals;
  std::set<std::pair<int, std::vector<int>>> accepted;  // an option, and the part of the choice that it depends on
  std::set<FittedShareId> accepted_shares;

 private:
  bool judge(const SearchResult& found) {
    bool refused = false;
    const std::vector<int> taken = taken_of(game.world, found);
    for (const SelectedShare& share : found.shares) {
      const ModelIndex receiver = found.records[share.record].candidate.cut.receiver;
      const double fidelity = game.evaluator.test_fidelity(share.share), target = game.world.targets[receiver];
      if (fidelity >= target) {
        game.search.accept(receiver);
        accepted.insert({taken[receiver], test::chain_part(game.world, taken, taken[receiver])});
        accepted_shares.insert(share.share);
      } else if (fidelity < target - share.max_gain) {
        game.search.refuse(receiver, {fidelity});
        ++refusals[receiver];
        refused = true;
      }
    }
    return refused;
  }
};

/// A choice's saving, and its worst fidelity on the selection frames.
struct Worth {
  std::int64_t saving = 0;
  double worst_fidelity = 1;
};
Worth worth_of(const FakeWorld& world, const std::vector<int>& taken) {
  const test::BruteForce oracle(world, std::nullopt);
  Worth worth{.saving = oracle.saving(taken)};
  for (const int option : taken) {
    if (option >= 0)
      worth.worst_fidelity = std::min(worth.worst_fidelity, oracle.fidelity(taken, static_cast<std::size_t>(option)));
  }
  return worth;
}

void expect_best_of_the_accepted(const Player& player, const SearchOptions& options, const SearchResult& found) {
  const FakeWorld& world = player.game.world;
  const Worth worth = worth_of(world, taken_of(world, found));
  std::int64_t largest = 0;
  std::optional<double> best_fidelity;  // of those that fit
  test::each_allowed(world, [&](const std::vector<int>& taken) {
    const bool accepted = std::all_of(taken.begin(), taken.end(), [&](int option) {
      return option < 0 || player.accepted.count({option, test::chain_part(world, taken, option)}) > 0;
    });
    const auto count = std::count_if(taken.begin(), taken.end(), [](int option) { return option >= 0; });
    if (!accepted || (options.max_shares && count > *options.max_shares)) return;
    const Worth one = worth_of(world, taken);
    largest = std::max(largest, one.saving);
    if (options.bytes_to_save && one.saving >= *options.bytes_to_save)
      best_fidelity = std::max(best_fidelity.value_or(0), one.worst_fidelity);
  });
  if (best_fidelity) {
    EXPECT_GE(worth.saving, *options.bytes_to_save);
    EXPECT_EQ(worth.worst_fidelity, *best_fidelity);
  } else {
    EXPECT_EQ(worth.saving, largest);
  }
}

void expect_only_accepted(const Player& player, const SearchResult& found) {
  const FakeWorld& world = player.game.world;
  const auto has_evidence = [&](std::size_t option) {
    return world.evidence.empty() || world.evidence[world.options[option].option.receiver].is_enough();
  };
  EXPECT_LE(player.looks, 3);
  for (const SelectedShare& share : found.shares) {
    const std::size_t option = test::option_of(found.records[share.record].candidate);
    EXPECT_TRUE(player.accepted_shares.count(share.share) > 0) << "option " << option;
    EXPECT_GE(player.game.evaluator.test_fidelity(share.share), world.target(option));
    EXPECT_TRUE(has_evidence(option));
  }
  for (const Question& question : player.game.evaluator.asked) EXPECT_TRUE(has_evidence(question.chain.back()));
  for (const auto& together : player.game.evaluator.prepared_together) {
    for (const std::size_t option : together) EXPECT_TRUE(has_evidence(option));
  }
}

/// @return shares of all results
std::size_t play_random_worlds(unsigned seed, const Difficulties& with) {
  std::mt19937 random(seed);
  std::size_t shares = 0;
  for (int round = 0; round < 200 && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const FakeWorld world = test::random_world(random, with);
    SearchOptions options;
    if (round % 3 == 0) options.bytes_to_save = 1 + round % 40;
    if (round % 4 == 0) options.max_shares = 1 + round % 8 / 4;
    Player player(world, options);
    const SearchResult found = player.play();
    expect_only_accepted(player, found);
    if (!with.noise) expect_best_of_the_accepted(player, options, found);  // no complete fit replaces an accepted share
    // Where all shares of a receiver lose equally, one refusal tells it all.
    for (const auto& [receiver, times] : player.refusals) EXPECT_TRUE(with.test_noise || times <= 1) << receiver;
    shares += found.shares.size();
  }
  return shares;
}

TEST(SearchVerdictsInRandomWorlds, OneRefusalTellsWhatAReceiverLoses) {
  EXPECT_GT(play_random_worlds(21, {.test_frames = true}), 100);
}

TEST(SearchVerdictsInRandomWorlds, TheSafestChoiceIsTheBestOfTheAccepted) {
  EXPECT_GT(play_random_worlds(22, {.penalties = true, .test_frames = true, .test_noise = true, .evidence = true}),
            100);
}

TEST(SearchVerdictsInRandomWorlds, EveryShareIsAcceptedThoughFitsAreCompletedInBetween) {
  EXPECT_GT(play_random_worlds(
                23, {.penalties = true, .noise = true, .test_frames = true, .test_noise = true, .evidence = true}),
            50);
}

}  // namespace
}  // namespace repsim::planner
