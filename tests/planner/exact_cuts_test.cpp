// Minimum cuts against every subset of the layers, on small random programs with skips, several outputs, parameters
// read twice and ops that make several layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "base/error_matcher.hpp"
#include "repsim/planner.hpp"

namespace repsim::planner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Case {
  graph::Program program;
  CutProblem problem;
};

/// Up to ten layers with one offer each, or five with two, of three donors; ops of no layer between them.
Case random_case(std::mt19937& random) {
  const bool alternatives = random() % 2 == 0;
  const std::size_t most_layers = alternatives ? 5 : 10;
  const auto below = [&](int limit) { return static_cast<int>(random() % static_cast<unsigned>(limit)); };
  Case one;
  graph::Program& program = one.program;
  const int parameters = 1 + below(8), ops = 2 + below(14);
  for (int i = 0; i < parameters; ++i) {
    const std::int64_t elements = 1 + below(30);
    program.parameters.push_back({"p" + std::to_string(i), "Float", {elements}, elements, 4 * elements, ""});
  }
  for (int i = 0; i < ops; ++i) {
    graph::Op op;
    for (int j = std::max(0, i - 4); j < i; ++j) {
      if (j == i - 1 || below(4) == 0) op.inputs.push_back(j);
    }
    if (below(3) > 0) op.parameters.push_back(below(parameters));  // with luck one that others read too
    op.flops = below(20);
    const int made = program.layers.size() + 2 > most_layers ? 0 : below(5) == 0 ? 2 : below(3) > 0 ? 1 : 0;
    for (int k = 0; k < made; ++k) {
      graph::Layer layer;
      layer.name = "l" + std::to_string(program.layers.size());
      layer.op = i;
      op.layer = static_cast<int>(program.layers.size());
      program.layers.push_back(layer);
    }
    program.ops.push_back(op);
  }
  program.results = {ops - 1};
  while (below(3) == 0) program.results.push_back(below(ops));
  const bool bytes = below(2) == 0;
  for (const graph::Op& op : program.ops) one.problem.op_worth.push_back(bytes ? 0 : op.flops);
  for (const graph::Parameter& parameter : program.parameters)
    one.problem.parameter_worth.push_back(bytes ? parameter.bytes : 0);
  for (std::size_t i = 0; i < program.layers.size(); ++i) {
    std::vector<Offer> offers;
    const int count = below(6) == 0 ? 0 : alternatives ? 1 + below(2) : 1;
    // Donors number their layers alike: only donor and layer together say which offer was taken.
    const int first = below(3);
    for (int k = 0; k < count; ++k)
      offers.push_back({{(first + k) % 3, static_cast<LayerIndex>(i)}, below(6), below(12)});
    one.problem.offers.push_back(offers);
  }
  return one;
}

/// What a choice of offers is worth, by graph::removed_by: (cost, saving). `taken` per layer an offer, -1: none.
std::pair<std::int64_t, std::int64_t> worth_of(const Case& one, const std::vector<int>& taken) {
  std::vector<int> replaced;
  std::pair<std::int64_t, std::int64_t> result{0, 0};
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i] < 0) continue;
    replaced.push_back(static_cast<int>(i));
    const Offer& offer = one.problem.offers[i][taken[i]];
    result.first += offer.cost;
    result.second -= offer.added;
  }
  const graph::Removal removal = graph::removed_by(one.program, replaced);
  for (const OpIndex op : removal.ops) result.second += one.problem.op_worth[op];
  for (const int p : removal.parameters) result.second += one.problem.parameter_worth[p];
  return result;
}

/// Every choice of offers, by counting.
std::vector<std::vector<int>> all_choices(const Case& one) {
  std::vector<std::vector<int>> choices{{}};
  for (const auto& offers : one.problem.offers) {
    std::vector<std::vector<int>> longer;
    for (const auto& choice : choices) {
      for (int k = -1; k < static_cast<int>(offers.size()); ++k) {
        longer.push_back(choice);
        longer.back().push_back(k);
      }
    }
    choices = std::move(longer);
  }
  return choices;
}

/// Per cost the largest saving.
std::map<std::int64_t, std::int64_t> all_points(const Case& one) {
  std::map<std::int64_t, std::int64_t> points;
  for (const auto& choice : all_choices(one)) {
    const auto [cost, saving] = worth_of(one, choice);
    const auto [at, fresh] = points.emplace(cost, saving);
    if (!fresh) at->second = std::max(at->second, saving);
  }
  return points;
}

