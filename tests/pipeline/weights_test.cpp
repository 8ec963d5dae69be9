// Plans in which relatives of one network share weights with differences of low rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/relatives.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/plan_check.hpp"

namespace repsim::pipeline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A fixture and relatives of it, at growing distances, as files of their own.
Settings family_settings(const test::TempFolder& folder, const std::string& fixture) {
  Settings settings = test::fixture_settings(folder, {fixture});
  std::uint64_t seed = 1;
  for (const auto& [name, noise] : std::map<std::string, double>{{"near", 0.002}, {"middle", 0.01}}) {
    model::ModelSpec spec = test::fixture_spec(fixture);
    spec.name = name;
    spec.path = (folder / (name + ".pt")).string();
    test::write_relative(fixture, spec.path, 0.3, noise, seed++);
    settings.models.push_back(spec);
    settings.input_sources.emplace_back("flags");
    settings.accept_unmeasured.push_back(name);
  }
  settings.frames = 24;
  settings.threads = 1;
  settings.sharing = config::Sharing::kWeights;
  settings.min_fidelity = 0;  // what counts here is what is written, not what a random network finds
  return settings;
}

/// One plan, made once for all the tests that read it.
struct Family {
  test::TempFolder folder;
  Settings settings;
  report::Plan plan;
  Family() : settings(family_settings(folder, "wide")) {
    SilentProgress silent;
    plan = pipeline::plan(settings, folder / "out", false, silent).plan;
  }
};

class PlanOfRelatives : public testing::Test {
 protected:
  static void SetUpTestSuite() { family_ = new Family; }
  static void TearDownTestSuite() {
    delete family_;
    family_ = nullptr;
  }
  [[nodiscard]] static const report::Plan& plan() { return family_->plan; }
  [[nodiscard]] static std::string written(const std::string& file) {
    return read_file(family_->folder / "out" / file);
  }

  /// The bundle of the plan, written again after an edit.
  static report::Rebuilt rebuilt(const test::TempFolder& folder, const std::function<void(Json&)>& edit) {
    Json json = parse_json(written("plan.json"), "plan.json");
    edit(json);
    test::write_text(folder / "plan.json", repsim::to_text(json));
    RebuildSettings settings;
    settings.plan = folder / "plan.json";
    settings.out = folder / "bundle.pt";
    settings.threads = 1;
    SilentProgress silent;
    return rebuild(settings, silent);
  }
  static std::string error_of(const std::function<void(Json&)>& edit) {
    const test::TempFolder folder;
    return test::error_text([&] { (void)rebuilt(folder, edit); });
  }
  static Family* family_;
};
Family* PlanOfRelatives::family_ = nullptr;

TEST_F(PlanOfRelatives, SharesTheWeightsOfOneDonor) {
  ASSERT_EQ(plan().shares.size(), 2U);
  std::set<std::string> donors, receivers;
  for (const report::Share& share : plan().shares) {
    donors.insert(share.donors.begin(), share.donors.end());
    receivers.insert(share.receiver);
    EXPECT_TRUE(share.replaced.empty());
    EXPECT_TRUE(share.removed_layers.empty());
    ASSERT_FALSE(share.weights.empty());
    for (const report::SharedWeight& one : share.weights) {
      EXPECT_EQ(one.donor, share.donor);
      EXPECT_EQ(one.layer, one.donor_layer);
      EXPECT_GE(one.output_variance, 0);
      EXPECT_LT(one.output_variance, 0.15);  // the largest tolerance, and what more frames than those of trials show
    }
  }
  EXPECT_EQ(donors.size(), 1U);
  EXPECT_EQ(receivers.count(*donors.begin()), 0U);
}

TEST_F(PlanOfRelatives, AddsUpWhatTheArchiveHolds) {
  ASSERT_TRUE(plan().deduplicated);
  std::int64_t bytes = plan().deduplicated->bytes, flops = plan().deduplicated->flops;
  for (const report::Share& share : plan().shares) {
    bytes += share.bytes_added - share.bytes_removed;
    flops += share.flops_added;
    EXPECT_GT(share.bytes_removed, share.bytes_added);
    EXPECT_EQ(share.flops_removed, 0);
  }
  EXPECT_EQ(plan().after.bytes, bytes);
  EXPECT_EQ(plan().after.bytes, test::storage_bytes(test::load_bytes(written("bundle.pt"))));
  EXPECT_LT(plan().after.bytes, plan().deduplicated->bytes * 7 / 10);
  // A convolution of equal weights on an equal input is computed once, which no share promises.
  EXPECT_LE(plan().after.flops, flops);
}

