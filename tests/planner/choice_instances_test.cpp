// Random choices and what planner::choose() takes of them, as a file for choice_mip.py, which solves them as integer
// programs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "choice_cases.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/json_io.hpp"

namespace repsim::planner {
namespace {

constexpr int kChoices = 60;

Json to_json(const Choice& choice, const Chosen& chosen) {
  Json options = Json::array();
  for (const ShareOption& option : choice.options) {
    Json supplied = Json::array();
    for (const Supplied& one : option.supplied) supplied.push_back({{"donor", one.donor}, {"layers", one.layers}});
    options.push_back({{"receiver", option.receiver},
                       {"value", option.value},
                       {"supplied", std::move(supplied)},
                       {"unavailable", option.unavailable}});
  }
  return {{"models", choice.models},         {"options", std::move(options)}, {"nogoods", choice.nogoods},
          {"max_shares", choice.max_shares}, {"value", chosen.value},         {"proven", chosen.proven}};
}

TEST(ChoiceInstances, AreWrittenForTheIntegerProgram) {
  const char* path = std::getenv("REPSIM_CHOICE_INSTANCES");
  if (path == nullptr) GTEST_SKIP() << "REPSIM_CHOICE_INSTANCES names no file: tests/planner/choice_mip.py sets it";
  std::mt19937 random(31);
  Json instances = Json::array();
  for (int round = 0; round < kChoices; ++round) {
    const Choice choice = test::random_choice(random, 3 + round % 4, 10);
    const Chosen chosen = choose(choice);
    ASSERT_TRUE(chosen.proven) << "round " << round;
    ASSERT_EQ(chosen.bound, chosen.value) << "round " << round;
    instances.push_back(to_json(choice, chosen));
  }
  write_file_atomically(path, to_text(instances));
}

}  // namespace
}  // namespace repsim::planner
