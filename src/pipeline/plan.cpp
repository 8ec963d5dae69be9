#include <chrono>
#include <thread>

#include "describe_plan.hpp"
#include "job.hpp"
#include "manifest.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/base/text.hpp"
#include "repsim/bundle.hpp"
#include "repsim/torch_info.hpp"
#include "search.hpp"
#include "share_options.hpp"
#include "signatures.hpp"
#include "task_times.hpp"
#include "trials.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLatencyFrames = 12;  // each is run by both sides: a median of so many

/// Seconds per stage, for run.json.
class Stopwatch {
 public:
  void lap(const std::string& stage) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    laps_[stage] = laps_.contains(stage) ? laps_[stage].get<double>() + seconds : seconds;
    log::debug(stage + ": " + std::to_string(seconds) + " s");
    last_ = now;
  }
  [[nodiscard]] const Json& laps() const { return laps_; }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  Json laps_ = Json::object();
};

/// On how many frames S was taken: 0 where no model gave signatures, since none was taken then.
std::int64_t frames_of(const std::vector<similarity::Signatures>& signatures) {
  std::size_t frames = 0;
  for (const similarity::Signatures& one : signatures) frames = std::max(frames, one.frames.size());
  return static_cast<std::int64_t>(frames);
}

Judging split(const std::vector<std::int64_t>& holdout) {
  constexpr std::size_t kFewest = 8;  // frames in either half
  if (holdout.size() < 2 * kFewest) return {holdout, holdout};
  const auto middle = holdout.begin() + static_cast<std::ptrdiff_t>(holdout.size() / 2);
  return {{holdout.begin(), middle}, {middle, holdout.end()}};
}

Json run_json(const Settings& settings, const Stopwatch& watch, const TaskTimes& tasks, const report::Plan& plan,
              const Json& origins, const verify::RunCost& cost) {
  Json json;
  json["tool"] = {{"name", "repsim"}, {"version", REPSIM_VERSION}, {"torch", session::torch_version()}};
  json["machine"] = {
      {"cores", std::thread::hardware_concurrency()}, {"threads", settings.threads}, {"device", settings.device}};
  json["seconds"] = watch.laps();
  json["task_seconds"] = tasks.seconds();
  json["signatures"] = origins;
  json["peak_rss_bytes"] = peak_resident_bytes();
  json["memory_limit_bytes"] = settings.memory_limit ? Json(*settings.memory_limit) : Json();
  json["latency_ms_per_frame"] = {{"separate_models", cost.latency.separate_ms}, {"bundle", cost.latency.bundle_ms}};
  const auto beside = [](std::int64_t predicted, std::int64_t measured) {
    return Json{{"predicted", predicted}, {"measured", measured}};
  };
  json["peak_activation_bytes"] = {
      {"separate_models", beside(plan.before.peak_activation_bytes, cost.peak.separate_bytes)},
      {"bundle", beside(plan.after.peak_activation_bytes, cost.peak.bundle_bytes)}};
  return json;
}

}  // namespace

