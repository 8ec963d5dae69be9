// Plans of models on different streams: fidelity as an independent splice gives it, accounting worked out by hand, and
// what bundle, verify, run and check make of such plans.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/splice_oracle.hpp"
#include "pipeline/jobs.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/fit/fitting.hpp"
#include "repsim/measure_plan.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/plan_check.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/recorded_plan.hpp"
#include "repsim/run.hpp"
#include "repsim/session.hpp"
#include "repsim/study.hpp"
#include "repsim/trial.hpp"

namespace repsim::pipeline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kSmall = 0, kWide = 1;  // plan order

/// `small` on north.avi takes layers of `wide` on south.avi.
struct Shared {
  test::TempFolder folder;
  Settings settings;
  report::Plan plan;

  Shared() {
    settings = test::fixture_settings(folder, {"small", "wide"});
    test::write_avi(folder / "north.avi", 60, test::patches);
    test::write_avi(folder / "south.avi", 50, [](std::int64_t i) { return test::noise_frame(i); });
    settings.videos = {{(folder / "north.avi").string()}};
    settings.videos_of["wide"] = {{(folder / "south.avi").string()}};
    settings.frames = 48;
    settings.threads = 1;
    settings.max_trials = 2;
    settings.min_fidelity = 0;
    settings.scan_frames = 0;
    settings.refit = false;  // refits keep their old sizes in savings
    settings.max_rank = 0;
    settings.share = {{"small", "wide"}};
    SilentProgress silent;
    plan = pipeline::plan(settings, folder / "out", false, silent).plan;
  }
};

class PlanOnTwoStreams : public testing::Test {
 protected:
  static void SetUpTestSuite() { shared_ = std::make_unique<Shared>(); }
  static void TearDownTestSuite() { shared_.reset(); }
  static const Shared& shared() { return *shared_; }
  static const report::Plan& plan() { return shared_->plan; }
  static std::string out(const char* file) { return (shared_->folder / "out" / file).string(); }

  static inline std::unique_ptr<Shared> shared_;
};

/// The FLOPs of what some values need, by a walk from each of them.
std::int64_t flops_behind(const graph::Program& program, const std::vector<OpIndex>& values,
                          const std::set<OpIndex>& given = {}) {
  std::set<OpIndex> seen;
  const std::function<void(OpIndex)> visit = [&](OpIndex op) {
    if (given.count(op) > 0 || !seen.insert(op).second) return;
    for (const OpIndex input : program.ops[op].inputs) visit(input);
  };
  for (const OpIndex value : values) visit(value);
  std::int64_t flops = 0;
  for (const OpIndex op : seen) flops += program.ops[op].flops;
  return flops;
}

/// What one frame of the receiver's stream computes with these replacements, all by linear adapters. Savings do not
/// count resizes, totals do.
struct HandCount {
  std::int64_t receiver = 0, adapters = 0, guest = 0, resizes = 0;
  [[nodiscard]] std::int64_t all() const { return receiver + adapters + guest; }
};
HandCount count_by_hand(const graph::Program& receiver, const graph::Program& donor,
                        const std::vector<std::string>& receiver_layers, const std::vector<std::string>& donor_layers) {
  HandCount count;
  std::set<OpIndex> replaced;
  std::vector<OpIndex> taken;
  std::set<std::pair<std::string, std::int64_t>> resized;  // a map that is brought to one size is brought there once
  for (std::size_t i = 0; i < receiver_layers.size(); ++i) {
    const graph::Layer& to = receiver.layers.at(graph::find_layer(receiver, receiver_layers[i]));
    const graph::Layer& from = donor.layers.at(graph::find_layer(donor, donor_layers[i]));
    replaced.insert(to.op);
    taken.push_back(from.op);
    const std::int64_t cells = to.shape[1] * to.shape[2];
    count.adapters += 2 * from.shape[0] * to.shape[0] * cells;
    if (from.shape[1] != to.shape[1] || from.shape[2] != to.shape[2]) {
      if (resized.emplace(donor_layers[i], cells).second) count.resizes += from.shape[0] * cells;
    }
  }
  count.receiver = flops_behind(receiver, receiver.results, replaced);
  count.guest = flops_behind(donor, taken);
  return count;
}