/// Corners of the upper hull by the definition: a point that alone is best for some exchange rate. The rates between
/// all pairs of points are the only ones where the best point changes, so rates between neighbours of these suffice.
std::vector<std::pair<std::int64_t, std::int64_t>> corners_of(const std::map<std::int64_t, std::int64_t>& points) {
  std::vector<double> rates{0};
  for (const auto& a : points) {
    for (const auto& b : points) {
      if (b.first > a.first && b.second > a.second)
        rates.push_back(static_cast<double>(b.second - a.second) / static_cast<double>(b.first - a.first));
    }
  }
  std::sort(rates.begin(), rates.end());
  rates.push_back(2 * rates.back() + 1);
  std::vector<std::pair<std::int64_t, std::int64_t>> corners;
  for (std::size_t i = rates.size(); i-- > 1;) {
    if (rates[i] - rates[i - 1] < 1e-9) continue;
    const double rate = (rates[i] + rates[i - 1]) / 2;
    const auto value = [&](const auto& point) {
      return static_cast<double>(point.second) - rate * static_cast<double>(point.first);
    };
    const auto best =
        *std::max_element(points.begin(), points.end(), [&](auto& a, auto& b) { return value(a) < value(b); });
    if (corners.empty() || corners.back() != std::pair(best.first, best.second))
      corners.emplace_back(best.first, best.second);
  }
  return corners;
}

std::vector<LayerIndex> layers_of(const ExactCut& cut) { return graph::Cut{0, cut.replacements}.receiver_layers(); }

/// The cut is what it says it is, and nothing in it is idle.
void expect_consistent(const Case& one, const ExactCut& cut) {
  std::vector<int> taken(one.program.layers.size(), -1);
  for (const graph::Replacement& replacement : cut.replacements) {
    const LayerIndex layer = replacement.receiver_layer;
    const auto& offers = one.problem.offers[layer];
    const auto found = std::find_if(offers.begin(), offers.end(), [&](const Offer& offer) {
      return offer.from == graph::DonorLayer{replacement.donor, replacement.donor_layer};
    });
    ASSERT_NE(found, offers.end());
    taken[layer] = static_cast<int>(found - offers.begin());
  }
  ASSERT_EQ(std::pair(cut.cost, cut.saving), worth_of(one, taken));
}

TEST(BestCut, EqualsBruteForceOverAllSubsetsAtAnyRate) {
  std::mt19937 random(11);
  for (int round = 0; round < 1500; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    const auto points = all_points(one);
    for (const auto& [cost_weight, saving_weight] :
         std::vector<std::pair<std::int64_t, std::int64_t>>{{1, 1}, {7, 2}, {1, 9}, {3, 1}, {0, 1}, {1, 0}}) {
      std::int64_t best = 0;
      for (const auto& [cost, saving] : points) best = std::max(best, saving_weight * saving - cost_weight * cost);
      const ExactCut cut = best_cut(one.problem, cost_weight, saving_weight);
      expect_consistent(one, cut);
      ASSERT_EQ(saving_weight * cut.saving - cost_weight * cut.cost, best)
          << "round " << round << ", weights " << cost_weight << " " << saving_weight;
    }
  }
}

// What each donor alone allows is allowed to all together; and there are cuts that only several donors make.
TEST(BestCut, OfSeveralDonorsIsNoWorseThanOfAnyAlone) {
  std::mt19937 random(16);
  int better = 0;
  for (int round = 0; round < 1000; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    const ExactCut mixed = best_cut(one.problem, 7, 2);
    std::int64_t best_alone = 0;
    for (ModelIndex donor = 0; donor < 3; ++donor) {
      CutProblem alone = one.problem;
      for (auto& offers : alone.offers)
        std::erase_if(offers, [&](const Offer& offer) { return offer.from.donor != donor; });
      const ExactCut cut = best_cut(alone, 7, 2);
      for (const graph::Replacement& replacement : cut.replacements) ASSERT_EQ(replacement.donor, donor);
      best_alone = std::max(best_alone, 2 * cut.saving - 7 * cut.cost);
    }
    ASSERT_GE(2 * mixed.saving - 7 * mixed.cost, best_alone) << "round " << round;
    if (2 * mixed.saving - 7 * mixed.cost == best_alone) continue;
    ++better;
    ASSERT_GT((graph::Cut{0, mixed.replacements}.donors().size()), 1U) << "round " << round;
  }
  EXPECT_GT(better, 100);
}

TEST(SupportedCuts, AreAllCornersOfTheHullAndNothingElse) {
  std::mt19937 random(12);
  std::size_t most = 0;
  for (int round = 0; round < 1500; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    std::vector<std::pair<std::int64_t, std::int64_t>> found;
    for (const ExactCut& cut : supported_cuts(one.problem)) {
      expect_consistent(one, cut);
      found.emplace_back(cut.cost, cut.saving);
    }
    ASSERT_EQ(found, corners_of(all_points(one))) << "round " << round;
    most = std::max(most, found.size());
  }
  EXPECT_GE(most, 5U);  // the cases have something to find
}

