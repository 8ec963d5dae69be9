// The invariants of docs/internals/contracts.md on trained detectors: the demo's, and the real ones where they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/temp_folder.hpp"
#include "fixtures/invariants.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using test::Opened;

constexpr const char* kVideo = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";

/// Sixteen frames spread over the video, in each group's geometry.
capture::Stores video_frames(const capture::ModelSet& set) {
  SilentProgress silent;
  video::VideoInfo video;
  video.path = kVideo;
  video.frame_count = 795;
  video.width = 768;
  video.height = 576;
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < 16; ++i) frames.push_back(i * 12);
  std::vector<video::Request> requests;
  for (const model::InputSpec& spec : set.specs) requests.push_back({frames, spec});
  return video::decode(video, requests, silent);
}

Opened open(const std::vector<model::ModelSpec>& specs) {
  std::vector<model::Loaded> loaded;
  for (const model::ModelSpec& spec : specs) loaded.push_back(model::load(spec, "flags"));
  return test::open_loaded(std::move(loaded));
}

void expect_transparent(const Opened& opened) {
  for (const graph::Prepared& model : opened.prepared) EXPECT_EQ(model.opaque_reason, "") << model.name;
}

/// Runs one job twice: the settings promise byte-identical results.
void expect_determinism(const std::vector<model::ModelSpec>& specs) {
  Settings settings;
  settings.models = specs;
  settings.input_sources.assign(specs.size(), "flags");
  settings.videos = {{kVideo}};
  settings.frames = 24;
  settings.max_trials = 1;
  settings.min_fidelity = 0;
  settings.share = {{specs[0].name, specs[1].name}};
  const test::TempFolder folder;
  SilentProgress silent;
  const Outcome outcome = plan(settings, folder / "one", false, silent);
  (void)plan(settings, folder / "two", false, silent);
  EXPECT_EQ(outcome.plan.shares.size(), 1U);
  for (const std::string file : {"plan.json", "similarity.json", "bundle.pt"}) {
    EXPECT_EQ(read_file(folder / "one" / file) == read_file(folder / "two" / file), true) << file;
  }
}

std::vector<model::ModelSpec> demo_specs() {
  std::vector<model::ModelSpec> specs;
  for (const std::string name : {"plain", "mobile", "residual"}) {
    model::InputSpec input;
    input.width = 320;
    input.height = 240;
    specs.push_back({name, std::string(REPSIM_SOURCE_DIR) + "/demo/" + name + ".pt", input, {}});
  }
  return specs;
}

class DemoDetectors : public testing::Test {
 protected:
  void SetUp() override {
    for (const model::ModelSpec& spec : demo_specs()) {
      if (!fs::exists(spec.path)) GTEST_SKIP() << spec.path << " is not there: scripts/make_demo_models.py makes it";
    }
    if (!fs::exists(kVideo)) GTEST_SKIP() << kVideo << " is not there: scripts/setup.sh installs opencv-doc";
  }
};

TEST_F(DemoDetectors, WithoutSharesAreBitIdentical) {
  const Opened opened = open(demo_specs());
  expect_transparent(opened);
  test::expect_identical_heads(opened, video_frames(opened.set));
}

TEST_F(DemoDetectors, WithAShareEqualAnIndependentSpliceInThePromisedBytes) {
  const Opened opened = open(demo_specs());
  const capture::Stores frames = video_frames(opened.set);
  test::expect_honest_share(opened, 0, 1, frames);
  test::expect_honest_share(opened, 2, 0, frames);
}

TEST_F(DemoDetectors, HaveTheSimilaritiesOfAFloat64Reference) {
  const Opened opened = open(demo_specs());
  test::expect_reference_similarity(opened, video_frames(opened.set));
}

TEST_F(DemoDetectors, GiveTheSamePlanTwice) { expect_determinism(demo_specs()); }

/// Folder with the exported real detectors, made once per run of this program; empty where they cannot be made.
const fs::path& real_models() {
  static const test::TempFolder folder;
  static const fs::path exported = [] {
    const char* given = std::getenv("REPSIM_SHARED");
    const fs::path shared = given != nullptr ? fs::path(given) : fs::path(REPSIM_SOURCE_DIR) / ".." / "shared";
    const char* chosen = std::getenv("REPSIM_PYTHON");  // CTest says which one has torch
    const fs::path script = shared / "real" / "export_models.py",
                   python =
                       chosen != nullptr ? fs::path(chosen) : fs::path(REPSIM_SOURCE_DIR) / ".venv" / "bin" / "python";
    if (!fs::exists(script) || !fs::exists(python)) return fs::path();
    const std::string command = "'" + python.string() + "' -W ignore '" + script.string() + "' '" +
                                folder.path().string() + "' > /dev/null 2>&1";
    // NOLINTNEXTLINE(bugprone-command-processor): the command is this test's
    return std::system(command.c_str()) == 0 ? folder.path() : fs::path();
  }();
  return exported;
}

std::vector<model::ModelSpec> real_specs(const std::vector<std::string>& files) {
  std::vector<model::ModelSpec> specs;
  for (const std::string& file : files) {
    model::InputSpec input;
    input.width = input.height = 352;
    specs.push_back({fs::path(file).stem().string(), (real_models() / file).string(), input, {}});
  }
  return specs;
}

class RealDetectors : public testing::Test {
 protected:
  void SetUp() override {
    if (real_models().empty())
      GTEST_SKIP() << "no real detectors: set REPSIM_SHARED to the folder that holds real/export_models.py";
    if (!fs::exists(kVideo)) GTEST_SKIP() << kVideo << " is not there: scripts/setup.sh installs opencv-doc";
  }
};

TEST_F(RealDetectors, WithoutSharesAreBitIdentical) {
  for (const std::string kind : {".pt", ".traced.pt", ".raw.pt"}) {
    SCOPED_TRACE(kind);
    const Opened opened = open(real_specs({"fastestdet" + kind, "yolofastestv2" + kind}));
    expect_transparent(opened);
    test::expect_identical_heads(opened, video_frames(opened.set));
  }
}

TEST_F(RealDetectors, WithAShareEqualAnIndependentSpliceInThePromisedBytes) {
  const Opened opened = open(real_specs({"fastestdet.pt", "yolofastestv2.pt"}));
  const capture::Stores frames = video_frames(opened.set);
  test::expect_honest_share(opened, 0, 1, frames);
  test::expect_honest_share(opened, 1, 0, frames);
}

TEST_F(RealDetectors, HaveTheSimilaritiesOfAFloat64Reference) {
  const Opened opened = open(real_specs({"fastestdet.pt", "yolofastestv2.pt"}));
  test::expect_reference_similarity(opened, video_frames(opened.set));
}

TEST_F(RealDetectors, HaveTheSameLayersScriptedAndTraced) {
  const Opened opened = open(real_specs({"fastestdet.pt", "fastestdet.traced.pt"}));
  std::vector<std::string> scripted, traced;
  for (const graph::Layer& layer : opened.program(0).layers) scripted.push_back(layer.name);
  for (const graph::Layer& layer : opened.program(1).layers) traced.push_back(layer.name);
  EXPECT_EQ(scripted, traced);
}

TEST_F(RealDetectors, GiveTheSamePlanTwice) { expect_determinism(real_specs({"fastestdet.pt", "yolofastestv2.pt"})); }

}  // namespace
}  // namespace repsim::pipeline