/// What the bundle computes of a model alone: what the model computes twice, it computes once.
graph::Program alone(const test::Opened& opened, ModelIndex model) {
  const std::vector<ModelIndex> wanted{model};
  const graph::Assembly assembly = graph::assemble(opened.set.models, opened.set.groups, {}, wanted);
  std::vector<c10::IValue> images;
  for (const int group : assembly.input_groups) {
    const model::InputSpec& spec = opened.set.specs[group];
    images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
  }
  return graph::describe_merged(assembly, images);
}

TEST_F(PlanOnTwoStreams, SaysWhichModelsRunOnOneFrameAndWhichShareWeightsOnly) {
  ASSERT_THAT(plan().streams, SizeIs(2));
  EXPECT_EQ(plan().streams[0].name, "north");
  EXPECT_EQ(plan().streams[0].run_method, "forward_north");
  EXPECT_THAT(plan().streams[0].models, ElementsAre("small"));
  EXPECT_THAT(plan().streams[1].models, ElementsAre("wide"));
  EXPECT_EQ(plan().models[kSmall].stream, "north");
  ASSERT_THAT(plan().shares, SizeIs(1));
  EXPECT_THAT(plan().shares[0].guests, ElementsAre("wide"));
  for (const report::PlanStream& stream : plan().streams) EXPECT_EQ(stream.holdout_frames.size(), 14U);
  EXPECT_THAT(plan().holdout_frames, IsEmpty());
}

TEST_F(PlanOnTwoStreams, CountsWhatRunsByHand) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const graph::Program &small = opened.program(kSmall), &wide = opened.program(kWide);
  const report::Share& share = plan().shares.at(0);
  std::vector<std::string> to, from;
  for (const report::Replaced& one : share.replaced) {
    to.push_back(one.receiver_layer);
    from.push_back(one.donor_layer);
    ASSERT_THAT(one.adapter, HasSubstr("linear"));
  }
  const HandCount count = count_by_hand(small, wide, to, from);
  const std::int64_t small_flops = flops_behind(small, small.results), wide_flops = flops_behind(wide, wide.results);
  EXPECT_EQ(share.flops_removed, small_flops - count.receiver);
  EXPECT_EQ(share.flops_added, count.adapters + count.guest);
  EXPECT_GT(count.guest, 0);
  EXPECT_EQ(plan().streams[0].before.flops, small_flops);
  const graph::Program small_alone = alone(opened, kSmall), wide_alone = alone(opened, kWide);
  const std::int64_t once = small_flops - graph::total_flops(small_alone);  // of the receiver's outputs
  EXPECT_EQ(plan().streams[0].after.flops, count.all() + count.resizes - once);
  EXPECT_EQ(plan().streams[1].after.flops, graph::total_flops(wide_alone));
  EXPECT_EQ(plan().before.flops, small_flops + wide_flops);
  EXPECT_EQ(plan().after.flops, plan().streams[0].after.flops + plan().streams[1].after.flops);
  EXPECT_EQ(plan().deduplicated->flops, graph::total_flops(small_alone) + graph::total_flops(wide_alone));
  // Streams run one after the other.
  EXPECT_EQ(plan().streams[1].after.peak_activation_bytes, graph::peak_activation_bytes(wide_alone));
  EXPECT_EQ(plan().after.peak_activation_bytes,
            std::max(plan().streams[0].after.peak_activation_bytes, plan().streams[1].after.peak_activation_bytes));
  EXPECT_EQ(plan().streams[1].after.latency_estimate_ns, graph::total_latency_ns(wide_alone));
  EXPECT_EQ(plan().after.latency_estimate_ns,
            plan().streams[0].after.latency_estimate_ns + plan().streams[1].after.latency_estimate_ns);
  // Bytes count once.
  const std::string bundle = read_file(out("bundle.pt"));
  EXPECT_EQ(plan().after.bytes, test::storage_bytes(test::load_bytes(bundle)));
  EXPECT_EQ(plan().after.bytes, plan().deduplicated->bytes - share.bytes_removed + share.bytes_added);
}

