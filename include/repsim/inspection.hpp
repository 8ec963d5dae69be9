#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/program.hpp"

namespace repsim::report {

/// What `repsim inspect` found out about one model, as plain data.
struct Inspection {
  std::string name, path, sha256;
  std::int64_t file_bytes = 0;
  std::int64_t parameters = 0;       ///< elements of all parameters and buffers
  std::int64_t parameter_bytes = 0;  ///< of them
  /// False: nobody states the size of the input. Then nothing that depends on it is known: input, shapes, FLOPs, peak
  /// of activations, the sizes in output_structure.
  bool size_is_known = true;
  model::InputSpec input;
  std::string input_source;  ///< "flags", "config" or "archive: RECORD"
  bool batchable = false;    ///< takes any batch size; else one frame at a time
  model::OutputSpec output;
  std::string output_structure;  ///< "tuple(Float[1,484,4], Float[1,484])": nesting and shapes of what forward returned
  std::string format_reason;     ///< how the output format was recognised
  std::vector<model::OperatorLibrary> operator_libraries;  ///< that the model needs beside Torch
  bool rewritable = true;     ///< false: opaque, and nothing that depends on its graph is known
  std::string opaque_reason;  ///< empty where rewritable
  graph::Program program;     ///< of a model that is not rewritable: empty
};

[[nodiscard]] Json to_json(const Inspection& inspection);
/// For a terminal: what the model takes, returns and needs, then a table of its layers. Final newline.
[[nodiscard]] std::string to_text(const Inspection& inspection);

/// [{"library": FILE, "operators": [...]}, ...]: as `repsim inspect --json` and a bundle's manifest list them.
[[nodiscard]] Json to_json(const std::vector<model::OperatorLibrary>& libraries);

}  // namespace repsim::report
