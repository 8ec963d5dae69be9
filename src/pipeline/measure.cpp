#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/script.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>

#include "measure_rounds.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/machine.hpp"
#include "repsim/base/version.hpp"
#include "repsim/bundle.hpp"
#include "repsim/manifest.hpp"
#include "repsim/measure_plan.hpp"
#include "repsim/open_bundle.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;
using measure::Deployment;

constexpr double kMillisecondsPerNanosecond = 1e-6;
constexpr std::int64_t kDistinctBatches = 4;  // of input tensors: each process has them in memory all the time

/// Files of the processes, which nobody needs afterwards: a staged folder that is never moved into its place.
StagedDirectory working_folder() {
  return StagedDirectory(fs::temp_directory_path() / ("repsim-measure-" + std::to_string(::getpid())), false);
}

/// The frames of some batches, spread over the plan's test frames; the last ones repeat where there are too few.
std::vector<std::int64_t> positions_of(std::int64_t batch, std::int64_t number, std::int64_t frames) {
  std::vector<std::int64_t> positions(static_cast<std::size_t>(batch));
  std::iota(positions.begin(), positions.end(), number * batch);
  for (std::int64_t& position : positions) position %= frames;
  return positions;
}

/// What is known once plan, models and video are opened. The session itself is gone by then.
struct OpenedPlan {
  report::Plan plan;
  std::string plan_file, bundle_file;
  std::vector<measure::Call> originals;  ///< per model
  measure::Call deduplicated, bundle;
  std::vector<measure::Call> alone;  ///< run_<model> of the bundle, per model
  std::vector<double> estimates_ms;  ///< per model, of its original
  std::string inputs;
};

void check_batch(const session::Session& session, std::int64_t batch) {
  for (const session::Model& model : session.models) {
    if (batch == 1 || model.head.batchable) continue;
    throw input_error("the model '" + model.name() + "' takes one frame at a time", "--batch", "--batch 1");
  }
}

void write_inputs(const session::Session& session, const report::Plan& plan, std::int64_t batch, const fs::path& path,
                  Progress& progress) {
  const auto frames = static_cast<std::int64_t>(plan.holdout_frames.size());
  const std::int64_t wanted = std::min(frames, kDistinctBatches * batch);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < wanted; ++i)
    indices.push_back(plan.holdout_frames[static_cast<std::size_t>(i * frames / wanted)]);
  const std::vector<session::FrameSet> sets{{indices}};
  const std::vector<capture::Stores> stores = session.decode(sets, progress);
  std::vector<int> groups(session.set.specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  std::vector<c10::IValue> batches;
  for (std::int64_t number = 0; number < kDistinctBatches; ++number) {
    const std::vector<std::int64_t> positions = positions_of(batch, number, wanted);
    batches.push_back(
        c10::ivalue::Tuple::create(capture::group_inputs(session.set, stores.front(), groups, positions)));
  }
  const std::vector<char> bytes = torch::jit::pickle_save(c10::ivalue::Tuple::create(std::move(batches)));
  write_file_atomically(path, {bytes.data(), bytes.size()});
}

OpenedPlan open(const MeasureSettings& settings, const StagedDirectory& folder, Progress& progress) {
  OpenedPlan opened;
  opened.plan_file = rebuild::plan_file(settings.plan).string();
  opened.plan = rebuild::read_plan(opened.plan_file);
  if (!opened.plan.streams.empty()) {
    throw input_error("the models of this plan run on " + std::to_string(opened.plan.streams.size()) +
                          " streams, and this measures models of one",
                      opened.plan_file, "run.json of the plan has the latency and the peak memory of all streams");
  }
  if (opened.plan.holdout_frames.empty())
    throw input_error("the plan has no hold-out frames", opened.plan_file + ": frames.holdout",
                      "run repsim plan again");
  const rebuild::BundlePlace place = rebuild::find_bundle(opened.plan_file);
  opened.bundle_file = place.path;
  rebuild::check_videos_unchanged(opened.plan, progress);
  const session::Runtime runtime({settings.threads, config::Device{}, {}});
  const session::Session session(runtime, {rebuild::models_of(opened.plan), rebuild::videos_of(opened.plan), {}, {}},
                                 progress);
  check_batch(session, settings.batch);

  std::vector<int> all(session.set.specs.size());
  std::iota(all.begin(), all.end(), 0);
  const bundle::Written written = bundle::write(session.set, session.loaded(), {}, rebuild::manifest_of(session, {}));
  const fs::path deduplicated = folder.path("deduplicated.pt");
  write_file_atomically(deduplicated, written.bytes);
  opened.deduplicated = {deduplicated.string(), "forward", all};
  opened.bundle = {opened.bundle_file, "forward", all};
  const rebuild::OpenBundle bundle = rebuild::open_bundle(opened.bundle_file);
  for (const session::Model& model : session.models) {
    opened.originals.push_back({model.loaded.spec.path, "forward", {model.group}});
    const std::string method = "run_" + model.identifier;
    opened.estimates_ms.push_back(kMillisecondsPerNanosecond *
                                  static_cast<double>(graph::total_latency_ns(model.prepared.program)));
    opened.alone.push_back({opened.bundle_file, method, rebuild::groups_of(bundle, method)});
  }
  opened.inputs = folder.path("inputs.pt").string();
  write_inputs(session, opened.plan, settings.batch, opened.inputs, progress);
  return opened;
}

