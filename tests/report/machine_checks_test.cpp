#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repsim/base/text.hpp"
#include "repsim/doctor.hpp"

namespace repsim::report {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Le;
using testing::Not;
using testing::StartsWith;

const std::vector<MachineCheck> kChecks{
    {"CPU", Health::kOk, "fast", "", {{"model", "x"}}},
    {"cache", Health::kWarning, "a finding of some length that a narrow terminal has to break", "make room"},
    {"GPU", Health::kFailure, "none\x1b[2J", "buy one"},
};

TEST(MachineChecks, HaveALineEachAndTheirRemedyBelow) {
  EXPECT_THAT(to_text(kChecks, {}), AllOf(StartsWith("ok       CPU               fast\nwarning  cache"),
                                          HasSubstr("\n                           what to do: make room\n"),
                                          EndsWith("\n\n1 failure, 1 warning\n")));
}

TEST(MachineChecks, SayThatAllIsWell) {
  EXPECT_EQ(to_text(std::span(kChecks).first(1), {}), "ok       CPU               fast\n\nall is well\n");
}

TEST(MachineChecks, FitIntoTheColumnsOfTheTerminal) {
  for (const int columns : {60, 80, 100}) {
    std::string text = to_text(kChecks, {columns, false});
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      EXPECT_THAT(display_width(text.substr(0, end)), Le(columns));
      text.erase(0, end + 1);
    }
  }
}

TEST(MachineChecks, HaveColoursOnlyWhereAsked) {
  EXPECT_THAT(to_text(kChecks, {}), Not(HasSubstr("\x1b")));
  EXPECT_THAT(to_text(kChecks, {100, true}),
              AllOf(HasSubstr("\x1b[32mok"), HasSubstr("\x1b[33mwarning"), HasSubstr("\x1b[31mfailure"),
                    Not(HasSubstr("\x1b[2J"))));  // of a finding: escaped
}

TEST(MachineChecks, AreTheSameInJson) {
  const Json json = to_json(kChecks);
  EXPECT_EQ(json["health"], "failure");
  EXPECT_EQ(json["failures"], 1);
  EXPECT_EQ(json["warnings"], 1);
  EXPECT_EQ(json["checks"].size(), kChecks.size());
  EXPECT_EQ(
      json["checks"][0],
      (Json{
          {"name", "CPU"}, {"health", "ok"}, {"finding", "fast"}, {"remedy", nullptr}, {"details", {{"model", "x"}}}}));
  EXPECT_EQ(json["checks"][1]["remedy"], "make room");
}

}  // namespace
}  // namespace repsim::report
