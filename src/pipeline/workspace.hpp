#pragma once

#include <memory>
#include <vector>

#include "repsim/bundle.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/verify.hpp"
#include "repsim/video.hpp"
#include "torch_runtime.hpp"

/// What plan, verify and inspect have in common: the models of one job, loaded, understood and grouped by input.
namespace repsim::pipeline {

struct Workspace {
  std::vector<model::Loaded> loaded;
  std::vector<model::Recognised> outputs;
  std::vector<graph::Prepared> prepared;
  capture::ModelSet set;                 ///< points into `prepared`
  std::vector<std::string> identifiers;  ///< of the models in the bundle

  Workspace() = default;
  Workspace(Workspace&&) = default;  // vectors move their storage: the pointers in `set` stay good
  Workspace& operator=(Workspace&&) = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
};

/// Loads, runs once, prepares and groups the models.
/// @param sources  per model where its input came from ("" when from the archive)
/// @param device  where capture, fits and trials run them
Workspace open_models(const std::vector<model::ModelSpec>& models, const std::vector<std::string>& sources,
                      Progress& progress, at::Device device = at::kCPU);

/// What of other libraries than Torch is needed: [{"library": file name, "operators": [...]}].
Json libraries_json(const std::vector<model::OperatorLibrary>& libraries);

/// One decoding request per input group.
std::vector<video::Request> group_requests(const capture::ModelSet& set, const std::vector<std::int64_t>& frames,
                                           video::Perturbation perturbation = video::Perturbation::kNone);

/// Splits what decode() returned for several group_requests() in a row.
std::vector<capture::Stores> split_by_groups(std::vector<video::FrameStore> stores, std::size_t groups);

/// Per input group, where its pictures lie in frames of this video: what capture::ModelSet::views wants.
std::vector<video::AffineMap> views_of(const capture::ModelSet& set, const video::VideoInfo& video);

/// How the heads of a workspace are read on a video of this size.
std::vector<verify::Head> heads_of(const Workspace& work, const video::VideoInfo& video);

}  // namespace repsim::pipeline
