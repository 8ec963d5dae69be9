#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Rebuilt sample() {
  Rebuilt rebuilt;
  rebuilt.path = "out/bundle.pt";
  rebuilt.bytes = 790000;
  rebuilt.parameter_bytes = 713600;
  rebuilt.sha256 = rebuilt.planned_sha256 = std::string(64, 'a');
  rebuilt.shares = {{"plain", "mobile", 3, 0.12}};
  Fidelity fidelity;
  fidelity.value = 0.8999;
  fidelity.interval = {0.88, 0.92};
  fidelity.frames = 77;
  Fidelity same;
  same.value = 1;
  same.interval = {1, 1};
  same.bit_identical = true;
  rebuilt.models = {{"plain", fidelity, 0.93, 0.85}, {"mobile", same, 1, 0.9}};
  return rebuilt;
}

TEST(Rebuilt, SaysWhetherTheBytesAreThePlans) {
  EXPECT_THAT(summary(sample()), HasSubstr("The bytes are those of the plan's bundle"));
  EXPECT_EQ(to_json(sample())["bundle"]["as_planned"], true);
  Rebuilt other = sample();
  other.sha256 = std::string(64, 'b');
  EXPECT_THAT(summary(other), HasSubstr("The bytes are not those of the plan's bundle"));
  EXPECT_EQ(to_json(other)["bundle"]["as_planned"], false);
}

// 0.8999 must not look like 0.9 beside a target of 0.9.
TEST(Rebuilt, SaysWhichFidelityEachModelHasAndWhetherItHolds) {
  Rebuilt rebuilt = sample();
  EXPECT_TRUE(rebuilt.holds());
  EXPECT_THAT(summary(rebuilt), Not(HasSubstr("NO")));
  rebuilt.models[0].min_fidelity = 0.9;
  EXPECT_FALSE(rebuilt.holds());
  EXPECT_THAT(summary(rebuilt), testing::ContainsRegex("plain +0.899 +0.880 to 0.920 +0.930 +0.9 +NO"));
  EXPECT_EQ(to_json(rebuilt)["holds"], false);
  EXPECT_EQ(to_json(rebuilt)["models"][0]["holds"], false);
  EXPECT_EQ(to_json(rebuilt)["models"][1]["holds"], true);
  EXPECT_EQ(to_json(rebuilt)["shares"][0]["replaced"], 3);
}

}  // namespace
}  // namespace repsim::report
