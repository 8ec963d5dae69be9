#include "run_models.hpp"

#include <algorithm>

#include "repsim/base/out_of_memory.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/session.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kOnlyPosition[] = {0};  // of the current frame in a store

/// Positions of the wanted models in the bundle, in its order.
std::vector<std::size_t> wanted_models(const std::vector<std::string>& wanted, const report::BundleManifest& manifest) {
  std::vector<std::string> known;
  for (const report::ManifestModel& model : manifest.models) known.push_back(model.name);
  for (const std::string& name : wanted) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Error(ErrorKind::kUsage, "the bundle has no model '" + name + "'", "--models", did_you_mean(name, known));
  }
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), known[i]) != wanted.end()) positions.push_back(i);
  }
  return positions;
}

/// Computes a model as it was before merging.
rebuild::BundleMethod original_method(const session::ModelSource& source, at::Device device) {
  const model::Loaded loaded = session::load(source);
  if (!device.is_cpu()) {
    const graph::Prepared prepared = session::prepare(loaded, device);
    if (prepared.rewritable) {
      const auto runner = std::make_shared<graph::Runner>(*prepared.graph, prepared.parameters,
                                                          std::vector<graph::Place>{}, /*keep_output=*/true, device);
      return [runner](std::vector<c10::IValue> inputs) { return runner->run(std::move(inputs)); };
    }
  }
  return [module = loaded.module, path = source.spec.path](std::vector<c10::IValue> inputs) mutable {
    const c10::InferenceMode no_gradients;
    const CrashNote note = model::note_of_run(path);
    return module.forward(std::move(inputs));
  };
}

/// The original of a model of the bundle, as a plan names it.
session::ModelSource original_of(const RunningModel& model, const report::ManifestModel& merged,
                                 const std::string& plan_path, const report::Plan& plan) {
  const auto found = std::find_if(plan.models.begin(), plan.models.end(),
                                  [&](const report::ModelEntry& one) { return one.name == model.name; });
  const std::string where = rebuild::plan_file(plan_path).string();
  if (found == plan.models.end())
    throw input_error("this plan has no model '" + model.name + "'", where, "--against the plan of the bundle");
  if (found->sha256 != merged.sha256 || found->input != model.head.input) {
    throw input_error("the plan's model '" + model.name +
                          "' is not the one that the bundle was made of, or has "
                          "another input",
                      where, "--against the plan of the bundle");
  }
  rebuild::check_unchanged(found->path, found->sha256, "model '" + model.name + "'");
  return {{found->name, found->path, found->input, found->output}, found->input_source, found->frame_by_frame};
}

}  // namespace

std::vector<report::ManifestStream> streams_of(const report::BundleManifest& manifest) {
  if (!manifest.streams.empty()) return manifest.streams;
  report::ManifestStream only{{}, "forward", {}};
  for (std::size_t i = 0; i < manifest.models.size(); ++i) only.models.push_back(i);
  return {only};
}

std::vector<report::ManifestStream> wanted_streams(const RunSettings& settings,
                                                   const report::BundleManifest& manifest) {
  const std::vector<std::size_t> wanted = wanted_models(settings.models, manifest);
  std::vector<report::ManifestStream> streams = streams_of(manifest);
  std::erase_if(streams, [&](const report::ManifestStream& stream) {
    return std::none_of(wanted.begin(), wanted.end(), [&](std::size_t model) {
      return std::find(stream.models.begin(), stream.models.end(), model) != stream.models.end();
    });
  });
  return streams;
}

std::vector<RunningModel> running_models(const RunSettings& settings, const rebuild::OpenBundle& bundle,
                                         const report::ManifestStream& stream, const video::FrameStream& video,
                                         at::Device device) {
  std::optional<report::Plan> plan;
  if (settings.against) plan = rebuild::read_plan(*settings.against);
  std::vector<RunningModel> models;
  for (const std::size_t index : wanted_models(settings.models, bundle.manifest)) {
    const auto place = std::find(stream.models.begin(), stream.models.end(), index);
    if (place == stream.models.end()) continue;
    const report::ManifestModel& merged = bundle.manifest.models[index];
    const model::InputSpec& input = bundle.manifest.inputs[static_cast<std::size_t>(merged.input_group)];
    RunningModel model;
    model.name = merged.name;
    model.head = {merged.name,
                  merged.output,
                  input,
                  video::input_to_frame(input, video.width(), video.height()),
                  static_cast<int>(merged.input_group),
                  /*batchable=*/false};
    model.min_score = settings.min_score.value_or(merged.output.score_threshold);
    model.method = merged.run_method;
    model.position = static_cast<std::size_t>(place - stream.models.begin());
    if (plan) model.original = original_method(original_of(model, merged, *settings.against, *plan), device);
    models.push_back(std::move(model));
  }
  return models;
}

