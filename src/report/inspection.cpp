#include "repsim/inspection.hpp"

#include <algorithm>
#include <map>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

constexpr double kMillion = 1e6;

/// "16x60x80".
std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::vector<std::string> sizes;
  for (const std::int64_t size : shape) sizes.push_back(std::to_string(size));
  return join(sizes, "x");
}

/// Operations of a layer, in order: "aten::conv2d", "aten::silu".
Json ops_json(const graph::Program& program, std::size_t layer) {
  Json ops = Json::array();
  for (const graph::Op& op : program.ops) {
    if (op.layer == static_cast<LayerIndex>(layer)) ops.push_back(op.kind);
  }
  return ops;
}

Json layers_json(const graph::Program& program, bool size_is_known) {
  Json layers = Json::array();
  for (const graph::Layer& layer : program.layers) {
    Json inputs = Json::array();
    for (const int input : layer.inputs) inputs.push_back(program.layers[input].name);
    layers.push_back({{"name", layer.name},
                      {"kind", layer.kind},
                      {"ops", ops_json(program, layers.size())},
                      {"shape", size_is_known ? Json(layer.shape) : Json()},
                      {"dtype", layer.dtype},
                      {"parameters", layer.parameters},
                      {"bytes", layer.bytes},
                      {"flops", size_is_known ? Json(layer.flops) : Json()},
                      {"inputs", inputs}});
  }
  return layers;
}

std::string padded_right(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, text.size()), ' ');
}

std::string padded_left(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string layers_text(const graph::Program& program, bool size_is_known) {
  std::size_t width = 4;
  for (const graph::Layer& layer : program.layers) width = std::max(width, layer.name.size());
  const auto line = [&](const std::string& name, const std::string& kind, const std::string& shape,
                        const std::string& parameters, const std::string& flops) {
    return padded_right(name, width) + "  " + padded_right(kind, 12) + padded_right(shape, 14) +
           padded_left(parameters, 11) + padded_left(flops, 12) + "\n";
  };
  std::string text = line("name", "kind", "shape", "parameters", "MFLOPs");
  for (const graph::Layer& layer : program.layers) {
    text +=
        line(layer.name, layer.kind, size_is_known ? shape_text(layer.shape) : "?", std::to_string(layer.parameters),
             size_is_known ? fixed(static_cast<double>(layer.flops) / kMillion, 2) : "?");
  }
  return text;
}

/// One line per name and reason, sorted, with a count where there are several.
std::string rejected_text(const std::vector<graph::RejectedLayer>& rejected) {
  std::map<std::pair<std::string, std::string>, int> counts;
  for (const graph::RejectedLayer& one : rejected) ++counts[{one.name, one.reason}];
  std::string text;
  for (const auto& [one, count] : counts) {
    text += "  " + one.first + ": " + one.second;
    if (count > 1) text += " (" + std::to_string(count) + " times)";
    text += "\n";
  }
  return text;
}

std::string file_text(const Inspection& model) {
  const std::string sizes = std::to_string(model.parameters) + " (" + human_bytes(model.parameter_bytes);
  const std::string text = printable(model.name + "  " + model.path) + "\n  file        " +
                           human_bytes(model.file_bytes) + ", sha256 " + model.sha256.substr(0, 16) +
                           "...\n  parameters  " + sizes;
  if (!model.rewritable) return text + ")\n";
  std::string read =
      text + "; " + human_bytes(model.program.unused_parameter_bytes) + " of it never read by forward)\n";
  if (!model.size_is_known) return read;
  return read + "  work        " + fixed(static_cast<double>(graph::total_flops(model.program)) / kMillion, 1) +
         " MFLOPs per frame (a multiply-add counts as 2)\n";
}

std::string libraries_text(const Inspection& model) {
  std::string text;
  for (const model::OperatorLibrary& library : model.operator_libraries) {
    text += "  needs       " + library.file + ":";
    for (const std::string& name : library.operators) text += " " + name;
    text += "\n";
  }
  return text;
}

std::string interface_text(const Inspection& model) {
  const model::InputSpec& input = model.input;
  if (!model.size_is_known) {
    return "  input       of any size: --input " + model.name + "=WIDTHxHEIGHT adds shapes, FLOPs and outputs\n" +
           libraries_text(model);
  }
  std::string text = "  input       " + std::to_string(input.width) + "x" + std::to_string(input.height) + " " +
                     to_string(input.color) + ", " + to_string(input.resize) + ", " + to_string(input.kind) + " " +
                     to_string(input.layout) + " " + to_string(input.dtype) + " (from " + model.input_source + "), " +
                     (model.batchable ? "any batch size" : "one frame at a time") + "\n  output      " +
                     model.output_structure + "\n  format      " + to_string(model.output.format) + ": " +
                     model.format_reason + "\n";
  return text + libraries_text(model);
}

}  // namespace

Json to_json(const std::vector<model::OperatorLibrary>& libraries) {
  Json list = Json::array();
  for (const model::OperatorLibrary& library : libraries)
    list.push_back({{"library", library.file}, {"operators", library.operators}});
  return list;
}

Json to_json(const Inspection& model) {
  const auto if_known = [&](std::int64_t value) { return model.rewritable ? Json(value) : Json(); };
  Json json;
  json["name"] = model.name;
  json["path"] = model.path;
  json["sha256"] = model.sha256;
  json["file_bytes"] = model.file_bytes;
  json["parameters"] = model.parameters;
  json["parameter_bytes"] = model.parameter_bytes;
  json["unused_parameter_bytes"] = if_known(model.program.unused_parameter_bytes);
  json["flops"] = model.size_is_known ? if_known(graph::total_flops(model.program)) : Json();
  json["peak_activation_bytes"] = model.size_is_known ? if_known(graph::peak_activation_bytes(model.program)) : Json();
  json["input"] = model.size_is_known ? to_json(model.input) : Json();
  json["input_source"] = model.input_source;
  json["batchable"] = model.batchable;
  json["output"] = to_json(model.output);
  json["output_structure"] = model.size_is_known ? Json(model.output_structure) : Json();
  json["format_reason"] = model.size_is_known ? Json(model.format_reason) : Json();
  json["operator_libraries"] = to_json(model.operator_libraries);
  json["transparent"] = model.rewritable;
  json["opaque_reason"] = model.opaque_reason;
  json["layers"] = layers_json(model.program, model.size_is_known);
  json["not_layers"] = Json::array();
  for (const graph::RejectedLayer& one : model.program.rejected_layers)
    json["not_layers"].push_back({{"name", one.name}, {"reason", one.reason}});
  return json;
}

std::string to_text(const Inspection& model) {
  std::string text = file_text(model) + interface_text(model);
  if (!model.rewritable)
    return text + "  layers      none: the model is opaque, because it " + model.opaque_reason + "\n";
  text += "\n" + std::to_string(model.program.layers.size()) + " layers in execution order (shape per frame):\n\n" +
          layers_text(model.program, model.size_is_known);
  if (!model.program.rejected_layers.empty())
    text += "\nNo layers, and why:\n" + rejected_text(model.program.rejected_layers);
  return text;
}

}  // namespace repsim::report
