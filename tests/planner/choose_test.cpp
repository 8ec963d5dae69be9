// The choice of shares for many models against every combination of options.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "base/error_matcher.hpp"
#include "choice_cases.hpp"
#include "repsim/planner.hpp"

namespace repsim::planner {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

double brute_force(const Choice& choice, std::vector<int>& taken, ModelIndex receiver) {
  if (receiver == choice.models) {
    if (!test::allowed(choice, taken)) return 0;
    double value = 0;
    for (const int option : taken) value += option < 0 ? 0 : choice.options[option].value;
    return value;
  }
  double best = brute_force(choice, taken, receiver + 1);
  for (std::size_t i = 0; i < choice.options.size(); ++i) {
    if (choice.options[i].receiver != receiver) continue;
    taken[receiver] = static_cast<int>(i);
    best = std::max(best, brute_force(choice, taken, receiver + 1));
    taken[receiver] = -1;
  }
  return best;
}

std::vector<int> taken_of(const Choice& choice, const Chosen& chosen) {
  std::vector<int> taken(static_cast<std::size_t>(choice.models), -1);
  for (const std::size_t option : chosen.options) taken[choice.options[option].receiver] = static_cast<int>(option);
  return taken;
}

TEST(Choose, EqualsBruteForceOnRandomModels) {
  std::mt19937 random(21);
  int mixed = 0;
  for (int round = 0; round < 3000; ++round) {
    const Choice choice = test::random_choice(random, 2 + round % 3, 4);
    std::vector<int> none(static_cast<std::size_t>(choice.models), -1);
    const Chosen chosen = choose(choice);
    ASSERT_TRUE(test::allowed(choice, taken_of(choice, chosen))) << "round " << round;
    ASSERT_NEAR(chosen.value, brute_force(choice, none, 0), 1e-9) << "round " << round;
    ASSERT_TRUE(chosen.proven);
    ASSERT_EQ(chosen.bound, chosen.value);
    for (const std::size_t option : chosen.options) mixed += choice.options[option].supplied.size() > 1 ? 1 : 0;
  }
  EXPECT_GT(mixed, 500);  // the choices have something of several donors to choose
}

/// Some options take weights, and some of those that take layers lose weights with them.
void add_weights(std::mt19937& random, Choice& choice) {
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  for (ShareOption& option : choice.options) {
    const bool takes_weights = below(2) == 0;
    for (Supplied& supplied : option.supplied) {
      for (int weight = 0; takes_weights && weight < 6; ++weight) {
        if (below(3) == 0) supplied.parameters.push_back(weight);
      }
      if (takes_weights) supplied.layers.clear();
    }
    if (takes_weights) option.unavailable.clear();
    for (int weight = 0; weight < 6; ++weight) {
      if (below(4) == 0) option.gone_parameters.push_back(weight);
    }
  }
}

TEST(Choose, EqualsBruteForceOnRandomModelsThatShareWeights) {
  std::mt19937 random(23);
  int without = 0;  // choices that the weights decide
  for (int round = 0; round < 1500; ++round) {
    Choice choice = test::random_choice(random, 2 + round % 3, 4);
    add_weights(random, choice);
    std::vector<int> none(static_cast<std::size_t>(choice.models), -1);
    const Chosen chosen = choose(choice);
    ASSERT_TRUE(test::allowed(choice, taken_of(choice, chosen))) << "round " << round;
    ASSERT_NEAR(chosen.value, brute_force(choice, none, 0), 1e-9) << "round " << round;
    for (ShareOption& option : choice.options) option.gone_parameters.clear();
    without += choose(choice).value > chosen.value ? 1 : 0;
  }
  EXPECT_GT(without, 100);
}

// Relatives of one network, any of which may give its weights to all others: nobody can give what it took, so the
// choice is one donor for all. It is the one from which all others are nearest.
TEST(Choose, TakesTheModelNearestToAllOthersAsTheDonorOfAFamily) {
  std::mt19937 random(24);
  for (int round = 0; round < 200; ++round) {
    const int models = 3 + round % 3, weights = 4;
    std::vector<double> position;
    for (int model = 0; model < models; ++model) position.push_back(static_cast<double>(random() % 1000));
    Choice choice;
    choice.models = models;
    std::vector<double> star(static_cast<std::size_t>(models), 0);
    for (ModelIndex receiver = 0; receiver < models; ++receiver) {
      for (ModelIndex donor = 0; donor < models; ++donor) {
        if (receiver == donor) continue;
        // A model more that takes is always worth more than nearer donors.
        ShareOption option{receiver, 10'000 - std::abs(position[receiver] - position[donor]), {}, {}};
        option.supplied.push_back({donor, {}, {}});
        for (int weight = 0; weight < weights; ++weight) {
          option.supplied.front().parameters.push_back(weight);
          option.gone_parameters.push_back(weight);
        }
        star[donor] += option.value;
        choice.options.push_back(option);
      }
    }
    const Chosen chosen = choose(choice);
    ASSERT_EQ(std::ssize(chosen.options), models - 1) << "round " << round;
    EXPECT_NEAR(chosen.value, *std::max_element(star.begin(), star.end()), 1e-9) << "round " << round;
  }
}

TEST(Choose, OutOfStepsStillBoundsTheOptimum) {
  std::mt19937 random(22);
  int unproven = 0;
  for (int round = 0; round < 100; ++round) {
    Choice choice = test::random_choice(random, 8, 8);
    const double best = choose(choice).value;
    choice.most_steps = 0;  // what the first way down finds
    const Chosen chosen = choose(choice);
    ASSERT_TRUE(test::allowed(choice, taken_of(choice, chosen)));
    ASSERT_GE(chosen.bound, best - 1e-9) << "round " << round;
    ASSERT_LE(chosen.value, best + 1e-9) << "round " << round;
    unproven += chosen.proven ? 0 : 1;
  }
  EXPECT_GT(unproven, 10);
}

/// Models of families, each a row of layers: within a family cuts reach far, across them not. Deep cuts save more, take
/// deeper layers of the donor and lose all that is above; some take from two donors.
Choice family_choice(std::uint32_t seed, int models, int families, int least_layers, int mixed) {
  std::mt19937 random(seed);
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  const auto at = [](int index) { return static_cast<std::size_t>(index); };
  Choice choice;
  choice.models = models;
  std::vector<int> family, layers;
  std::vector<std::vector<double>> bytes(at(models), {0});  // up to a depth
  for (ModelIndex model = 0; model < models; ++model) {
    family.push_back(below(families));
    layers.push_back(least_layers + below(least_layers));
    for (LayerIndex layer = 0; layer < layers.back(); ++layer)
      bytes[model].push_back(bytes[model].back() + 500 + 100 * layer * layer * (1 + below(8)));
  }
  const auto offer = [&](ModelIndex receiver, int cut, const std::set<int>& donors) {
    ShareOption option{receiver, bytes[receiver][cut] - 30 - below(60), {}, {}};
    for (const ModelIndex donor : donors) {
      const int deepest = std::clamp(cut * layers[donor] / layers[receiver] - below(3), 0, layers[donor] - 1);
      Supplied supplied{donor, {deepest}};
      if (deepest > 2 && below(2) == 0) supplied.layers = {deepest - 2, deepest};  // a pyramid
      option.supplied.push_back(supplied);
    }
    for (LayerIndex layer = 0; layer < cut; ++layer) option.unavailable.push_back(layer);
    choice.options.push_back(option);
  };
  for (ModelIndex receiver = 0; receiver < models; ++receiver) {
    const int all = layers[receiver];
    for (ModelIndex donor = 0; donor < models; ++donor) {
      if (donor == receiver) continue;
      const int deepest = family[donor] == family[receiver] ? all - below(2) : 1 + all / 4 + below(all / 2);
      for (int cut = 1; cut <= deepest; ++cut) {
        if (below(4) > 0) offer(receiver, cut, {donor});
      }
    }
    for (int i = 0; i < mixed; ++i) {
      const int one = (receiver + 1 + below(models - 1)) % models, other = (receiver + 1 + below(models - 1)) % models;
      if (one != other) offer(receiver, 1 + below(all), {one, other});
    }
  }
  return choice;
}

TEST(Choose, EqualsBruteForceOnFamiliesOfModels) {
  for (std::uint32_t seed = 1; seed <= 150; ++seed) {
    const Choice choice = family_choice(seed, 3 + static_cast<int>(seed % 2), 1 + static_cast<int>(seed % 3), 2, 1);
    std::vector<int> none(static_cast<std::size_t>(choice.models), -1);
    const Chosen chosen = choose(choice);
    ASSERT_TRUE(test::allowed(choice, taken_of(choice, chosen))) << "seed " << seed;
    ASSERT_TRUE(chosen.proven) << "seed " << seed;
    ASSERT_NEAR(chosen.value, brute_force(choice, none, 0), 1e-6) << "seed " << seed;
  }
}

// Hundreds to thousands of options: the bound is close enough to prove the choice, where the sum of the best options
// that are possible one by one is far away.
TEST(Choose, ProvesTheChoiceForSixteenModelsOfFamilies) {
  for (std::uint32_t seed = 1; seed <= 3; ++seed) {
    Choice choice = family_choice(seed, 16, static_cast<int>(2 * seed), 8, 12);
    ASSERT_GT(choice.options.size(), 1000U);
    std::vector<double> most(16, 0);
    for (const ShareOption& option : choice.options) {
      double& best = most[option.receiver];
      best = std::max(best, option.value);
    }
    std::sort(most.begin(), most.end());
    const double alone = std::accumulate(most.begin() + 1, most.end(), 0.0);
    const Chosen chosen = choose(choice);
    EXPECT_TRUE(chosen.proven) << "seed " << seed;
    EXPECT_TRUE(test::allowed(choice, taken_of(choice, chosen))) << "seed " << seed;
    EXPECT_LT(chosen.value, 0.95 * alone) << "seed " << seed;
    EXPECT_EQ(choose(choice).options, chosen.options) << "seed " << seed;

    choice.most_steps = 1;
    const Chosen early = choose(choice);
    EXPECT_TRUE(test::allowed(choice, taken_of(choice, early))) << "seed " << seed;
    EXPECT_LE(early.value, chosen.value + 1e-6) << "seed " << seed;
    EXPECT_GE(early.bound, chosen.value - 1e-6) << "seed " << seed;
  }
}

// Every model could take all it has from any other one: one must give, the others take. The bound sees that at once.
TEST(Choose, SixteenModelsThatResembleEachOtherTakeFromOne) {
  Choice choice;
  choice.models = 16;
  choice.most_steps = 10'000'000;
  for (ModelIndex receiver = 0; receiver < 16; ++receiver) {
    for (ModelIndex donor = 0; donor < 16; ++donor) {
      for (int depth = 1; receiver != donor && depth <= 10; ++depth) {
        ShareOption option{receiver, (100 + receiver) * depth * 0.1, {{donor, {depth}}}, {}};
        for (LayerIndex layer = 0; layer <= depth; ++layer) option.unavailable.push_back(layer);
        choice.options.push_back(option);
      }
    }
  }
  const Chosen chosen = choose(choice);
  EXPECT_TRUE(chosen.proven);
  EXPECT_EQ(chosen.options.size(), 15U);
  EXPECT_NEAR(chosen.value, 15 * 100 + 15 * 8, 1e-6);  // all but the smallest, which gives
}

TEST(Choose, ADonorThatTakesGivesOnlyWhatItStillComputes) {
  Choice choice;
  choice.models = 3;
  choice.options = {{0, 10, {{1, {4}}}, {0, 1}}, {1, 10, {{2, {4}}}, {0, 1, 2, 3, 4}}, {1, 6, {{2, {2}}}, {0, 1, 2}}};
  EXPECT_THAT(choose(choice).options, ElementsAre(0, 2));
}

// 0 takes from 1 and 2; what 1 and 2 may take follows from the layers that each of them gives.
TEST(Choose, EachOfSeveralDonorsGivesOnlyWhatItStillComputes) {
  Choice choice;
  choice.models = 4;
  choice.options = {{0, 20, {{1, {1}}, {2, {4}}}, {}},
                    {1, 5, {{3, {1}}}, {0, 1}},
                    {1, 4, {{3, {0}}}, {0}},
                    {2, 5, {{3, {1}}}, {0, 1}},
                    {2, 9, {{3, {4}}}, {0, 1, 2, 3, 4}}};
  EXPECT_THAT(choose(choice).options, ElementsAre(0, 2, 3));
}

// 0 takes from 1 and 2, so neither may take from 0, not over the other one either.
TEST(Choose, NoDonorOfSeveralLeadsBack) {
  Choice choice;
  choice.models = 3;
  choice.options = {
      {0, 10, {{1, {1}}, {2, {1}}}, {}}, {2, 5, {{1, {0}}}, {0}}, {1, 7, {{0, {0}}}, {}}, {2, 6, {{0, {0}}}, {}}};
  EXPECT_THAT(choose(choice).options, ElementsAre(0, 1));  // 15; 2 and 3 alone are 13
}

TEST(Choose, ABannedSetMayBeChosenInPart) {
  Choice choice;
  choice.models = 3;
  choice.options = {{0, 10, {{1, {1}}, {2, {1}}}, {}}, {1, 5, {{2, {0}}}, {}}, {1, 4, {{2, {1}}}, {}}};
  choice.nogoods = {{1, 0}};
  EXPECT_THAT(choose(choice).options, ElementsAre(0, 2));
  choice.nogoods.push_back({2, 0});
  EXPECT_THAT(choose(choice).options, ElementsAre(0));
}

TEST(Choose, RefusesAnOptionThatTakesFromNobody) {
  Choice choice;
  choice.models = 2;
  choice.options = {{0, 1, {}, {}}};
  EXPECT_THAT(test::error_text([&] { (void)choose(choice); }), testing::StartsWith("internal: "));
}

TEST(Choose, NothingOfNothing) {
  EXPECT_THAT(choose({}).options, IsEmpty());
  Choice worthless;
  worthless.models = 2;
  worthless.options = {{0, 0, {{1, {}}}, {}}};
  EXPECT_THAT(choose(worthless).options, IsEmpty());
}

}  // namespace
}  // namespace repsim::planner