Outcome plan(const Settings& settings, const fs::path& out, bool force, Progress& shown) {
  Stopwatch watch;
  TaskTimes progress(shown);
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  session::check_files(input_files(settings));
  StagedDirectory staged(out, force);
  const session::Session work(runtime, session_options(settings), progress);
  const video::VideoInfo& video = work.video;
  watch.lap("load");

  const video::Sampling sampling = video::sample_frames(video, settings.frames, settings.holdout);
  const Judging judging = split(sampling.holdout);
  const std::vector<video::Perturbation> kinds{video::Perturbation::kJpeg95, video::Perturbation::kJpeg80,
                                               video::Perturbation::kShiftOnePixel};
  std::vector<session::FrameSet> later{{judging.selection}, {judging.holdout}};
  for (const video::Perturbation kind : kinds) later.push_back({judging.holdout, kind});
  const std::vector<session::FrameSet> first{{sampling.calibration}};
  // What judges is decoded behind the capture of what calibrates.
  video::DecodeBehind decoding(video, work.requests(first), work.requests(later), progress);
  const capture::Stores calibration = decoding.first();
  watch.lap("decode");

  std::vector<similarity::Signatures> signatures;
  Json origins = Json::object();
  for (Captured& one : signatures_of(settings, work, calibration, progress)) {
    origins[one.file.signatures.model] = one.origin;
    signatures.push_back(std::move(one.file.signatures));
  }
  watch.lap("capture");
  std::vector<capture::Stores> stores = work.split(decoding.later(progress));
  const capture::Stores selection = std::move(stores[0]), holdout = std::move(stores[1]);
  watch.lap("decode");
  std::vector<similarity::Matrix> matrices;
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    for (std::size_t j = i + 1; j < signatures.size(); ++j) {
      if (!signatures[i].layers.empty() && !signatures[j].layers.empty())
        matrices.push_back(similarity::cka(signatures[i], signatures[j]));
    }
  }
  watch.lap("similarity");

  // What is reported was measured on the file, not on what is still in memory, and on frames that neither fitted nor
  // chose. A share that falls below its target there is refused, and the search goes on without it.
  verify::BundleCheck bundle_check;
  bundle_check.bundle_path = staged.path("bundle.pt").string();
  bundle_check.models = work.loaded();
  bundle_check.heads = work.heads();
  bundle_check.set = &work.set;
  bundle_check.frames = &holdout;
  for (std::size_t i = 0; i < kinds.size(); ++i) bundle_check.perturbed.push_back({kinds[i], std::move(stores[i + 2])});
  bundle_check.truth = work.truth;
  bundle_check.seed = settings.seed;
  bundle::Written deduplicated = bundle::write(work.set, bundle_check.models, {}, manifest_of(work, {}));
  deduplicated.bytes = {};
  const std::int64_t bytes_to_save = settings.budget ? deduplicated.parameter_bytes - *settings.budget : 0;
  Search searching({settings, work, signatures, calibration, selection, bytes_to_save, work.memory_budget, progress});
  // The search judges on the frames of the check: what the originals say there serves both, where there is memory.
  if (!settings.memory_limit && runtime.device().is_cpu()) {
    for (const session::Model& model : work.models)
      bundle_check.originals.push_back(
          verify::remembered(verify::original_forward(model.loaded, work.set, holdout, model.group)));
  }
  MemoryBudget for_judging = work.memory_budget;
  for_judging.frame_values /= 4;  // few shares come so far
  Trials judge(settings, work, calibration, holdout, signatures, for_judging, progress, bundle_check.originals);
  const auto refused = [&](const FittedShare& share, double fidelity) {
    const std::string& receiver = work.models[share.candidate.cut.receiver].prepared.name;
    if (fidelity >= settings.min_fidelity_for(receiver) - share.reach) return false;
    log::info(receiver + " keeps " + fixed3(fidelity) + " only on the frames that judge: searching on");
    searching.refuse(share.candidate, fidelity);
    return true;
  };
  SearchResult found;
  bundle::Written written;
  std::int64_t bundle_bytes = 0;
  std::string bundle_sha256;
  std::vector<verify::Verdict> verdicts;
  std::int64_t judgements = 0;
  for (bool again = true; again;) {
    again = false;
    found = searching.run();
    ++judgements;
    // In memory first: the file is written and read back for what is likely to stay.
    for (const FittedShare& share : found.shares)
      again = refused(share, judge.measured(share.candidate.cut.receiver, splices_of(found.shares)).fidelity) || again;
    // What is far off is not worth a fit with all that it may see.
    const bool complete =
        std::all_of(found.shares.begin(), found.shares.end(), [](const FittedShare& one) { return one.reach == 0; });
    if (!again && !complete) {
      searching.complete();
      again = true;
    }
    watch.lap("search");
    if (again) continue;
    written = bundle::write(work.set, bundle_check.models, splices_of(found.shares), manifest_of(work, found.shares));
    write_file_atomically(staged.path("bundle.pt"), written.bytes);
    bundle_bytes = static_cast<std::int64_t>(written.bytes.size());
    bundle_sha256 = sha256(written.bytes);
    written.bytes = {};  // as large as all models, and read back from disk
    if (settings.memory_limit) release_free_memory();
    bundle_check.bundle = verify::load_bundle(bundle_check.bundle_path);
    watch.lap("bundle");
    verdicts = verify::check_bundle(bundle_check, progress);
    watch.lap("verify");
    for (const FittedShare& share : found.shares)
      again = refused(share, verdicts[share.candidate.cut.receiver].fidelity.value) || again;
  }

  Outcome outcome;
  outcome.plan = describe_plan(settings, work, video, sampling, judging, found, written, deduplicated, signatures);
  outcome.plan.judgements = judgements;
  outcome.plan.bundle_bytes = bundle_bytes;
  outcome.plan.bundle_sha256 = bundle_sha256;
  outcome.directory = staged.target();
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    outcome.plan.models[i].fidelity = verdicts[i].fidelity;
    outcome.plan.models[i].accuracy = verdicts[i].accuracy;
    for (report::Share& share : outcome.plan.shares) {
      if (share.receiver == outcome.plan.models[i].name) share.measured_fidelity = verdicts[i].fidelity.value;
    }
  }
  const verify::RunCost cost =
      verify::measure_run_cost(bundle_check, std::min(kLatencyFrames, holdout.front().size()), progress);
  watch.lap("latency");
  write_file_atomically(staged.path("plan.json"), repsim::to_text(report::to_json(outcome.plan)));
  write_file_atomically(staged.path("similarity.json"),
                        repsim::to_text(report::to_json(matrices, video::kMinibatchFrames, frames_of(signatures))));
  write_file_atomically(staged.path("report.html"), report::html(outcome.plan, matrices));
  watch.lap("report");
  write_file_atomically(staged.path("run.json"),
                        repsim::to_text(run_json(settings, watch, progress, outcome.plan, origins, cost)));
  staged.commit();
  runtime.memory_limit().judge();
  return outcome;
}

report::DryRun dry_run(const Settings& settings, const fs::path& out, bool force) {
  const session::Runtime runtime(runtime_options(settings));
  check(settings);
  session::check_files(input_files(settings));
  const StagedDirectory staged(out, force);
  SilentProgress silent;
  session::SessionOptions options = session_options(settings);
  options.video.reset();
  options.truth.reset();
  const session::Session work(runtime, options, silent);
  report::DryRun would;
  for (std::size_t i = 0; i < work.models.size(); ++i) {
    const session::Model& model = work.models[i];
    const auto layers = static_cast<std::int64_t>(model.prepared.program.layers.size());
    would.models.push_back({model.name(), layers, model.prepared.model_bytes, work.set.groups[i],
                            model.output.spec.format, model.prepared.opaque_reason});
  }
  const std::vector<Direction> considered = directions(settings, work.models);
  for (const Direction& one : considered) would.directions.push_back({one.receiver, {one.donor}});
  for (const session::Model& model : work.models) {
    report::DryRun::Direction mixed{model.name(), {}};
    for (const Direction& one : considered) {
      if (one.receiver == mixed.receiver) mixed.donors.push_back(one.donor);
    }
    if (mixed.donors.size() > 1) would.directions.push_back(std::move(mixed));
  }
  would.frames = settings.frames;
  would.video_path = settings.video;
  would.out = out.string();
  return would;
}

}  // namespace repsim::pipeline