TEST_F(PlanOfRelatives, SavesWhatItsCandidatesPromise) {
  for (const report::Share& share : plan().shares) {
    const auto chosen = std::find_if(plan().candidates.begin(), plan().candidates.end(),
                                     [&](const auto& one) { return one.chosen && one.receiver == share.receiver; });
    ASSERT_NE(chosen, plan().candidates.end());
    ASSERT_TRUE(chosen->weights);
    EXPECT_EQ(chosen->weights->layers, std::ssize(share.weights));
    EXPECT_EQ(chosen->bytes_saved, share.bytes_removed - share.bytes_added);
    EXPECT_EQ(chosen->flops_saved, -share.flops_added);
  }
}

TEST_F(PlanOfRelatives, ReadsBackAsItWasWritten) {
  const std::string text = written("plan.json");
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(text, "plan.json"), "plan.json"))), text);
}

TEST_F(PlanOfRelatives, IsToldInWords) {
  EXPECT_THAT(report::summary(plan()), AllOf(HasSubstr("run with weights of"), HasSubstr("output variance differs")));
  const std::string& receiver = plan().shares.front().receiver;
  EXPECT_THAT(report::explanation(plan(), receiver),
              AllOf(HasSubstr("takes weights of"), HasSubstr("differences of"), HasSubstr("--sharing weights")));
  EXPECT_THAT(report::explanation(plan(), plan().shares.front().donor), HasSubstr("gives weights of"));
  EXPECT_THAT(written("report.html"),
              AllOf(HasSubstr("Layers that run with other weights"), HasSubstr("shared weights")));
}

TEST_F(PlanOfRelatives, IsWrittenAgainWithTheVeryBytes) {
  const test::TempFolder folder;
  const report::Rebuilt result = rebuilt(folder, [](Json&) {});
  EXPECT_EQ(result.sha256, plan().bundle_sha256);
  for (std::size_t i = 0; i < result.shares.size(); ++i)
    EXPECT_EQ(result.shares[i].weights, std::ssize(plan().shares[i].weights));
}

TEST_F(PlanOfRelatives, IsWhatItsInputsGive) {
  SilentProgress silent;
  PlanCheckSettings settings;
  settings.plan = family_->folder / "out";
  settings.settings = family_->settings;
  EXPECT_FALSE(check_plan(settings, silent).diff.has_drift());
}

TEST_F(PlanOfRelatives, TakesOtherRanksByHand) {
  const test::TempFolder folder;
  const report::Rebuilt result = rebuilt(folder, [](Json& edited) {
    for (Json& share : edited["shares"]) {
      for (Json& one : share["weights"]) {
        one["rank"] = 0;
        one.erase("output_variance");
      }
    }
  });
  EXPECT_NE(result.sha256, plan().bundle_sha256);
  EXPECT_LT(result.parameter_bytes, plan().after.bytes);
}

/// Adds a replaced layer to the first share, which shared weights alone.
void replace_a_layer(Json& edited) {
  edited["shares"][0]["replaced"] = Json::array();
  edited["shares"][0]["replaced"].push_back(
      {{"receiver_layer", "backbone.stem.2"}, {"donor_layer", "backbone.stem.2"}});
}

