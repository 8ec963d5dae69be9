// Bundles written again from plan.json: the same bytes from an unchanged plan, and what a person can do to one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

Settings settings_for(const test::TempFolder& folder, const std::vector<std::string>& models) {
  Settings settings = test::fixture_settings(folder, models);
  settings.frames = 24;
  settings.threads = 1;
  settings.max_trials = 2;
  settings.min_fidelity = 0;
  return settings;
}

/// A plan of three models, nothing refused, made once: two of them take layers.
struct Made {
  test::TempFolder folder;
  report::Plan plan;
  std::string text;
  Made() {
    SilentProgress silent;
    plan = pipeline::plan(settings_for(folder, {"small", "wide", "shuffle"}), folder / "out", false, silent).plan;
    text = read_file(folder / "out/plan.json");
  }
};

class Rebuild : public testing::Test {
 protected:
  static void SetUpTestSuite() { made_ = new Made; }
  static void TearDownTestSuite() {
    delete made_;
    made_ = nullptr;
  }

  /// Writes the plan again after `edit`.
  report::Rebuilt rebuilt(const std::function<void(Json&)>& edit = [](Json&) {}) {
    Json json = parse_json(made_->text, "plan.json");
    edit(json);
    test::write_text(folder_ / "plan.json", repsim::to_text(json));
    RebuildSettings settings;
    settings.plan = folder_ / "plan.json";
    settings.out = folder_ / "bundle.pt";
    settings.threads = 1;
    SilentProgress silent;
    return rebuild(settings, silent);
  }

  std::string error_of(const std::function<void(Json&)>& edit) {
    std::string text = test::error_text([&] { (void)rebuilt(edit); });
    EXPECT_THAT(folder_.entries(), UnorderedElementsAre("plan.json")) << text;
    return text;
  }

  static Made* made_;
  test::TempFolder folder_;
};
Made* Rebuild::made_ = nullptr;

TEST_F(Rebuild, OfAnUnchangedPlanGivesTheVeryBytes) {
  ASSERT_GE(made_->plan.shares.size(), 2U);
  const report::Rebuilt result = rebuilt();
  EXPECT_EQ(result.sha256, made_->plan.bundle_sha256);
  EXPECT_EQ(result.planned_sha256, made_->plan.bundle_sha256);
  EXPECT_EQ(sha256(read_file(folder_ / "bundle.pt")), result.sha256);
  EXPECT_EQ(result.parameter_bytes, made_->plan.after.bytes);
  ASSERT_EQ(result.models.size(), made_->plan.models.size());
  for (std::size_t i = 0; i < result.models.size(); ++i) {
    EXPECT_NEAR(result.models[i].fidelity.value.value_or(-1), made_->plan.models[i].fidelity.value.value_or(-1), 1e-9);
    EXPECT_EQ(result.models[i].fidelity.bit_identical, made_->plan.models[i].fidelity.bit_identical);
  }
}

// Two fits of the same share by the same code agree; the one of plan() is found in the middle of a search.
TEST_F(Rebuild, FindsTheResidualsOfThePlan) {
  const report::Rebuilt result = rebuilt();
  for (std::size_t i = 0; i < result.shares.size(); ++i) {
    double worst = -1;
    for (const report::Replaced& one : made_->plan.shares[i].replaced) worst = std::max(worst, one.residual);
    EXPECT_NEAR(result.shares[i].residual, worst, 1e-6);
  }
}

TEST_F(Rebuild, WithoutItsSharesEveryModelIsItsOriginal) {
  const report::Rebuilt result = rebuilt([](Json& plan) { plan["shares"] = Json::array(); });
  EXPECT_TRUE(result.shares.empty());
  EXPECT_NE(result.sha256, result.planned_sha256);
  for (const report::Rebuilt::Model& model : result.models) EXPECT_TRUE(model.fidelity.bit_identical) << model.name;
}

