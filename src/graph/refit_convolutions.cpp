#include <algorithm>
#include <set>

#include "convolution_nodes.hpp"
#include "graph_access.hpp"
#include "op_table.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

constexpr std::int64_t kFloatBytes = 4;  // maps are float32

/// Whether a node is a dense, not transposed 2-d convolution with constant geometry.
bool is_dense(const tj::Node& node) { return is_convolution(node) && groups_of(node) == 1; }

/// Whether a node treats every channel alike and keeps their order, so that it works with any number of channels.
bool is_channelwise(const tj::Node& node) {
  static const std::set<std::string> kNames = {"aten::avg_pool2d",
                                               "aten::max_pool2d",
                                               "aten::adaptive_avg_pool2d",
                                               "aten::adaptive_max_pool2d",
                                               "aten::relu",
                                               "aten::relu6",
                                               "aten::leaky_relu",
                                               "aten::silu",
                                               "aten::hardswish",
                                               "aten::hardtanh",
                                               "aten::gelu",
                                               "aten::upsample_nearest2d",
                                               "aten::contiguous",
                                               "aten::upsample_bilinear2d"};
  if (kNames.count(node.kind().toQualString()) > 0) return true;
  if (node.kind() == c10::prim::ListConstruct) {
    return std::all_of(node.output()->uses().begin(), node.output()->uses().end(),
                       [](const tj::Use& use) { return use.user->kind() == c10::aten::cat; });
  }
  if (node.kind() == c10::aten::cat) {
    const auto dimension = tj::toIValue(node.input(1));
    return dimension && dimension->isInt() && (dimension->toInt() == 1 || dimension->toInt() == -3);
  }
  return false;
}

/// Nodes of the top block that are still computed when the layers `cut` come from elsewhere.
std::set<const tj::Node*> live_nodes(const Prepared& model, const std::vector<int>& cut,
                                     const std::vector<tj::Node*>& nodes) {
  const std::vector<bool> live = live_ops(model.program, cut);
  std::set<const tj::Node*> result;
  const std::vector<OpIndex> ops = ops_of_nodes(nodes);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (ops[i] >= 0 && live[ops[i]]) result.insert(nodes[i]);
  }
  return result;
}

/// Collects the convolutions behind `value`; false when a path that stays alive meets anything else.
bool collect(const tj::Value* value, const std::set<const tj::Node*>& live, std::set<const tj::Node*>& convolutions) {
  bool any = false;
  for (const tj::Use& use : value->uses()) {
    const tj::Node* user = use.user;
    // Nodes between this layer and another replaced one are removed with the cut.
    if (user->kind() != c10::prim::Return && user->owningBlock() == value->owningGraph()->block() &&
        live.count(user) == 0)
      continue;
    any = true;
    if (user->kind() == c10::prim::Return) return false;
    if (is_dense(*user) && use.offset == 0) {
      const tj::Value* weight = user->input(1);
      const bool own_weight = weight->node()->kind() == c10::prim::Param && weight->uses().size() == 1;
      const bool bias = user->input(2)->node()->kind() != c10::prim::Param || user->input(2)->uses().size() == 1;
      if (!own_weight || !bias) return false;
      convolutions.insert(user);
    } else if (use.offset != 0 && user->kind() != c10::prim::ListConstruct) {
      return false;
    } else if (!is_channelwise(*user) || !collect(user->output(), live, convolutions)) {
      return false;
    }
  }
  return any;
}

}  // namespace

std::vector<int> refit_convolutions(const Prepared& model, const std::vector<int>& cut) {
  const std::vector<tj::Node*> nodes = top_nodes(*model.graph);
  const std::set<const tj::Node*> live = live_nodes(model, cut, nodes);
  std::set<const tj::Node*> convolutions;
  for (const LayerIndex layer : cut) {
    const tj::Value* value = value_at(nodes, place_of(model.program.layers.at(layer)));
    if (!collect(value, live, convolutions)) return {};
  }
  std::vector<int> positions;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (convolutions.count(nodes[i]) > 0) positions.push_back(static_cast<int>(i));
  }
  return positions;
}

ConvGeometry convolution_geometry(const Prepared& model, int node) {
  const std::vector<tj::Node*> nodes = top_nodes(*model.graph);
  const tj::Node& convolution = *nodes.at(node);
  ConvGeometry geometry;
  geometry.stride = pair_of(convolution, 3);
  geometry.padding = pair_of(convolution, 4);
  geometry.dilation = pair_of(convolution, 5);
  for (std::size_t i = 0; i < model.program.parameters.size(); ++i) {
    const torch::jit::Value* input = model.graph->inputs().at(i + 1);
    if (input == convolution.input(2)) geometry.bias_parameter = static_cast<int>(i);
    if (input != convolution.input(1)) continue;
    geometry.weight_parameter = static_cast<int>(i);
    geometry.weight_shape = model.program.parameters[i].shape;
  }
  geometry.has_bias = geometry.bias_parameter >= 0;
  if (geometry.weight_shape.empty()) return geometry;
  const Op& op = model.program.ops.at(ops_of_nodes(nodes)[node]);
  geometry.output_places = op.output_bytes / kFloatBytes / geometry.weight_shape[0];
  const LayerIndex layer = op.layer;
  if (layer < 0) return geometry;
  const auto& shape = model.program.layers[layer].shape;
  if (shape.size() == 3 && shape[1] * shape[2] == geometry.output_places) geometry.layer = layer;
  return geometry;
}

}  // namespace repsim::graph
