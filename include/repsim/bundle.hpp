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
/// @param loaded  the models as loaded, in plan order; opaque models are copied from here
/// @param manifest  content of repsim.json inside the archive
[[nodiscard]] Written write(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
                            std::span<const graph::Splice> splices, const std::string& manifest);

}  // namespace repsim::bundle
