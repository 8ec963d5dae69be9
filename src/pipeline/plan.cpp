#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "search.hpp"
#include "settings_json.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

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

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// All that can be checked before the first frame is decoded.
void check_files(const Settings& settings) {
  check(settings);
  video::check_readable(settings.video);
  if (settings.truth) static_cast<void>(read_file(*settings.truth));
}

void check_directions(const Settings& settings, const Workspace& work) {
  for (const Direction& direction : settings.share) {
    for (const std::string& name : {direction.receiver, direction.donor}) {
      for (const graph::Prepared& model : work.prepared) {
        if (model.name != name || model.transparent) continue;
        throw input_error("model '" + name + "' cannot share layers: it " + model.opaque_reason,
                          "--share " + direction.receiver + "<-" + direction.donor, "leave this direction out");
      }
    }
  }
}

std::string manifest_of(const Workspace& work, const std::vector<Accepted>& shares) {
  Json models = Json::array();
  for (std::size_t i = 0; i < work.loaded.size(); ++i) {
    Json one;
    one["name"] = work.loaded[i].spec.name;
    one["attribute"] = work.identifiers[i];
    one["run_method"] = "run_" + work.identifiers[i];
    one["input_group"] = work.set.groups[i];
    one["sha256"] = work.loaded[i].sha256;
    one["output"] = report::to_json(work.outputs[i].spec);
    models.push_back(std::move(one));
  }
  Json inputs = Json::array();
  for (const model::InputSpec& spec : work.set.specs) inputs.push_back(report::to_json(spec));
  Json list = Json::array();
  for (const Accepted& share : shares) {
    list.push_back({{"receiver", work.loaded[at(share.candidate.receiver)].spec.name},
                    {"donor", work.loaded[at(share.candidate.donor)].spec.name}});
  }
  Json manifest;
  manifest["schema_version"] = 1;
  manifest["tool"] = {{"name", "repsim"}, {"version", REPSIM_VERSION}};
  manifest["inputs"] = inputs;
  manifest["models"] = models;
  manifest["shares"] = list;
  return repsim::to_text(manifest);
}

std::vector<c10::IValue> example_images(const Workspace& work, const std::vector<int>& groups) {
  std::vector<c10::IValue> images;
  for (const int group : groups) {
    const model::InputSpec& spec = work.set.specs[at(group)];
    images.push_back(model::make_input(spec, model::example_frames(spec, 1)));
  }
  return images;
}

/// Adds up what the joint graph of the transparent models computes; opaque models count as they are.
graph::Program joint_program(const Workspace& work, const std::vector<graph::Splice>& splices) {
  std::vector<int> wanted;
  for (std::size_t i = 0; i < work.prepared.size(); ++i) {
    if (work.prepared[i].transparent) wanted.push_back(static_cast<int>(i));
  }
  if (wanted.empty()) return {};
  const graph::Assembly assembly = graph::assemble(work.set.models, work.set.groups, splices, wanted);
  return graph::describe_joint(assembly, example_images(work, assembly.input_groups));
}

report::Share share_of(const Workspace& work, const Accepted& accepted,
                       const std::vector<similarity::Signatures>& signatures) {
  const graph::Program& receiver = work.prepared[at(accepted.candidate.receiver)].program;
  const graph::Program& donor = work.prepared[at(accepted.candidate.donor)].program;
  const similarity::Matrix matrix =
      similarity::cka(signatures[at(accepted.candidate.receiver)], signatures[at(accepted.candidate.donor)]);
  report::Share share;
  share.receiver = work.prepared[at(accepted.candidate.receiver)].name;
  share.donor = work.prepared[at(accepted.candidate.donor)].name;
  for (std::size_t i = 0; i < accepted.candidate.receiver_layers.size(); ++i) {
    const int from = accepted.candidate.donor_layers[i], to = accepted.candidate.receiver_layers[i];
    report::Replaced replaced;
    replaced.receiver_layer = receiver.layers[at(to)].name;
    replaced.donor_layer = donor.layers[at(from)].name;
    replaced.similarity = matrix.at(at(to), at(from));
    const bool resize = accepted.joint.resize[i], linear = accepted.joint.linear[i];
    replaced.adapter = resize && linear ? "resize+linear" : resize ? "resize" : linear ? "linear" : "none";
    replaced.refit = !accepted.joint.refit_nodes.empty();
    replaced.residual = accepted.fitted.residuals[i];
    share.replaced.push_back(std::move(replaced));
  }
  const graph::Removal removal = graph::removed_by(receiver, accepted.candidate.receiver_layers);
  for (const int layer : removal.layers) share.removed_layers.push_back(receiver.layers[at(layer)].name);
  share.bytes_removed = removal.bytes;
  share.bytes_added = accepted.joint.bytes_added;
  share.flops_removed = removal.flops;
  share.flops_added = accepted.joint.flops_added;
  share.predicted_fidelity = accepted.candidate.predicted_fidelity;
  return share;
}

