#include "repsim/session.hpp"

#include <algorithm>
#include <numeric>

#include "output_structure.hpp"
#include "repsim/base/log.hpp"
#include "repsim/bundle.hpp"

namespace repsim::session {
namespace {

std::vector<std::string> names_of(std::span<const ModelSource> sources) {
  std::vector<std::string> names;
  for (const ModelSource& source : sources) names.push_back(source.spec.name);
  return names;
}

Model open_model(const ModelSource& source, at::Device device) {
  Model model;
  model.loaded = load(source);
  const model::InputSpec& input = *model.loaded.spec.input;
  log::debug(model.name() + ": runs on example pictures of " + std::to_string(input.width) + "x" +
             std::to_string(input.height));  // the last word of a model that never ends
  const graph::TraceRun trace = graph::trace_run(model.loaded);
  model.output = model::recognise(model.loaded, trace.output, 1);
  model.prepared = graph::prepare(model.loaded, trace, device);
  model.output_structure = output_structure(trace.output);
  return model;
}

std::vector<Model> open_models(const Runtime& runtime, const SessionOptions& options, Progress& progress) {
  runtime.memory_limit().check_files(options.models, MemoryLimit::AtOnce::kAll);
  const std::vector<std::string> identifiers = bundle::identifiers(names_of(options.models));
  std::vector<Model> models;
  progress.begin("load models", static_cast<std::int64_t>(options.models.size()));
  for (std::size_t i = 0; i < options.models.size(); ++i) {
    models.push_back(open_model(options.models[i], runtime.device()));
    models.back().identifier = identifiers[i];
    progress.step();
  }
  progress.end();
  if (options.check_models) options.check_models(models);
  return models;
}

/// @param sessions  that share the memory
MemoryBudget memory_budget_beside(std::span<const Model> models, const MemoryLimit& limit, std::size_t sessions) {
  std::vector<const graph::Prepared*> prepared;
  for (const Model& model : models) prepared.push_back(&model.prepared);
  MemoryBudget budget = limit.memory_budget(prepared);
  // What a session keeps while others work. Screening and rows are done with before the next session begins.
  const auto count = static_cast<std::int64_t>(std::max<std::size_t>(1, sessions));
  for (std::int64_t* kept : {&budget.calibration_values, &budget.sums, &budget.frame_values}) *kept /= count;
  return budget;
}

std::vector<ModelIndex> members_of(const SessionOptions& options, std::size_t models) {
  if (!options.members.empty()) return options.members;
  std::vector<ModelIndex> all(models);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::optional<verify::Truth> truth_of(const SessionOptions& options, const video::Playlist& playlist) {
  std::vector<std::optional<std::string>> paths;
  for (const video::VideoSource& source : options.videos) paths.push_back(source.truth ? source.truth : options.truth);
  if (paths.empty() || !paths.front()) return std::nullopt;
  return verify::read_truth(paths, playlist);
}

/// Sets what models have of their places in the set, too: group and head.
capture::ModelSet grouped(std::vector<Model>& models, const video::Playlist& videos) {
  capture::ModelSet set;
  for (Model& model : models) {
    const model::InputSpec& input = *model.loaded.spec.input;
    const auto found = std::find(set.specs.begin(), set.specs.end(), input);
    model.group = static_cast<int>(found - set.specs.begin());
    if (found == set.specs.end()) {
      set.specs.push_back(input);
      if (!videos.empty()) set.views.push_back(video::input_to_frame(input, videos));
    }
    set.groups.push_back(model.group);
    set.models.push_back(&model.prepared);
    model.head = {model.name(), model.output.spec,       input, video::input_to_frame(input, videos),
                  model.group,  model.prepared.batchable};
  }
  return set;
}

}  // namespace

model::Loaded load(const ModelSource& source) {
  model::Loaded loaded = model::load(source.spec, source.input_source);
  loaded.frame_by_frame = source.frame_by_frame;
  return loaded;
}

graph::Prepared prepare(const model::Loaded& loaded, at::Device device) {
  return graph::prepare(loaded, graph::trace_run(loaded), device);
}

Session::Session(const Runtime& runtime, const SessionOptions& options, Progress& progress)
    : models(open_models(runtime, options, progress)),
      members(members_of(options, models.size())),
      memory_budget(memory_budget_beside(models, runtime.memory_limit(), options.sessions)),
      playlist(video::open_playlist(options.videos, progress)),
      set(grouped(models, playlist)) {
  truth = truth_of(options, playlist);
}

Session::Session(const Session& models_of, const SessionOptions& options, Progress& progress)
    : models(models_of.models),
      members(members_of(options, models.size())),
      memory_budget(models_of.memory_budget),
      playlist(video::open_playlist(options.videos, progress)),
      set(grouped(models, playlist)) {
  truth = truth_of(options, playlist);
}

bool Session::is_guest(ModelIndex index) const { return !std::binary_search(members.begin(), members.end(), index); }

std::vector<const model::Loaded*> Session::loaded() const {
  std::vector<const model::Loaded*> result;
  for (const Model& model : models) result.push_back(&model.loaded);
  return result;
}

std::vector<verify::CheckedModel> Session::checked_models() const {
  std::vector<verify::CheckedModel> result;
  bool batchable = true;  // a member that takes layers of a guest runs together with it
  for (std::size_t i = 0; i < models.size(); ++i)
    batchable = batchable && (!is_guest(static_cast<ModelIndex>(i)) || models[i].prepared.batchable);
  for (const ModelIndex index : members) {
    result.push_back({&models[index].loaded, models[index].head, {}, &models[index].prepared});
    result.back().head.batchable = result.back().head.batchable && batchable;
  }
  return result;
}

std::vector<video::Request> Session::requests(std::span<const FrameSet> sets) const {
  std::vector<video::Request> requests;
  for (const FrameSet& one : sets) {
    for (const model::InputSpec& spec : set.specs) requests.push_back({one.frames, spec, one.perturbation});
  }
  return requests;
}

std::vector<capture::Stores> Session::split(std::vector<video::FrameStore> stores) const {
  std::vector<capture::Stores> result;
  for (std::size_t i = 0; i < stores.size(); ++i) {
    if (i % set.specs.size() == 0) result.emplace_back();
    result.back().push_back(std::move(stores[i]));
  }
  return result;
}

std::vector<capture::Stores> Session::decode(std::span<const FrameSet> sets, Progress& progress) const {
  return split(video::decode(playlist, requests(sets), progress));
}

ModelIndex find_model(std::span<const Model> models, const std::string& name) {
  const auto found = std::find_if(models.begin(), models.end(), [&](const Model& one) { return one.name() == name; });
  return found == models.end() ? -1 : static_cast<ModelIndex>(found - models.begin());
}

}  // namespace repsim::session