TEST_F(Rebuild, OfAShareThatSaysOnlyItsLayersIsFittedAsTheSettingsAllow) {
  const report::Share& first = made_->plan.shares[0];
  const report::Rebuilt result = rebuilt([&](Json& plan) {
    Json replaced = Json::array();
    for (const report::Replaced& one : first.replaced)
      replaced.push_back({{"receiver_layer", one.receiver_layer}, {"donor_layer", one.donor_layer}});
    plan["shares"] =
        Json::array({{{"receiver", first.receiver}, {"donor", first.donor}, {"replaced", std::move(replaced)}}});
  });
  ASSERT_EQ(result.shares.size(), 1U);
  EXPECT_NEAR(result.shares[0].residual, first.replaced[0].residual, 1e-6);
}

TEST_F(Rebuild, TakesTheDonorOfALayerWhereTheLayerNamesIt) {
  const report::Rebuilt result = rebuilt([](Json& plan) {
    for (Json& share : plan["shares"]) {
      for (Json& one : share["replaced"]) one["donor"] = share["donor"];
    }
  });
  EXPECT_EQ(result.sha256, result.planned_sha256);
}

TEST_F(Rebuild, OfSharesInAnotherOrderIsFittedDonorsFirst) {
  const report::Rebuilt result = rebuilt([](Json& plan) {
    Json turned = Json::array();
    for (std::size_t i = plan["shares"].size(); i-- > 0;) turned.push_back(plan["shares"][i]);
    plan["shares"] = std::move(turned);
  });
  EXPECT_EQ(result.parameter_bytes, made_->plan.after.bytes);
  for (std::size_t i = 0; i < result.models.size(); ++i)
    EXPECT_NEAR(result.models[i].fidelity.value.value_or(-1), made_->plan.models[i].fidelity.value.value_or(-1), 1e-6);
}

TEST_F(Rebuild, BelowTheTargetIsWrittenAndSaysSo) {
  const report::Rebuilt result = rebuilt([](Json& plan) { plan["settings"]["merge"]["min_fidelity"] = 1.0; });
  EXPECT_FALSE(result.holds());
  EXPECT_TRUE(fs::exists(folder_ / "bundle.pt"));
}

TEST_F(Rebuild, LeavesAnExistingFileAlone) {
  test::write_text(folder_ / "bundle.pt", "mine");
  EXPECT_THAT(test::error_text([&] { (void)rebuilt(); }), AllOf(StartsWith("input: "), HasSubstr("--force")));
  EXPECT_EQ(read_file(folder_ / "bundle.pt"), "mine");
}

/// Asks to stop one step into the first task with this name.
class StopIn : public SilentProgress {
 public:
  explicit StopIn(std::string task) : task_(std::move(task)) {}
  void begin(std::string_view task, std::int64_t) override { inside_ = task.starts_with(task_); }
  void advance(std::int64_t steps) override { stopped_ = stopped_ || (steps > 0 && inside_); }
  [[nodiscard]] bool stop_requested() const override { return stopped_; }

 private:
  std::string task_;
  bool inside_ = false, stopped_ = false;
};

TEST_F(Rebuild, LeavesNothingWhenItIsInterrupted) {
  test::write_text(folder_ / "plan.json", made_->text);
  RebuildSettings settings;
  settings.plan = folder_ / "plan.json";
  settings.out = folder_ / "bundle.pt";
  for (const char* task : {"decode", "fit", "measure"}) {
    StopIn stop(task);
    EXPECT_THAT(test::error_text([&] { (void)rebuild(settings, stop); }), StartsWith("interrupted: ")) << task;
    EXPECT_THAT(folder_.entries(), UnorderedElementsAre("plan.json")) << task;
  }
}