report::Candidate candidate_of(const Workspace& work, const planner::Candidate& candidate) {
  report::Candidate result;
  const graph::Prepared& receiver = work.prepared[at(candidate.receiver)];
  const graph::Prepared& donor = work.prepared[at(candidate.donor)];
  result.receiver = receiver.name;
  result.donor = donor.name;
  for (const int layer : candidate.receiver_layers)
    result.receiver_layers.push_back(receiver.program.layers[at(layer)].name);
  for (const int layer : candidate.donor_layers) result.donor_layers.push_back(donor.program.layers[at(layer)].name);
  result.similarity = candidate.similarity;
  result.bytes_saved = candidate.bytes_saved;
  result.predicted_fidelity = candidate.predicted_fidelity;
  result.measured_fidelity = candidate.measured_fidelity;
  result.chosen = candidate.chosen;
  result.reason = candidate.reason;
  return result;
}

/// Everything in the plan that is known once the bundle is written; fidelities come from verification.
report::Plan describe_plan(const Settings& settings, const Workspace& work, const video::VideoInfo& video,
                           const video::Sampling& sampling, const Found& found, const bundle::Written& written,
                           const std::vector<similarity::Signatures>& signatures) {
  report::Plan plan;
  plan.tool_version = REPSIM_VERSION;
  plan.settings = settings_to_json(settings);
  plan.settings_sha256 = sha256(repsim::to_text(plan.settings));
  plan.video_path = settings.video;
  plan.video_sha256 = video.sha256;
  plan.video_frames = video.frame_count;
  plan.calibration_frames = sampling.calibration;
  plan.holdout_frames = sampling.holdout;
  for (const model::InputSpec& spec : work.set.specs) plan.inputs.push_back({spec, {}});
  const graph::Program merged = joint_program(work, splices_of(found.shares)), exact = joint_program(work, {});
  for (std::size_t i = 0; i < work.loaded.size(); ++i) {
    const graph::Prepared& prepared = work.prepared[i];
    report::ModelEntry entry;
    entry.name = prepared.name;
    entry.path = work.loaded[i].spec.path;
    entry.sha256 = work.loaded[i].sha256;
    entry.input = *work.loaded[i].spec.input;
    entry.input_source = work.loaded[i].input_source;
    entry.output = work.outputs[i].spec;
    entry.format_reason = work.outputs[i].reason;
    entry.run_method = "run_" + work.identifiers[i];
    entry.transparent = prepared.transparent;
    entry.opaque_reason = prepared.opaque_reason;
    entry.layers = static_cast<std::int64_t>(prepared.program.layers.size());
    entry.parameters = prepared.model_elements;
    entry.bytes = prepared.model_bytes;
    entry.flops = graph::total_flops(prepared.program);
    plan.inputs[at(work.set.groups[i])].models.push_back(entry.name);
    plan.before.parameters += entry.parameters;
    plan.before.bytes += entry.bytes;
    plan.before.flops += entry.flops;
    plan.before.peak_activation_bytes =
        std::max(plan.before.peak_activation_bytes, graph::peak_activation_bytes(prepared.program));
    plan.models.push_back(std::move(entry));
  }
  plan.after.parameters = written.elements;
  plan.after.bytes = written.parameter_bytes;
  plan.after.flops = graph::total_flops(merged);
  plan.after.peak_activation_bytes = graph::peak_activation_bytes(merged);
  plan.exact.parameters_deduplicated = written.deduplicated;
  plan.exact.bytes_saved = written.bytes_deduplicated;
  plan.exact.flops_saved = plan.before.flops - graph::total_flops(exact);
  const auto weighted = [](const graph::Program& program) {
    return std::count_if(program.ops.begin(), program.ops.end(),
                         [](const graph::Op& op) { return !op.parameters.empty(); });
  };
  for (const graph::Prepared& prepared : work.prepared) plan.exact.ops_computed_once += weighted(prepared.program);
  plan.exact.ops_computed_once -= weighted(exact);
  for (const Accepted& share : found.shares) plan.shares.push_back(share_of(work, share, signatures));
  for (const planner::Candidate& candidate : found.candidates) plan.candidates.push_back(candidate_of(work, candidate));
  plan.bundle_bytes = static_cast<std::int64_t>(written.bytes.size());
  plan.bundle_sha256 = sha256(written.bytes);
  return plan;
}