TEST_F(PlanOfRelatives, TakesLayersBesideWeightsByHand) {
  // The weight of the replaced layer is gone, that of the convolution behind it is solved again.
  EXPECT_THAT(error_of(replace_a_layer),
              AllOf(HasSubstr("shares[0].weights["), HasSubstr("once the other layers are replaced")));
  const test::TempFolder folder;
  std::size_t left = 0;
  const report::Rebuilt result = rebuilt(folder, [&](Json& edited) {
    replace_a_layer(edited);
    Json kept = Json::array();
    for (const Json& one : edited["shares"][0]["weights"]) {
      if (one["layer"] != "backbone.stem.0" && one["layer"] != "backbone.layer1.0.0") kept.push_back(one);
    }
    left = kept.size();
    edited["shares"][0]["weights"] = kept;
  });
  ASSERT_GT(left, 2U);
  EXPECT_EQ(result.shares[0].replaced, 1);
  EXPECT_EQ(result.shares[0].weights, static_cast<std::int64_t>(left));
  EXPECT_GT(result.shares[0].output_variance, 0);
  EXPECT_EQ(result.parameter_bytes, test::storage_bytes(test::load_bytes(read_file(folder / "bundle.pt"))));
  EXPECT_TRUE(result.models.at(1).fidelity.value);
}

TEST_F(PlanOfRelatives, RefusesEditsThatCannotWork) {
  const auto weight = [](Json& edited) -> Json& { return edited["shares"][0]["weights"][0]; };
  EXPECT_THAT(error_of([&](Json& edited) { weight(edited)["layer"] = "backbone.sten.0"; }),
              AllOf(HasSubstr("shares[0].weights[0].layer"), HasSubstr("did you mean")));
  EXPECT_THAT(error_of([&](Json& edited) { weight(edited)["rank"] = 100000; }), HasSubstr("shares[0].weights[0].rank"));
  EXPECT_THAT(error_of([&](Json& edited) { weight(edited)["donor_layer"] = "backbone.layer3.0"; }),
              AllOf(HasSubstr("shares[0].weights[0].donor_layer"), HasSubstr("same structure")));
  EXPECT_THAT(error_of([&](Json& edited) { edited["shares"][0]["weights"].push_back(weight(edited)); }),
              HasSubstr("is there twice"));
  EXPECT_THAT(error_of([&](Json& edited) { weight(edited)["donor"] = edited["shares"][0]["receiver"]; }),
              HasSubstr("shares[0].weights[0].donor"));
  // Its donor runs with another one's weights itself.
  EXPECT_THAT(error_of([&](Json& edited) {
                Json& first = edited["shares"][0];
                const Json donor = edited["shares"][1]["receiver"];
                first["donor"] = donor;
                for (Json& one : first["weights"]) one["donor"] = donor;
              }),
              AllOf(HasSubstr("shares[0].weights["), HasSubstr("has no weight of its own any more")));
}

TEST(PlanOfOneSet, SharesNoWeightsWhereTheSettingsSaySo) {
  const test::TempFolder folder;
  Settings settings = family_settings(folder, "small");
  settings.max_trials = 2;
  settings.sharing = config::Sharing::kRepresentations;
  SilentProgress silent;
  const report::Plan layers = pipeline::plan(settings, folder / "layers", false, silent).plan;
  for (const report::Share& share : layers.shares) EXPECT_TRUE(share.weights.empty());
  for (const report::Candidate& one : layers.candidates) EXPECT_FALSE(one.weights);
  EXPECT_THAT(read_file(folder / "layers/plan.json"), testing::Not(HasSubstr("\"weights\":")));
  settings.sharing = config::Sharing::kBoth;
  const report::Plan both = pipeline::plan(settings, folder / "both", false, silent).plan;
  EXPECT_LE(both.after.bytes, layers.after.bytes);
  const auto does_both = [](const report::Candidate& one) { return one.weights && !one.receiver_layers.empty(); };
  EXPECT_TRUE(std::any_of(both.candidates.begin(), both.candidates.end(), does_both));
  for (const report::Share& share : both.shares) {
    const auto chosen = std::find_if(both.candidates.begin(), both.candidates.end(),
                                     [&](const auto& one) { return one.chosen && one.receiver == share.receiver; });
    ASSERT_NE(chosen, both.candidates.end());
    EXPECT_LE(chosen->bytes_saved, share.bytes_removed - share.bytes_added);  // equal tensors are stored once anyway
    EXPECT_EQ(chosen->flops_saved, share.flops_removed - share.flops_added);
  }
  EXPECT_EQ(both.after.bytes, test::storage_bytes(test::load_bytes(read_file(folder / "both/bundle.pt"))));
}

}  // namespace
}  // namespace repsim::pipeline
