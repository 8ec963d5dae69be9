#include "repsim/session.hpp"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"

namespace repsim::session {
namespace {

using test::error_text;
using test::fixture_spec;
using testing::HasSubstr;

SessionOptions fixtures(const std::vector<std::string>& names) {
  SessionOptions options;
  for (const std::string& name : names) options.models.push_back({fixture_spec(name), "flags"});
  return options;
}

class Sessions : public testing::Test {
 protected:
  Sessions() { test::write_avi(video_, 20, test::patches); }

  test::TempFolder folder_;
  const std::string video_ = (folder_ / "video.avi").string();
  const Runtime runtime_{{}};
  SilentProgress silent_;
};

TEST_F(Sessions, PutModelsOfEqualInputIntoOneGroup) {
  SessionOptions options = fixtures({"small", "bytes", "wide"});
  options.videos = {{video_}};
  const Session session(runtime_, options, silent_);
  ASSERT_EQ(session.models.size(), 3U);
  EXPECT_EQ(session.models[0].group, 0);
  EXPECT_EQ(session.models[1].group, 1);
  EXPECT_EQ(session.models[2].group, 0);
  EXPECT_EQ(session.set.groups, (std::vector<int>{0, 1, 0}));
  ASSERT_EQ(session.set.specs.size(), 2U);
  for (std::size_t i = 0; i < session.models.size(); ++i) {
    const Model& model = session.models[i];
    EXPECT_EQ(session.set.models[i], &model.prepared);
    EXPECT_EQ(model.head.name, model.name());
    EXPECT_EQ(model.head.group, model.group);
    EXPECT_EQ(model.head.input, *model.loaded.spec.input);
    EXPECT_EQ(model.head.batchable, model.prepared.batchable);
  }
}

TEST_F(Sessions, KnowWhereEveryInputShowsTheVideo) {
  SessionOptions options = fixtures({"small", "wide"});
  options.models[1].spec.input->resize = model::Resize::kLetterbox;
  options.models[1].spec.input->width = 96;
  options.videos = {{video_}};
  const Session session(runtime_, options, silent_);
  ASSERT_EQ(session.set.views.size(), session.set.specs.size());
  for (const Model& model : session.models) {
    const video::AffineMap expected =
        video::input_to_frame(*model.loaded.spec.input, test::kVideoWidth, test::kVideoHeight);
    EXPECT_EQ(session.set.views[static_cast<std::size_t>(model.group)], expected);
    EXPECT_EQ(model.head.to_frame, expected);
  }
}

TEST_F(Sessions, HaveNoViewsWithoutAVideo) {
  const Session session(runtime_, fixtures({"small", "wide"}), silent_);
  EXPECT_TRUE(session.set.views.empty());
  EXPECT_TRUE(session.playlist.empty());
  EXPECT_EQ(session.models[0].head.to_frame, video::AffineMap{});
}

TEST_F(Sessions, LetAJobCheckTheModelsBeforeTheVideoIsRead) {
  SessionOptions options = fixtures({"small"});
  options.videos = {{(folder_ / "missing.avi").string()}};
  options.check_models = [](std::span<const Model> models) {
    throw input_error("the check of " + models[0].name(), "here");
  };
  EXPECT_THAT(error_text([&] { Session(runtime_, options, silent_); }), HasSubstr("the check of small"));
  options.check_models = nullptr;
  EXPECT_THAT(error_text([&] { Session(runtime_, options, silent_); }), HasSubstr("missing.avi"));
}

TEST_F(Sessions, RefuseModelsWhoseFilesAreBeyondTheMemoryLimit) {
  const Runtime small({0, config::Device{}, 1'000'000});
  EXPECT_THAT(error_text([&] { Session(small, fixtures({"small"}), silent_); }),
              testing::AllOf(HasSubstr("input: --memory-limit"), HasSubstr("cannot be kept")));
}

TEST_F(Sessions, DecodeSetsOfFramesForAllGroupsInOnePass) {
  SessionOptions options = fixtures({"small", "bytes"});
  options.videos = {{video_}};
  const Session session(runtime_, options, silent_);
  const std::vector<FrameSet> sets{{{1, 4}}, {{2, 3, 5}, video::Perturbation::kShiftOnePixel}};
  const std::vector<capture::Stores> decoded = session.decode(sets, silent_);
  ASSERT_EQ(decoded.size(), 2U);
  for (std::size_t set = 0; set < sets.size(); ++set) {
    ASSERT_EQ(decoded[set].size(), 2U);
    for (std::size_t group = 0; group < 2; ++group) {
      EXPECT_EQ(decoded[set][group].frames(), sets[set].frames);
      EXPECT_EQ(decoded[set][group].spec(), session.set.specs[group]);
    }
  }
}

TEST_F(Sessions, FindModelsByName) {
  const Session session(runtime_, fixtures({"small", "wide"}), silent_);
  EXPECT_EQ(find_model(session.models, "wide"), 1);
  EXPECT_EQ(find_model(session.models, "other"), -1);
}

TEST(Runtimes, PutTheNumberOfThreadsBack) {
  const int before = at::get_num_threads();
  {
    const Runtime runtime({before + 1, config::Device{}, {}});
    EXPECT_EQ(at::get_num_threads(), before + 1);
  }
  EXPECT_EQ(at::get_num_threads(), before);
}

TEST(Runtimes, NameADeviceThatNoMachineHas) {
  const config::Device device{config::Device::Kind::kCuda, 63};
  EXPECT_THAT(error_text([&] { Runtime({0, device, {}}); }), HasSubstr("--device cuda:63"));
}

}  // namespace
}  // namespace repsim::session