Json run_json(const Settings& settings, const Stopwatch& watch, const verify::Latency& latency) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  Json json;
  json["tool"] = {{"name", "repsim"}, {"version", REPSIM_VERSION}, {"torch", torch_version()}};
  json["machine"] = {{"cores", std::thread::hardware_concurrency()}, {"threads", settings.threads}};
  json["seconds"] = watch.laps();
  json["peak_rss_bytes"] = static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
  json["latency_ms_per_frame"] = {{"separate_models", latency.separate_ms}, {"bundle", latency.bundle_ms}};
  return json;
}

}  // namespace

Outcome plan(const Settings& settings, const fs::path& out, bool force, Progress& progress) {
  Stopwatch watch;
  const ThreadCount threads(settings.threads);
  check_files(settings);
  StagedDirectory staged(out, force);
  const Workspace work = open_models(settings.models, settings.input_sources, progress);
  check_directions(settings, work);
  watch.lap("load");

  const video::VideoInfo video = video::probe(settings.video, progress);
  const video::Sampling sampling = video::sample_frames(video, settings.frames, settings.holdout);
  std::optional<verify::Truth> truth;
  if (settings.truth) truth = verify::read_motchallenge(*settings.truth, video.width, video.height, 0);
  const std::vector<video::Perturbation> kinds{video::Perturbation::kJpeg95, video::Perturbation::kJpeg80,
                                               video::Perturbation::kShiftOnePixel};
  std::vector<video::Request> requests = group_requests(work.set, sampling.calibration);
  const auto more = [&](const std::vector<video::Request>& others) {
    requests.insert(requests.end(), others.begin(), others.end());
  };
  more(group_requests(work.set, sampling.holdout));
  for (const video::Perturbation kind : kinds) more(group_requests(work.set, sampling.holdout, kind));
  std::vector<capture::Stores> stores =
      split_by_groups(video::decode(video, requests, progress), work.set.specs.size());
  const capture::Stores calibration = std::move(stores[0]), holdout = std::move(stores[1]);
  watch.lap("decode");

  std::vector<similarity::Signatures> signatures;
  for (std::size_t i = 0; i < work.prepared.size(); ++i) {
    similarity::Signatures none;
    none.model = work.prepared[i].name;
    signatures.push_back(work.prepared[i].transparent
                             ? capture::signatures(work.prepared[i], calibration[at(work.set.groups[i])], progress)
                             : none);
  }
  watch.lap("capture");
  std::vector<similarity::Matrix> matrices;
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    for (std::size_t j = i + 1; j < signatures.size(); ++j) {
      if (!signatures[i].layers.empty() && !signatures[j].layers.empty())
        matrices.push_back(similarity::cka(signatures[i], signatures[j]));
    }
  }
  watch.lap("similarity");

  const std::vector<verify::Head> heads = heads_of(work, video);
  // What is reported was measured on the file, not on what is still in memory. Where the file falls below the asked
  // fidelity though the joint graph did not (rounding, at the very border), the share is refused and the search goes on
  // without it.
  verify::BundleCheck bundle_check;
  bundle_check.bundle_path = staged.path("bundle.pt").string();
  for (const model::Loaded& model : work.loaded) bundle_check.models.push_back(&model);
  bundle_check.heads = heads;
  bundle_check.set = &work.set;
  bundle_check.frames = &holdout;
  for (std::size_t i = 0; i < kinds.size(); ++i) bundle_check.perturbed.push_back({kinds[i], std::move(stores[i + 2])});
  bundle_check.truth = std::move(truth);
  bundle_check.seed = settings.seed;
  Found found;
  bundle::Written written;
  std::vector<verify::Verdict> verdicts;
  std::vector<planner::Candidate> refused;
  for (bool again = true; again;) {
    again = false;
    found = search(settings, work, signatures, calibration, holdout, heads, refused, progress);
    watch.lap("search");
    written = bundle::write(work.set, bundle_check.models, splices_of(found.shares), manifest_of(work, found.shares));
    write_file_atomically(staged.path("bundle.pt"), written.bytes);
    watch.lap("bundle");
    verdicts = verify::check_bundle(bundle_check, progress);
    watch.lap("verify");
    for (const Accepted& share : found.shares) {
      const double fidelity = verdicts[at(share.candidate.receiver)].fidelity.value;
      if (fidelity >= settings.min_fidelity) continue;
      again = true;
      refused.push_back(share.candidate);
      refused.back().measured_fidelity = fidelity;
      refused.back().chosen = false;
      refused.back().reason =
          "measured fidelity " + std::to_string(fidelity) + " of the written bundle is below the asked one";
      log::info("the written bundle keeps " + std::to_string(fidelity) + " only: searching on");
    }
  }

  Outcome outcome;
  outcome.plan = describe_plan(settings, work, video, sampling, found, written, signatures);
  outcome.directory = staged.target();
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    outcome.plan.models[i].fidelity = verdicts[i].fidelity;
    outcome.plan.models[i].accuracy = verdicts[i].accuracy;
    for (report::Share& share : outcome.plan.shares) {
      if (share.receiver == outcome.plan.models[i].name) share.measured_fidelity = verdicts[i].fidelity.value;
    }
  }
  const verify::Latency latency =
      verify::measure_latency(bundle_check, std::min<std::int64_t>(20, holdout.front().size()), progress);
  watch.lap("latency");
  write_file_atomically(staged.path("plan.json"), repsim::to_text(report::to_json(outcome.plan)));
  write_file_atomically(staged.path("similarity.json"),
                        repsim::to_text(report::to_json(matrices, video::kMinibatchFrames,
                                                        static_cast<std::int64_t>(signatures.front().frames.size()))));
  write_file_atomically(staged.path("report.html"), report::html(outcome.plan, matrices));
  watch.lap("report");
  write_file_atomically(staged.path("run.json"), repsim::to_text(run_json(settings, watch, latency)));
  staged.commit();
  return outcome;
}

std::string dry_run(const Settings& settings, const fs::path& out, bool force) {
  const ThreadCount threads(settings.threads);
  check_files(settings);
  const StagedDirectory staged(out, force);
  SilentProgress silent;
  const Workspace work = open_models(settings.models, settings.input_sources, silent);
  check_directions(settings, work);
  std::string text;
  for (std::size_t i = 0; i < work.prepared.size(); ++i) {
    const graph::Prepared& model = work.prepared[i];
    text += model.name + ": " + std::to_string(model.program.layers.size()) + " layers, " +
            report::human_bytes(model.model_bytes) + ", input group " + std::to_string(work.set.groups[i]) +
            ", format " + model::to_string(work.outputs[i].spec.format) +
            (model.transparent ? "" : " (carried whole: it " + model.opaque_reason + ")") + "\n";
  }
  for (const Direction& direction : directions(settings, work))
    text += "would consider " + direction.receiver + "<-" + direction.donor + "\n";
  text += "would sample " + std::to_string(settings.frames) + " frames of " + settings.video + " and write to " +
          out.string() + "\n";
  return text;
}

}  // namespace repsim::pipeline
