#include "repsim/base/spellcheck.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace repsim {
namespace {

const std::vector<std::string> kKeys{"width", "height", "resize", "pad", "color", "scale", "mean", "std"};

TEST(Spellcheck, FindsInsertionDeletionSubstitutionAndSwap) {
  EXPECT_EQ(closest("widths", kKeys), "width");
  EXPECT_EQ(closest("heigt", kKeys), "height");
  EXPECT_EQ(closest("colar", kKeys), "color");
  EXPECT_EQ(closest("sacle", kKeys), "scale");
}

TEST(Spellcheck, DoesNotMindCapitals) {
  EXPECT_EQ(closest("PAD", kKeys), "pad");
  EXPECT_EQ(closest("Heigt", kKeys), "height");
}

TEST(Spellcheck, CountsASwapOfNeighboursOnce) {
  // Three letters allow one edit only: as two substitutions the swap would be too far.
  EXPECT_EQ(closest("pda", kKeys), "pad");
}

TEST(Spellcheck, FindsNothingBeyondAThirdOfTheWord) {
  EXPECT_EQ(closest("wdithh", kKeys), "width");      // 6 letters: 2 edits
  EXPECT_EQ(closest("wdxth", kKeys), std::nullopt);  // 5 letters: 1 edit
  EXPECT_EQ(closest("batch", kKeys), std::nullopt);
}

TEST(Spellcheck, AllowsThreeEditsAtMost) {
  const std::vector<std::string> names{"score_threshold_of_the_model"};
  EXPECT_EQ(closest("score_threshold_of_the_m", names), std::nullopt);
  EXPECT_EQ(closest("score_threshold_of_the_mo", names), names[0]);
}

TEST(Spellcheck, PrefersTheCloserOneThenTheFirstByName) {
  const std::vector<std::string> names{"model_z", "model_b", "model_ay"};
  EXPECT_EQ(closest("model_x", names), "model_b");
  EXPECT_EQ(closest("model_zz", names), "model_z");
}

TEST(Spellcheck, PhrasesTheRemedy) {
  EXPECT_EQ(did_you_mean("colour", kKeys), "did you mean 'color'?");
  EXPECT_EQ(did_you_mean("batch", std::vector<std::string>{"b", "a"}), "known: b, a");
  EXPECT_EQ(did_you_mean("batch", {}), "none is known");
}

/// Optimal string alignment by its recursive definition, without a table.
std::size_t slow_distance(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.size() + b.size();
  const std::string a1 = a.substr(1), b1 = b.substr(1);
  std::size_t best = slow_distance(a1, b1) + (a[0] == b[0] ? 0 : 1);
  best = std::min({best, slow_distance(a1, b) + 1, slow_distance(a, b1) + 1});
  if (a.size() > 1 && b.size() > 1 && a[0] == b[1] && a[1] == b[0]) {
    best = std::min(best, slow_distance(a.substr(2), b.substr(2)) + 1);
  }
  return best;
}

// All words of up to five letters over two letters against each other: the limit for them is one edit.
TEST(Spellcheck, AgreesWithTheDefinitionOfTheDistance) {
  std::vector<std::string> words{""};
  for (std::size_t i = 0; i < words.size() && words[i].size() < 5; ++i) {
    const std::string stem = words[i];
    for (const char c : {'a', 'b'}) words.push_back(stem + c);
  }
  for (const auto& word : words) {
    for (const auto& other : words) {
      const bool close = slow_distance(word, other) <= 1;
      ASSERT_EQ(closest(word, std::vector<std::string>{other}).has_value(), close) << word << " and " << other;
    }
  }
}

}  // namespace
}  // namespace repsim
