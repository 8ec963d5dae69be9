#include "repsim/pipeline.hpp"
#include "repsim/session.hpp"

namespace repsim::pipeline {

report::Inspection inspect(const model::ModelSpec& spec, const std::vector<std::string>& libraries) {
  const session::Runtime runtime({});
  session::check_files({libraries, "", {}});
  SilentProgress silent;
  const session::Session session(runtime, {{{spec, spec.input ? "flags" : ""}}, {}, {}, {}}, silent);
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
