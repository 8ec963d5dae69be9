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

/// Names that become attribute and method names: what is no identifier is mapped ("night-cam" -> "night_cam", "3d" ->
/// "_3d").
/// @throws Error{kInput} when two names map to the same identifier (remedy: --model NAME=PATH)
[[nodiscard]] std::vector<std::string> identifiers(const std::vector<std::string>& names);

struct Written {
  std::string bytes;                 ///< of the archive
  std::int64_t elements = 0;         ///< of all parameters and buffers in it
  std::int64_t parameter_bytes = 0;  ///< of their storages, each once
  std::int64_t deduplicated = 0;     ///< tensors of the models that are stored once though they had several copies
  std::int64_t bytes_deduplicated = 0;
};

/// Builds the bundle: forward takes one argument per input group and returns a tuple with each model's own structure,
/// in plan order; run_<identifier> computes one model alone, from the groups that it and its donors need. Plain
/// operators only, but for those that the models bring from other libraries. The same arguments give the same bytes.
/// @param loaded   the models as loaded, for those that are opaque
/// @param manifest content of repsim.json inside the archive
[[nodiscard]] Written write(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
                            std::span<const graph::Splice> splices, const std::string& manifest);

}  // namespace repsim::bundle
