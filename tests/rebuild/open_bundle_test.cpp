// A bundle opens by what it says about itself, and runs elsewhere as it runs where it lies.
#include "repsim/open_bundle.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/model.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::rebuild {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// The bundle of a small plan.
std::string bundle_of(const test::TempFolder& folder, const std::vector<std::string>& fixtures) {
  config::Settings settings = test::fixture_settings(folder, fixtures);
  settings.frames = 24;
  settings.cache = (folder / "cache").string();
  settings.max_trials = 1;
  SilentProgress silent;
  (void)pipeline::plan(settings, folder / "out", false, silent);
  return (folder / "out" / "bundle.pt").string();
}

c10::IValue image(const OpenBundle& bundle, int group) {
  const model::InputSpec& spec = bundle.manifest.inputs[static_cast<std::size_t>(group)];
  return model::make_input(spec, model::example_frames(spec, 1));
}

TEST(OpenBundle, RunsLoweredAsItRunsInPlace) {
  test::TempFolder folder;
  const OpenBundle bundle = open_bundle(bundle_of(folder, {"small", "wide"}));
  ASSERT_EQ(bundle.manifest.models.size(), 2U);
  for (const std::string method : {"forward", "run_small", "run_wide"}) {
    std::vector<c10::IValue> inputs;
    for (const int group : groups_of(bundle, method)) inputs.push_back(image(bundle, group));
    const auto own = model::tensors_of(method_of(bundle, method, at::kCPU)(inputs));
    const auto lowered = model::tensors_of(lowered_method(bundle, method, at::kCPU)(inputs));
    ASSERT_EQ(own.size(), lowered.size());
    ASSERT_FALSE(own.empty());
    for (std::size_t i = 0; i < own.size(); ++i) EXPECT_TRUE(at::allclose(own[i], lowered[i])) << method << " " << i;
  }
}

TEST(OpenBundle, IsFoundByItsPlanAndAlone) {
  test::TempFolder folder;
  const std::string path = bundle_of(folder, {"small", "wide"});
  EXPECT_EQ(find_bundle((folder / "out").string()).path, path);
  EXPECT_TRUE(find_bundle((folder / "out" / "plan.json").string()).plan.has_value());
  EXPECT_FALSE(find_bundle(path).plan.has_value());
  std::filesystem::create_directory(folder / "box");
  std::filesystem::copy(path, folder / "box" / "bundle.pt");
  EXPECT_EQ(find_bundle((folder / "box").string()).path, (folder / "box" / "bundle.pt").string());
  EXPECT_THAT(test::error_text([&] { (void)find_bundle((folder / "none").string()); }), HasSubstr("no such bundle"));
}

TEST(OpenBundle, IsNoModel) {
  EXPECT_THAT(test::error_text([] { (void)open_bundle(test::fixture_spec("small").path); }),
              HasSubstr("no bundle of repsim"));
}

}  // namespace
}  // namespace repsim::rebuild