TEST_F(PlanOnTwoStreams, CountsTheSavingOfEveryCandidateByHand) {
  const test::Opened opened = test::open_fixtures({"small", "wide"});
  const graph::Program &small = opened.program(kSmall), &wide = opened.program(kWide);
  const std::int64_t before = flops_behind(small, small.results);
  ASSERT_FALSE(plan().candidates.empty());
  for (const report::Candidate& one : plan().candidates)
    EXPECT_EQ(one.flops_saved, before - count_by_hand(small, wide, one.receiver_layers, one.donor_layers).all());
}

/// Both models on north.avi alone, as a plan of one stream has them.
struct OnNorth {
  session::Runtime runtime{{1, {}, {}}};
  std::unique_ptr<session::Session> session;

  explicit OnNorth(const Shared& of) {
    SilentProgress silent;
    session::SessionOptions options;
    for (std::size_t i = 0; i < of.settings.models.size(); ++i) {
      model::ModelSpec spec = of.settings.models[i];
      spec.output = of.plan.models[i].output;
      options.models.push_back({spec, "flags"});
    }
    options.videos = of.settings.videos;
    session = std::make_unique<session::Session>(runtime, options, silent);
  }
};

/// The share of the plan, fitted again on the calibration frames of north.avi.
graph::Splice fitted_again(const report::Plan& plan, const session::Session& session, const capture::Stores& frames) {
  SilentProgress silent;
  graph::Cut cut{kSmall, {}};
  for (const report::Replaced& one : plan.shares.at(0).replaced) {
    const auto layer = [&](std::size_t model, const std::string& name) {
      return graph::find_layer(session.models[model].prepared.program, name);
    };
    cut.replacements.push_back({layer(kSmall, one.receiver_layer), kWide, layer(kWide, one.donor_layer)});
  }
  const fit::Attachment attachment = fit::plan_attachment(session.set, cut, {true, false, 0, {}}).value();
  trial::CalibrationFrames calibration(session, frames, silent);
  const fit::CutFitter fitter(session.set, calibration.for_complete_fit(kSmall, nullptr), {}, silent);
  return fitter.fit(attachment).splice;
}

// The oracle runs the donor on frames of north.avi, maps its layers by plain torch functions and feeds them to the
// receiver: it knows no merged graph, no bundle and no stream.
TEST_F(PlanOnTwoStreams, KeepsWhatAnIndependentSpliceKeepsOnTheReceiversStream) {
  const OnNorth north(shared());
  const session::Session& session = *north.session;
  SilentProgress silent;
  const report::PlanStream& stream = plan().streams[0];
  const std::vector<session::FrameSet> sets{{stream.calibration_frames}, {stream.holdout_frames}};
  const std::vector<capture::Stores> stores = session.decode(sets, silent);
  const graph::Splice splice = fitted_again(plan(), session, stores[0]);
  const test::Opened opened = test::open_fixtures({"small", "wide"});

  const verify::Head& head = session.models[kSmall].head;
  const verify::Forward original =
      verify::original_forward(session.models[kSmall].loaded, session.set, stores[1], head.group);
  const verify::Reference own = verify::reference(head, original, stream.holdout_frames, silent);
  torch::jit::Module bundle = torch::jit::load(out("bundle.pt"));
  std::vector<model::Detections> found;
  for (std::int64_t position = 0; position < stores[1].front().size(); ++position) {
    const c10::InferenceMode no_gradients;
    std::vector<c10::IValue> images;
    for (const video::FrameStore& store : stores[1]) images.push_back(test::input_of(store, {position}));
    const c10::IValue spliced = test::spliced_output(opened, splice, images);
    found.push_back(verify::read_detections(head, spliced, 1).front());
    std::vector<c10::IValue> arguments;
    for (const int group : bundle::groups_of(bundle, "forward_north")) arguments.push_back(images[group]);
    const c10::IValue merged = bundle.get_method("forward_north")(arguments);
    ASSERT_TRUE(merged.isTuple());
    ASSERT_THAT(merged.toTupleRef().elements(), SizeIs(1));
    EXPECT_LT(test::difference(merged.toTupleRef().elements()[0], spliced), 1e-4);
  }
  const verify::Fidelity& stated = plan().models[kSmall].fidelity;
  EXPECT_EQ(stated.own_detections, own.own_detections);
  ASSERT_GT(own.own_detections, 0);
  EXPECT_FALSE(stated.bit_identical);
  EXPECT_NEAR(stated.value.value_or(-1), verify::average_precision(found, own.targets), 1e-4);
}

