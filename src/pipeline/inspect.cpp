#include "quiet_progress.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/session.hpp"
#include "repsim/stand_in_input.hpp"

namespace repsim::pipeline {

report::Inspection inspect(const model::ModelSpec& spec, const std::vector<std::string>& libraries,
                           const Progress& asked) {
  const session::Runtime runtime({});
  session::check_files({libraries, {}, {}});
  QuietProgress silent(asked);
  // A model of unknown size still has layers: it is opened at a size at which it runs, and no size is shown.
  const std::optional<model::InputSpec> stand_in = model::stand_in_input(spec);
  session::ModelSource source{spec, spec.input ? "flags" : ""};
  if (stand_in) source.spec.input = stand_in;
  const session::Session session(runtime, {{source}, {}, {}, {}}, silent);
  const session::Model& model = session.models.front();
  const model::Loaded& loaded = model.loaded;
  const graph::Prepared& prepared = model.prepared;

  report::Inspection found;
  found.name = loaded.spec.name;
  found.path = loaded.spec.path;
  found.sha256 = loaded.sha256;
  found.file_bytes = loaded.file_bytes;
  found.parameters = prepared.model_elements;
  found.parameter_bytes = prepared.model_bytes;
  found.size_is_known = !stand_in;
  found.input = *loaded.spec.input;
  found.input_source = loaded.input_source;
  found.batchable = prepared.batchable;
  found.output = model.output.spec;
  found.output_structure = model.output_structure;
  found.format_reason = model.output.reason;
  found.operator_libraries = loaded.operator_libraries;
  found.rewritable = prepared.rewritable;
  found.opaque_reason = prepared.opaque_reason;
  found.program = prepared.program;
  return found;
}

}  // namespace repsim::pipeline