TEST(CutsByWorstOffer, AreTheLargestSavingUnderEachBound) {
  std::mt19937 random(13);
  for (int round = 0; round < 500; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    // Per bound on the cost of one replacement the largest saving, over all subsets.
    std::map<std::int64_t, std::int64_t> largest;
    for (const auto& choice : all_choices(one)) {
      std::int64_t worst = 0;
      for (std::size_t i = 0; i < choice.size(); ++i) {
        if (choice[i] >= 0) worst = std::max(worst, one.problem.offers[i][choice[i]].cost);
      }
      for (std::int64_t bound = worst; bound <= 6; ++bound)
        largest[bound] = std::max(largest[bound], worth_of(one, choice).second);
    }
    std::map<std::int64_t, std::int64_t> found;
    for (const ExactCut& cut : cuts_by_worst_offer(one.problem, 10)) {
      expect_consistent(one, cut);
      std::int64_t worst = 0;
      for (const graph::Replacement& replacement : cut.replacements) {
        for (const Offer& offer : one.problem.offers[replacement.receiver_layer]) {
          if (offer.from == graph::DonorLayer{replacement.donor, replacement.donor_layer})
            worst = std::max(worst, offer.cost);
        }
      }
      for (std::int64_t bound = worst; bound <= 6; ++bound) found[bound] = std::max(found[bound], cut.saving);
    }
    for (const auto& [bound, saving] : largest) ASSERT_EQ(found[bound], saving) << "round " << round << ", " << bound;
  }
}

TEST(CutsBetween, FillTheFrontInsideTheHull) {
  std::mt19937 random(14);
  std::size_t inside = 0, met = 0;
  for (int round = 0; round < 300; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    const auto corners = supported_cuts(one.problem);
    std::set<std::pair<std::int64_t, std::int64_t>> found;
    for (const ExactCut& cut : cuts_between(one.problem, corners, 200)) {
      expect_consistent(one, cut);
      found.emplace(cut.cost, cut.saving);
    }
    for (const ExactCut& corner : corners) found.emplace(corner.cost, corner.saving);
    std::int64_t best = std::numeric_limits<std::int64_t>::min();
    for (const auto& point : all_points(one)) {
      if (point.second <= best) continue;
      best = point.second;
      inside += 1;
      met += found.count(point);
    }
  }
  // Offers of one layer are chosen by the rate alone, so it cannot meet all; corners alone meet about two thirds.
  EXPECT_GE(static_cast<double>(met), 0.85 * static_cast<double>(inside));
}

TEST(CutsBetween, SolveNoMoreFlowsThanAskedFor) {
  std::mt19937 random(15);
  for (int round = 0; round < 50; ++round) {
    Case one = random_case(random);
    one.problem.program = &one.program;
    EXPECT_LE(cuts_between(one.problem, supported_cuts(one.problem), 5).size(), 5U);
  }
}

/// Two convolutions with one weight; the second one is replaced.
Case tied() {
  Case one;
  graph::Program& program = one.program;
  program.parameters.push_back({"w", "Float", {100}, 100, 400, "w"});
  for (int i = 0; i < 3; ++i) {
    graph::Op op;
    if (i > 0) op.inputs = {i - 1};
    if (i < 2) op.parameters = {0};
    op.layer = i;
    program.ops.push_back(op);
    graph::Layer layer;
    layer.op = i;
    program.layers.push_back(layer);
  }
  program.results = {2};
  one.problem = {nullptr, {{{1, 0, 1, 0}}, {{1, 0, 2, 0}}, {}}, {0, 0, 0}, {400}};
  return one;
}

TEST(BestCut, FreesAParameterOnlyWhenAllThatReadItHaveGone) {
  Case one = tied();
  one.problem.program = &one.program;
  const ExactCut cut = best_cut(one.problem, 1, 1);
  EXPECT_THAT(layers_of(cut), ElementsAre(1));  // the first alone would free nothing, though it costs less
  EXPECT_EQ(cut.saving, 400);
  one.program.results = {0, 2};
  EXPECT_THAT(layers_of(best_cut(one.problem, 1, 1)), ElementsAre(0, 1));
}

TEST(BestCut, WeighsWhatAnAdapterAdds) {
  Case one = tied();
  one.problem.program = &one.program;
  one.problem.offers[1][0].added = 399;
  EXPECT_THAT(layers_of(best_cut(one.problem, 1, 1)), IsEmpty());  // it saves 1 for a cost of 2
  one.problem.offers[1][0].added = 397;
  EXPECT_THAT(layers_of(best_cut(one.problem, 1, 1)), ElementsAre(1));
}

TEST(BestCut, RefusesNumbersThatWouldOverflow) {
  Case one = tied();
  one.problem.program = &one.program;
  one.problem.parameter_worth[0] = std::int64_t{1} << 61;
  EXPECT_THAT(test::error_text([&] { (void)best_cut(one.problem, 1, 1); }), HasSubstr("out of range"));
  one.problem.parameter_worth[0] = 400;
  EXPECT_THAT(test::error_text([&] { (void)best_cut(one.problem, std::int64_t{1} << 62, 1); }),
              HasSubstr("out of range"));
}

}  // namespace
}  // namespace repsim::planner