TEST_F(PlanOnTwoStreams, LeavesTheDonorAsItIsOnItsOwnStream) {
  EXPECT_TRUE(plan().models[kWide].fidelity.bit_identical);
  torch::jit::Module bundle = torch::jit::load(out("bundle.pt"));
  EXPECT_FALSE(bundle.find_method("forward").has_value());
  const c10::InferenceMode no_gradients;
  const video::FrameStore store = test::picture_store(*shared().settings.models[kWide].input, 1);
  const c10::IValue image = test::input_of(store, {0});
  const c10::IValue alone = bundle.get_method("run_wide")({image});
  EXPECT_TRUE(test::same_bits(alone, test::run_file(shared().settings.models[kWide].path, image)));
  EXPECT_TRUE(test::same_bits(bundle.get_method("forward_south")({image}).toTupleRef().elements()[0], alone));
}

TEST_F(PlanOnTwoStreams, ReadsBackAndIsTheSameTwice) {
  const std::string text = read_file(out("plan.json"));
  EXPECT_EQ(repsim::to_text(report::to_json(report::plan_from_json(parse_json(text, "plan.json"), "plan.json"))), text);
  SilentProgress silent;
  test::TempFolder other;
  static_cast<void>(pipeline::plan(shared().settings, other / "out", false, silent));
  for (const char* file : {"plan.json", "similarity.json", "bundle.pt", "report.html"})
    EXPECT_TRUE(read_file(other / "out" / file) == read_file(out(file))) << file;
}

TEST_F(PlanOnTwoStreams, RecordsTheVideosOfEachModelAsAConfig) {
  const Json config = rebuild::recorded_config(plan());
  EXPECT_FALSE(config.contains("video"));
  EXPECT_EQ(config["models"][kSmall]["video"], (shared().folder / "north.avi").string());
  EXPECT_EQ(config["models"][kWide]["video"], (shared().folder / "south.avi").string());
}

TEST_F(PlanOnTwoStreams, IsVerifiedOnEachStream) {
  VerifySettings settings;
  settings.plan = shared().folder / "out";
  settings.threads = 1;
  SilentProgress silent;
  const report::Verification verification = verify(settings, silent);
  ASSERT_THAT(verification.streams, SizeIs(2));
  EXPECT_EQ(verification.streams[1].frames, plan().streams[1].holdout_frames);
  for (const std::size_t model : {kSmall, kWide})
    EXPECT_EQ(verification.models[model].fidelity.value, plan().models[model].fidelity.value);
  settings.videos = {{"north=" + (shared().folder / "south.avi").string()},
                     {"south=" + (shared().folder / "south.avi").string()}};
  const report::Verification elsewhere = verify(settings, silent);
  EXPECT_EQ(elsewhere.streams[0].video_path, (shared().folder / "south.avi").string());
  settings.videos.pop_back();
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }), HasSubstr("--video 'south=FILE'"));
  settings.videos = {{(shared().folder / "south.avi").string()}};
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }), HasSubstr("not on which"));
  settings.videos = {};
  settings.dump_inputs = shared().folder / "inputs.npz";
  EXPECT_THAT(test::error_text([&] { (void)verify(settings, silent); }), HasSubstr("--dump-inputs"));
}