TEST_F(Rebuild, NamesTheFieldOfAShareThatIsNone) {
  const std::string first = "plan.json: shares[0]";
  const auto edit = [](const char* pointer, const Json& value) {
    return [=](Json& plan) { plan[Json::json_pointer(pointer)] = value; };
  };
  EXPECT_THAT(error_of(edit("/shares/0/receiver", "smal")),
              AllOf(HasSubstr(first + ".receiver"), HasSubstr("did you mean 'small'?")));
  EXPECT_THAT(error_of(edit("/shares/0/donor", "shufle")),
              AllOf(HasSubstr(first + ".donor"), HasSubstr("did you mean 'shuffle'?")));
  EXPECT_THAT(error_of(edit("/shares/0/donor", made_->plan.shares[0].receiver)), HasSubstr("from itself"));
  EXPECT_THAT(error_of(edit("/shares/0/replaced/0/donor", "shufle")),
              AllOf(HasSubstr(first + ".replaced[0].donor"), HasSubstr("did you mean 'shuffle'?")));
  const std::string other = made_->plan.shares[0].donor == "wide" ? "shuffle" : "wide";
  if (made_->plan.shares[0].receiver != other) {
    EXPECT_THAT(error_of(edit("/shares/0/donor", other)), HasSubstr("no layer of this share comes from '" + other));
  }
  EXPECT_THAT(error_of(edit("/shares/0/replaced", Json::array())), HasSubstr(first + ".replaced"));
  const std::string layer = made_->plan.shares[0].replaced[0].donor_layer;
  EXPECT_THAT(error_of(edit("/shares/0/replaced/0/donor_layer", layer + "x")),
              AllOf(HasSubstr(first + ".replaced[0].donor_layer"), HasSubstr("did you mean '" + layer + "'?")));
  EXPECT_THAT(error_of(edit("/shares/0/replaced/0/receiver_layer", "no such layer at all")),
              AllOf(HasSubstr(first + ".replaced[0].receiver_layer"), HasSubstr("repsim inspect")));
  EXPECT_THAT(error_of([](Json& plan) { plan["shares"].push_back(plan["shares"][0]); }),
              AllOf(HasSubstr("plan.json: shares[" + std::to_string(made_->plan.shares.size()) + "].receiver"),
                    HasSubstr("has a share already")));
  EXPECT_THAT(error_of([](Json& plan) { plan["shares"][0]["replaced"].push_back(plan["shares"][0]["replaced"][0]); }),
              HasSubstr("is replaced twice"));
  EXPECT_THAT(error_of(edit("/frames/calibration", Json::array({3, 1}))), HasSubstr("plan.json: frames.calibration"));
  EXPECT_THAT(error_of(edit("/frames/holdout", Json::array({49, 50}))), HasSubstr("plan.json: frames.holdout"));
}

TEST_F(Rebuild, RefusesCyclesAndLayersThatADonorNoLongerComputes) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  // The last layers that are maps: what they need is not gone when they are taken, but all before them is.
  const auto last_map = [&](ModelIndex model) {
    std::string name;
    for (const graph::Layer& layer : opened.program(model).layers) {
      if (layer.shape.size() == 3 && layer.dtype == "Float") name = layer.name;
    }
    return name;
  };
  const auto first_map = [&](ModelIndex model) {
    for (const graph::Layer& layer : opened.program(model).layers) {
      if (layer.shape.size() == 3 && layer.dtype == "Float") return layer.name;
    }
    return std::string();
  };
  const auto share = [](const std::string& receiver, const std::string& to, const std::string& donor,
                        const std::string& from) {
    return Json{{"receiver", receiver},
                {"donor", donor},
                {"replaced", Json::array({{{"receiver_layer", to}, {"donor_layer", from}}})}};
  };
  const Json small_takes = share("small", last_map(0), "wide", first_map(1)),
             wide_takes = share("wide", last_map(1), "small", first_map(0)),
             shuffle_takes = share("shuffle", made_->plan.models[2].name, "small", first_map(0));
  EXPECT_THAT(error_of([&](Json& plan) { plan["shares"] = Json::array({small_takes, wide_takes}); }),
              AllOf(HasSubstr("plan.json: shares[0].donor"), HasSubstr("takes from itself")));
  // What small replaces it does not compute any more, so shuffle cannot have it.
  const test::Opened third = test::open_fixtures({"shuffle"});
  const Json takes = share("shuffle", third.program(0).layers[0].name, "small", last_map(0));
  EXPECT_THAT(error_of([&](Json& plan) { plan["shares"] = Json::array({small_takes, takes}); }),
              AllOf(HasSubstr("plan.json: shares[1].replaced[0].donor_layer"), HasSubstr("small takes layers itself")));
}

