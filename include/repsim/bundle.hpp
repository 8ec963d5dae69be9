#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"

/// Writing the multi-head TorchScript file.
namespace repsim::bundle {

/// Names of models as attribute and method names. A name that is no identifier is mapped: "night-cam" becomes
/// "night_cam", "3d" becomes "_3d".
/// @throws Error{kInput} when two names map to the same identifier (remedy: --model NAME=PATH)
[[nodiscard]] std::vector<std::string> identifiers(const std::vector<std::string>& names);

/// A method of a bundle that runs the models of one stream on one frame.
struct StreamMethod {
  std::string stream;  ///< its name
  std::string method;  ///< "forward_<identifier of the stream>"
  std::vector<ModelIndex> models;
};

/// @param models  per stream, in plan order
/// @param identifiers  of the models: a method has none of their names
/// @return per stream; methods are unique
[[nodiscard]] std::vector<StreamMethod> stream_methods(const std::vector<std::string>& streams,
                                                       const std::vector<std::vector<ModelIndex>>& models,
                                                       const std::vector<std::string>& identifiers);

/// A bundle, and what it holds.
struct Written {
  std::string bytes;                    ///< the archive
  std::int64_t elements = 0;            ///< of all parameters and buffers in it
  std::int64_t parameter_bytes = 0;     ///< of their storages, each once
  std::int64_t deduplicated = 0;        ///< copies of the models' tensors that exact sharing leaves out
  std::int64_t bytes_deduplicated = 0;  ///< of these copies
};

/// Makes the multi-head TorchScript file (docs/internals/contracts.md, the bundle). forward takes one argument per
/// input group and returns a tuple with each model's own structure, in plan order. run_<identifier> computes one model
/// alone, from the arguments of the groups that it and its donors need. The file has plain operators only, except for
/// those that models bring from other libraries. Equal arguments give equal bytes.
///
/// Models on several streams have no frame in common. The file then has, in place of forward, a method per stream that
/// returns a tuple with the results of the stream's models, from the arguments of the groups that they and their donors
/// need. The layers of a donor of another stream are computed in each method that needs them.
/// @param loaded  the models as loaded, in plan order; opaque models are copied from here
/// @param manifest  content of repsim.json inside the archive
/// @param streams  empty: all models are on one stream
[[nodiscard]] Written write(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
                            std::span<const graph::Splice> splices, const std::string& manifest,
                            std::span<const StreamMethod> streams = {});

/// The input groups whose arguments a method of a bundle takes, in order; -1 for an argument that is none.
[[nodiscard]] std::vector<int> groups_of(const torch::jit::Module& bundle, const std::string& method);

}  // namespace repsim::bundle
