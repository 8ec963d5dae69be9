#include <algorithm>
#include <iomanip>
#include <map>
#include <sstream>

#include "manifest.hpp"
#include "repsim/session.hpp"

namespace repsim::pipeline {
namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

/// What a layer's block computes, in order: "aten::conv2d", "aten::silu".
Json ops_of(const graph::Program& program, std::size_t layer) {
  Json ops = Json::array();
  for (const graph::Op& op : program.ops) {
    if (op.layer == static_cast<int>(layer)) ops.push_back(op.kind);
  }
  return ops;
}

Json layers_json(const graph::Program& program) {
  Json layers = Json::array();
  for (const graph::Layer& layer : program.layers) {
    Json inputs = Json::array();
    for (const int input : layer.inputs) inputs.push_back(program.layers[input].name);
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"ops", ops_of(program, layers.size())},
                      {"shape", layer.shape},
                      {"dtype", layer.dtype},
                      {"parameters", layer.parameters},
                      {"bytes", layer.bytes},
                      {"flops", layer.flops},
                      {"inputs", inputs}});
  }
  return layers;
}

std::string layers_text(const graph::Program& program) {
  std::size_t width = 4;
  for (const graph::Layer& layer : program.layers) width = std::max(width, layer.name.size());
  std::ostringstream text;
  text << std::left << std::setw(static_cast<int>(width)) << "name" << "  " << std::setw(12) << "kind" << std::setw(14)
       << "shape" << std::right << std::setw(11) << "parameters" << std::setw(12) << "MFLOPs" << "\n";
  for (const graph::Layer& layer : program.layers) {
    text << std::left << std::setw(static_cast<int>(width)) << layer.name << "  " << std::setw(12) << layer.kind
         << std::setw(14) << shape_text(layer.shape) << std::right << std::setw(11) << layer.parameters << std::setw(12)
         << std::fixed << std::setprecision(2) << static_cast<double>(layer.flops) / 1e6 << "\n";
  }
  return text.str();
}

}  // namespace

Inspection inspect(const model::ModelSpec& spec, const std::vector<std::string>& libraries) {
  const session::Runtime runtime({});
  session::check_files({libraries, "", {}});
  SilentProgress silent;
  const session::Session session(runtime, {{{spec, spec.input ? "flags" : ""}}, {}, {}, {}}, silent);
  const session::Model& model = session.models.front();
  const model::Loaded& loaded = model.loaded;
  const model::Recognised& output = model.output;
  const graph::Prepared& prepared = model.prepared;
  const graph::Program& program = prepared.program;

  Inspection result;
  Json& json = result.json;
  json["name"] = loaded.spec.name;
  json["path"] = loaded.spec.path;
  json["sha256"] = loaded.sha256;
  json["file_bytes"] = loaded.file_bytes;
  json["parameters"] = prepared.model_elements;
  json["parameter_bytes"] = prepared.model_bytes;
  // Not known of a model that is opaque.
  const bool known = prepared.rewritable;
  json["unused_parameter_bytes"] = known ? Json(program.unused_parameter_bytes) : Json();
  json["flops"] = known ? Json(graph::total_flops(program)) : Json();
  json["peak_activation_bytes"] = known ? Json(graph::peak_activation_bytes(program)) : Json();
  json["input"] = report::to_json(*loaded.spec.input);
  json["input_source"] = loaded.input_source;
  json["batchable"] = prepared.batchable;
  json["output"] = report::to_json(output.spec);
  json["output_structure"] = model.output_structure;
  json["format_reason"] = output.reason;
  json["operator_libraries"] = libraries_json(loaded.operator_libraries);
  json["transparent"] = prepared.rewritable;
  json["opaque_reason"] = prepared.opaque_reason;
  json["layers"] = layers_json(program);
  json["not_layers"] = Json::array();
  for (const graph::RejectedLayer& other : program.others)
    json["not_layers"].push_back({{"name", other.name}, {"reason", other.reason}});

  const model::InputSpec& input = *loaded.spec.input;
  std::ostringstream text;
  text << loaded.spec.name << "  " << loaded.spec.path << "\n"
       << "  file        " << report::human_bytes(loaded.file_bytes) << ", sha256 " << loaded.sha256.substr(0, 16)
       << "...\n"
       << "  parameters  " << prepared.model_elements << " (" << report::human_bytes(prepared.model_bytes);
  if (prepared.rewritable) {
    text << "; " << report::human_bytes(program.unused_parameter_bytes) << " of it never read by forward)\n"
         << "  work        " << std::fixed << std::setprecision(1)
         << static_cast<double>(graph::total_flops(program)) / 1e6
         << " MFLOPs per frame (a multiply-add counts as 2)\n";
  } else {
    text << ")\n";  // what a model that is opaque reads and computes is not known
  }
  text << "  input       " << input.width << "x" << input.height << " " << model::to_string(input.color) << ", "
       << model::to_string(input.resize) << ", " << model::to_string(input.kind) << " "
       << model::to_string(input.layout) << " " << model::to_string(input.dtype) << " (from " << loaded.input_source
       << "), " << (prepared.batchable ? "any batch size" : "one frame at a time") << "\n"
       << "  output      " << model.output_structure << "\n"
       << "  format      " << model::to_string(output.spec.format) << ": " << output.reason << "\n";
  for (const model::OperatorLibrary& library : loaded.operator_libraries) {
    text << "  needs       " << library.file << ":";
    for (const std::string& name : library.operators) text << " " << name;
    text << "\n";
  }
  if (!prepared.rewritable) {
    text << "  layers      none: the model is carried whole, because it " << prepared.opaque_reason << "\n";
  } else {
    text << "\n"
         << program.layers.size() << " layers in execution order (shape per frame):\n\n"
         << layers_text(program);
    if (!program.others.empty()) {
      text << "\nNo layers, and why:\n";
      std::map<std::pair<std::string, std::string>, int> counts;  // one line for equal ones, in the order of the names
      for (const graph::RejectedLayer& other : program.others) ++counts[{other.name, other.reason}];
      for (const auto& [other, count] : counts) {
        text << "  " << other.first << ": " << other.second;
        if (count > 1) text << " (" << count << " times)";
        text << "\n";
      }
    }
  }
  result.text = text.str();
  return result;
}

}  // namespace repsim::pipeline
