#include "workspace.hpp"

#include <algorithm>

#include "repsim/base/error.hpp"

namespace repsim::pipeline {

Workspace open_models(const std::vector<model::ModelSpec>& models, const std::vector<std::string>& sources,
                      Progress& progress, at::Device device) {
  Workspace work;
  std::vector<std::string> names;
  for (const model::ModelSpec& spec : models) names.push_back(spec.name);
  work.identifiers = bundle::identifiers(names);
  progress.begin("load models", static_cast<std::int64_t>(models.size()));
  for (std::size_t i = 0; i < models.size(); ++i) {
    work.loaded.push_back(model::load(models[i], i < sources.size() ? sources[i] : std::string()));
    const model::Loaded& loaded = work.loaded.back();
    const graph::TraceRun dry = graph::dry_run(loaded);
    work.outputs.push_back(model::recognise(loaded, dry.output, 1));
    work.prepared.push_back(graph::prepare(loaded, dry));
    work.prepared.back().device = device;
    progress.step();
  }
  progress.end();
  for (std::size_t i = 0; i < models.size(); ++i) {
    const model::InputSpec& input = *work.loaded[i].spec.input;
    const auto found = std::find(work.set.specs.begin(), work.set.specs.end(), input);
    work.set.groups.push_back(static_cast<int>(found - work.set.specs.begin()));
    if (found == work.set.specs.end()) work.set.specs.push_back(input);
    work.set.models.push_back(&work.prepared[i]);
  }
  return work;
}

Json libraries_json(const std::vector<model::OperatorLibrary>& libraries) {
  Json list = Json::array();
  for (const model::OperatorLibrary& library : libraries) {
    list.push_back({{"library", library.file}, {"operators", library.operators}});
  }
  return list;
}

std::vector<video::Request> group_requests(const capture::ModelSet& set, const std::vector<std::int64_t>& frames,
                                           video::Perturbation perturbation) {
  std::vector<video::Request> requests;
  for (const model::InputSpec& spec : set.specs) requests.push_back({frames, spec, perturbation});
  return requests;
}

std::vector<capture::Stores> split_by_groups(std::vector<video::FrameStore> stores, std::size_t groups) {
  std::vector<capture::Stores> result;
  for (std::size_t i = 0; i < stores.size(); ++i) {
    if (i % groups == 0) result.emplace_back();
    result.back().push_back(std::move(stores[i]));
  }
  return result;
}

std::vector<video::AffineMap> views_of(const capture::ModelSet& set, const video::VideoInfo& video) {
  std::vector<video::AffineMap> views;
  for (const model::InputSpec& spec : set.specs)
    views.push_back(video::input_to_frame(spec, video.width, video.height));
  return views;
}

std::vector<verify::Head> heads_of(const Workspace& work, const video::VideoInfo& video) {
  std::vector<verify::Head> heads;
  for (std::size_t i = 0; i < work.loaded.size(); ++i) {
    const model::InputSpec& input = *work.loaded[i].spec.input;
    heads.push_back({work.loaded[i].spec.name, work.outputs[i].spec, input,
                     video::input_to_frame(input, video.width, video.height), work.set.groups[i],
                     work.prepared[i].batchable});
  }
  return heads;
}

}  // namespace repsim::pipeline