FrameRunner::FrameRunner(const rebuild::OpenBundle& bundle, const report::ManifestStream& stream,
                         const std::vector<RunningModel>& models, at::Device device)
    : bundle_(bundle), stream_(stream), models_(models) {
  set_.specs = bundle.manifest.inputs;
  for (const model::InputSpec& spec : set_.specs) stores_.emplace_back(std::vector<std::int64_t>{0}, spec);
  for (const RunningModel& model : models) groups_.insert(model.head.group);
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < models.size(); ++i) all.push_back(i);
  if (models.size() == stream.models.size()) {
    add_call(stream.run_method, all, device);
  } else {
    for (const std::size_t i : all) add_call(models[i].method, {i}, device);
  }
}

void FrameRunner::add_call(const std::string& method, std::vector<std::size_t> models, at::Device device) {
  calls_.push_back(
      {method, rebuild::groups_of(bundle_, method), rebuild::method_of(bundle_, method, device), std::move(models)});
  groups_.insert(calls_.back().groups.begin(), calls_.back().groups.end());
}

FrameRunner::Result FrameRunner::timed(const rebuild::BundleMethod& compute, const std::vector<int>& groups) const {
  std::vector<c10::IValue> inputs = capture::group_inputs(set_, stores_, groups, kOnlyPosition);
  Result result;
  result.milliseconds = 1000 * seconds_of([&] { result.value = compute(std::move(inputs)); });
  return result;
}

/// A stream's method runs all models at once: one that fails alone is the one to name.
void FrameRunner::explain(const Call& call, std::int64_t frame, const std::exception& error) const {
  rethrow_out_of_memory(error);
  const std::vector<std::int64_t> frames{frame};
  for (const std::size_t i : call.models) {
    const RunningModel& model = models_[i];
    const std::vector<int> groups = rebuild::groups_of(bundle_, model.method);
    const rebuild::BundleMethod alone = rebuild::method_of(bundle_, model.method, at::kCPU);
    (void)capture::on_frames({model.name, frames}, kOnlyPosition,
                             [&](std::span<const std::int64_t>) { return timed(alone, groups).value; });
  }
  throw graph::failure_of_merged(frame, error.what());
}

FrameRunner::Result FrameRunner::timed(const Call& call, std::int64_t frame) const {
  try {
    Result result = timed(call.compute, call.groups);
    const bool is_tuple =
        result.value.isTuple() && result.value.toTupleRef().elements().size() == stream_.models.size();
    if (is_whole(call) && !is_tuple) {
      throw input_error("the bundle does not return one result per model", bundle_.path, "write the bundle again");
    }
    return result;
  } catch (const std::exception& error) {
    explain(call, frame, error);
  }
}

report::FrameDetections FrameRunner::read(const RunningModel& model, const c10::IValue& output,
                                          std::int64_t frame) const {
  report::FrameDetections found;
  found.frame = frame;
  found.model = model.name;
  found.stream = stream_.name;
  found.is_raw = model.head.output.format == model::OutputFormat::kTensor;
  if (!found.is_raw) found.boxes = std::move(verify::read_detections(model.head, output, 1).front());
  return found;
}

std::vector<report::FrameDetections> FrameRunner::run(video::FrameStream& video) {
  const std::int64_t frame = video.index();
  const std::vector<std::int64_t> frames{frame};
  for (const int group : groups_) video.fill(stores_[static_cast<std::size_t>(group)], 0);
  std::vector<report::FrameDetections> merged(models_.size()), all;
  for (const Call& call : calls_) {
    const Result result = timed(call, frame);
    for (const std::size_t i : call.models) {
      const RunningModel& model = models_[i];
      // An output that cannot be read is a failure on its frame, too.
      merged[i] = capture::on_frames({model.name, frames}, kOnlyPosition, [&](std::span<const std::int64_t>) {
        return read(model, is_whole(call) ? result.value.toTupleRef().elements()[model.position] : result.value, frame);
      });
      merged[i].method = call.method;
      merged[i].milliseconds = result.milliseconds;
    }
  }
  for (std::size_t i = 0; i < models_.size(); ++i) {
    all.push_back(std::move(merged[i]));
    if (!models_[i].original) continue;
    const std::string name = models_[i].name + " (original)";
    all.push_back(capture::on_frames({name, frames}, kOnlyPosition, [&](std::span<const std::int64_t>) {
      const Result result = timed(models_[i].original, {models_[i].head.group});
      report::FrameDetections found = read(models_[i], result.value, frame);
      found.is_original = true;
      found.method = "forward";
      found.milliseconds = result.milliseconds;
      return found;
    }));
  }
  return all;
}

}  // namespace repsim::pipeline
