// Plans of models on equal streams, of several models on one of two streams, and with objectives other than bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

using testing::ElementsAre;

// Lists that are equal are one stream, and one stream is a plan as it always was.
TEST(StreamsOfEqualVideos, GiveThePlanOfOneStream) {
  test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide"});
  settings.frames = 40;
  settings.threads = 1;
  settings.max_trials = 1;
  settings.min_fidelity = 0;
  SilentProgress silent;
  static_cast<void>(plan(settings, folder / "one", false, silent));
  settings.videos_of["wide"] = settings.videos;
  static_cast<void>(plan(settings, folder / "equal", false, silent));
  for (const char* file : {"plan.json", "similarity.json", "bundle.pt", "report.html"})
    EXPECT_TRUE(read_file(folder / "one" / file) == read_file(folder / "equal" / file)) << file;
}

// All three models may take: two run on one frame, and one of these may take layers of the other or of the guest.
TEST(ThreeModelsOnTwoStreams, AddUpAndKeepTheirOwnStreams) {
  test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide", "bytes"});
  test::write_avi(folder / "south.avi", 50, [](std::int64_t i) { return test::noise_frame(i); });
  settings.videos_of["wide"] = {{(folder / "south.avi").string()}};
  settings.frames = 40;
  settings.threads = 1;
  settings.max_trials = 2;
  settings.min_fidelity = 0;
  settings.scan_frames = 0;
  SilentProgress silent;
  const report::Plan made = plan(settings, folder / "out", false, silent).plan;
  EXPECT_THAT(made.streams[0].models, ElementsAre("small", "bytes"));
  std::int64_t after = 0;
  for (const report::PlanStream& stream : made.streams) after += stream.after.flops;
  EXPECT_EQ(made.after.flops, after);
  EXPECT_EQ(made.after.bytes, test::storage_bytes(test::load_bytes(read_file(folder / "out/bundle.pt"))));
  for (const report::Share& share : made.shares) {
    for (const std::string& guest : share.guests) {
      const bool is_south = share.receiver == "wide";
      EXPECT_EQ(guest == "wide", !is_south) << share.receiver << " <- " << guest;
    }
  }
  VerifySettings again;
  again.plan = folder / "out";
  again.threads = 1;
  const report::Verification verification = verify(again, silent);
  for (std::size_t i = 0; i < made.models.size(); ++i)
    EXPECT_EQ(verification.models[i].fidelity.value, made.models[i].fidelity.value);
}

// What is saved is FLOPs here: a share whose guest costs more than it saves must not be taken.
TEST(FlopsOnTwoStreams, AreNeverMoreThanWithoutShares) {
  test::TempFolder folder;
  Settings settings = test::fixture_settings(folder, {"small", "wide"});
  test::write_avi(folder / "south.avi", 50, [](std::int64_t i) { return test::noise_frame(i); });
  settings.videos_of["wide"] = {{(folder / "south.avi").string()}};
  settings.frames = 40;
  settings.threads = 1;
  settings.max_trials = 2;
  settings.min_fidelity = 0;
  settings.scan_frames = 0;
  settings.objective = planner::Objective::kFlops;
  SilentProgress silent;
  const report::Plan made = plan(settings, folder / "out", false, silent).plan;
  for (const report::Candidate& one : made.candidates) EXPECT_GT(one.flops_saved, 0);
  EXPECT_LE(made.after.flops, made.deduplicated->flops);
}

}  // namespace
}  // namespace repsim::pipeline