TEST_F(PlanOnTwoStreams, GivesItsBundleAgain) {
  RebuildSettings settings;
  settings.plan = shared().folder / "out";
  settings.out = shared().folder / "again.pt";
  settings.threads = 1;
  SilentProgress silent;
  const report::Rebuilt rebuilt = rebuild(settings, silent);
  EXPECT_EQ(rebuilt.sha256, plan().bundle_sha256);
  for (const std::size_t model : {kSmall, kWide})
    EXPECT_EQ(rebuilt.models[model].fidelity.value, plan().models[model].fidelity.value);
}

TEST_F(PlanOnTwoStreams, RunsEachModelOnItsOwnStream) {
  RunSettings settings;
  settings.bundle = (shared().folder / "out").string();
  settings.threads = 1;
  settings.frames = 3;
  std::vector<Json> lines;
  settings.on_line = [&](const std::string& line) { lines.push_back(Json::parse(line)); };
  SilentProgress silent;
  const std::vector<report::RunSummary> summaries = run(settings, silent);
  ASSERT_THAT(summaries, SizeIs(2));
  EXPECT_EQ(summaries[0].stream, "north");
  EXPECT_THAT(summaries[0].video_path, HasSubstr("north.avi"));
  EXPECT_EQ(summaries[1].frames, 3);
  ASSERT_THAT(lines, SizeIs(6));
  EXPECT_EQ(lines[0]["model"], "small");
  EXPECT_EQ(lines[0]["stream"], "north");
  EXPECT_EQ(lines[0]["method"], "forward_north");
  EXPECT_EQ(lines[5]["model"], "wide");

  settings.models = {"wide"};
  EXPECT_THAT(run(settings, silent), SizeIs(1));
  settings.models = {};
  settings.bundle = out("bundle.pt");
  EXPECT_THAT(test::error_text([&] { (void)run(settings, silent); }), HasSubstr("--video 'north=FILE'"));
  settings.videos = {"north=" + (shared().folder / "south.avi").string(), "yard=x.avi"};
  EXPECT_THAT(test::error_text([&] { (void)run(settings, silent); }), HasSubstr("there is no stream 'yard'"));
  settings.videos[1] = "south=" + (shared().folder / "north.avi").string();
  EXPECT_THAT(run(settings, silent), SizeIs(2));
  settings.draw = shared().folder / "drawn.avi";
  EXPECT_THAT(test::error_text([&] { (void)run(settings, silent); }), HasSubstr("--draw"));
}

TEST_F(PlanOnTwoStreams, IsCheckedAgainstItsInputs) {
  PlanCheckSettings settings;
  settings.plan = shared().folder / "out";
  settings.settings = shared().settings;
  settings.hashes_only = true;
  SilentProgress silent;
  EXPECT_FALSE(check_plan(settings, silent).diff.has_drift());
  settings.settings.videos_of.clear();
  EXPECT_TRUE(check_plan(settings, silent).diff.has_drift());
}

TEST_F(PlanOnTwoStreams, IsRefusedByWhatTakesOneStream) {
  SilentProgress silent;
  MeasureSettings measuring;
  measuring.plan = shared().folder / "out";
  EXPECT_THAT(test::error_text([&] { (void)measure(measuring, silent); }), HasSubstr("2 streams"));
  StudySettings study;
  study.job = shared().settings;
  EXPECT_THAT(test::error_text([&] { (void)validate(study, shared().folder / "study", false, silent); }),
              HasSubstr("2 streams"));
}

}  // namespace
}  // namespace repsim::pipeline