/// The jobs of each deployment's processes.
std::vector<std::vector<measure::Job>> jobs_of(const OpenedPlan& opened, const MeasureSettings& settings) {
  measure::Job job;
  job.inputs = opened.inputs;
  job.batch = settings.batch;
  job.runs = settings.frames;
  job.threads = settings.threads;
  job.device = config::to_string(settings.device);
  job.libraries = settings.libraries;
  const auto with = [&](std::string label, std::vector<measure::Call> calls, std::vector<measure::Call> alone = {}) {
    measure::Job made = job;
    made.label = std::move(label);
    made.calls = std::move(calls);
    made.alone = std::move(alone);
    return made;
  };
  std::vector<std::vector<measure::Job>> jobs(measure::kDeployments);
  for (std::size_t i = 0; i < opened.originals.size(); ++i)
    jobs[0].push_back(with("model '" + opened.plan.models[i].name + "'", {opened.originals[i]}));
  jobs[1].push_back(with("the models in one process", opened.originals));
  jobs[2].push_back(with("the bundle without shares", {opened.deduplicated}));
  jobs[3].push_back(with("the bundle", {opened.bundle}, opened.alone));
  return jobs;
}

std::int64_t file_bytes(const std::vector<measure::Job>& jobs) {
  std::int64_t bytes = 0;
  for (const measure::Job& job : jobs) {
    for (const measure::Call& call : job.calls) bytes += static_cast<std::int64_t>(fs::file_size(call.path));
  }
  return bytes;
}

report::Predicted predictions_of(const report::Plan& plan, std::int64_t batch) {
  const auto milliseconds = [](const report::Totals& totals) -> std::optional<double> {
    if (!totals.latency_estimate_ns) return std::nullopt;
    return kMillisecondsPerNanosecond * static_cast<double>(*totals.latency_estimate_ns);
  };
  return {batch * plan.before.peak_activation_bytes, batch * plan.after.peak_activation_bytes,
          milliseconds(plan.before), milliseconds(plan.after)};
}

report::Measurement described(const OpenedPlan& opened, const MeasureSettings& settings,
                              const std::vector<std::vector<measure::Job>>& jobs, const MeasuredRounds& rounds) {
  report::Measurement result;
  result.tool_version = tool_version();
  result.torch_version = session::torch_version();
  result.plan = opened.plan_file;
  result.cpu = cpu().model;
  result.cores = usable_cores();
  result.threads = settings.threads;
  result.device = config::to_string(settings.device);
  result.batch = settings.batch;
  result.repeats = settings.repeats;
  result.frames = settings.frames;
  result.parameter_bytes_before = opened.plan.before.bytes;
  result.parameter_bytes_after = opened.plan.after.bytes;
  const auto bundle = static_cast<std::size_t>(Deployment::kBundle);
  for (std::size_t i = 0; i < rounds.size(); ++i) {
    report::MeasuredDeployment& one = result.deployments.emplace_back();
    one.deployment = static_cast<Deployment>(i);
    one.processes = static_cast<std::int64_t>(jobs[i].size());
    one.figures = measure::figures_of(rounds[i], file_bytes(jobs[i]));
    one.bundle = measure::ratios_of(rounds[bundle], rounds[i]);
  }
  std::vector<measure::Sample> merged;
  for (const measure::Round& round : rounds[bundle]) merged.push_back(round.front());
  for (std::size_t model = 0; model < opened.plan.models.size(); ++model) {
    std::vector<measure::Sample> original;
    for (const measure::Round& round : rounds.front()) original.push_back(round[model]);
    measure::Alone& alone = result.alone.emplace_back(measure::alone_of(original, merged, model));
    alone.estimate_ms = opened.estimates_ms[model];
    alone.model = opened.plan.models[model].name;
    result.models.push_back(alone.model);
    alone.takes_layers = std::any_of(opened.plan.shares.begin(), opened.plan.shares.end(),
                                     [&](const report::Share& share) { return share.receiver == alone.model; });
  }
  result.predicted = predictions_of(opened.plan, settings.batch);
  return result;
}

}  // namespace

report::Measurement measure(const MeasureSettings& settings, Progress& progress) {
  session::check_files({settings.libraries, {}, {}});
  static_cast<void>(session::Runtime({settings.threads, settings.device, {}}));  // is there such a device?
  std::optional<StagedDirectory> staged;
  if (settings.out) staged.emplace(*settings.out, settings.force);
  const StagedDirectory folder = working_folder();
  const OpenedPlan opened = open(settings, folder, progress);
  const std::vector<std::vector<measure::Job>> jobs = jobs_of(opened, settings);
  const MeasuredRounds rounds =
      run_rounds({jobs, settings.repeats, folder.path("job.json"), settings.command}, progress);
  report::Measurement result = described(opened, settings, jobs, rounds);
  if (staged) {
    write_file_atomically(staged->path("measure.json"), repsim::to_text(report::to_json(result)));
    write_file_atomically(staged->path("measure.html"), report::html(result));
    staged->commit("measure.json");
  }
  return result;
}

}  // namespace repsim::pipeline