/// Corrections of rank 4, and what they read besides.
void correct(Json& share, const Json& auxiliary_inputs) {
  for (Json& one : share["replaced"]) one["correction_rank"] = 4;
  share["side_inputs"] = auxiliary_inputs;
}

TEST_F(Rebuild, ReadsTheSideInputsThatAShareNames) {
  const report::Share& first = made_->plan.shares[0];
  const test::Opened donor = test::open_fixtures({first.donor});
  const Json auxiliary_inputs =
      Json::array({{{"donor", first.donor}, {"donor_layer", donor.program(0).layers[0].name}}});
  const report::Rebuilt without = rebuilt([](Json& plan) { correct(plan["shares"][0], Json::array()); });
  fs::remove(folder_ / "bundle.pt");
  const report::Rebuilt with = rebuilt([&](Json& plan) { correct(plan["shares"][0], auxiliary_inputs); });
  EXPECT_EQ((with.parameter_bytes - without.parameter_bytes) % (4 * 4 * donor.program(0).layers[0].shape[0]), 0);
  EXPECT_GT(with.parameter_bytes, without.parameter_bytes);
  EXPECT_LT(with.shares[0].residual, without.shares[0].residual);
}

TEST_F(Rebuild, NamesTheFieldOfASideInputThatIsNone) {
  const std::string donor = made_->plan.shares[0].donor;
  const auto with = [&](const Json& auxiliary_inputs, int rank = 4) {
    return [=](Json& plan) {
      correct(plan["shares"][0], auxiliary_inputs);
      for (Json& one : plan["shares"][0]["replaced"]) one["correction_rank"] = rank;
    };
  };
  const std::string layer = test::open_fixtures({donor}).program(0).layers[0].name;
  const Json good{{"donor", donor}, {"donor_layer", layer}};
  EXPECT_THAT(error_of(with(Json::array({{{"donor", donor}, {"donor_layer", layer + "x"}}}))),
              AllOf(HasSubstr("plan.json: shares[0].side_inputs[0].donor_layer"), HasSubstr(layer)));
  EXPECT_THAT(error_of(with(Json::array({{{"donor", "nobody"}, {"donor_layer", layer}}}))),
              HasSubstr("plan.json: shares[0].side_inputs[0].donor"));
  EXPECT_THAT(error_of(with(Json::array({good, good}))),
              AllOf(HasSubstr("plan.json: shares[0].side_inputs[1].donor_layer"), HasSubstr("twice")));
  EXPECT_THAT(error_of(with(Json::array({good}), 0)), AllOf(HasSubstr("side_inputs[0]"), HasSubstr("correction")));
  EXPECT_THAT(error_of(with(Json::array({{{"donor", donor}}}))), HasSubstr("side_inputs[0].donor_layer"));
}

// Where the convolutions behind a cut are solved again nothing is linear; where they cannot be, nothing is refitted.
TEST_F(Rebuild, RefusesMeansThatTheLayersDoNotAllow) {
  const bool refit = made_->plan.shares[0].replaced[0].refit;
  const std::string text = error_of([&](Json& plan) {
    Json& first = plan["shares"][0]["replaced"][0];
    if (refit) {
      first["adapter"] = "linear";
    } else {
      first["refit"] = true;
    }
  });
  EXPECT_THAT(text, HasSubstr(std::string("plan.json: shares[0].replaced[0].") + (refit ? "adapter" : "refit")));
}

TEST_F(Rebuild, ComplainsAsVerifyDoesAboutAnotherModelOrVideo) {
  test::TempFolder elsewhere;
  test::write_text(elsewhere / "small.pt", read_file(test::fixture_path("wide")));
  EXPECT_THAT(error_of([&](Json& plan) { plan["models"][0]["path"] = (elsewhere / "small.pt").string(); }),
              AllOf(StartsWith("input: "), HasSubstr("the model 'small' is not the one of this plan")));
  EXPECT_THAT(error_of([&](Json& plan) { plan["video"]["path"] = (elsewhere / "gone.avi").string(); }),
              AllOf(StartsWith("input: "), HasSubstr("the video of this plan is not there")));
}

}  // namespace
}  // namespace repsim::pipeline
