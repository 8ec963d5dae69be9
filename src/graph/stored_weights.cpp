#include <algorithm>
#include <functional>
#include <numeric>

#include "convolution_nodes.hpp"
#include "graph_access.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

constexpr std::int64_t kFloatBytes = 4;

/// Index of the parameter that an input of a node is; -1: it is none.
int parameter_of(const tj::Value* value) {
  if (value->node()->kind() != c10::prim::Param || value->owningGraph()->block() != value->node()->owningBlock())
    return -1;
  return static_cast<int>(value->offset()) - 1;  // the image comes first
}

/// The dimensions of a weight that a node reads and another model may have, too; 0: it reads none.
std::size_t weight_dimensions(const tj::Node& node) {
  if (node.kind() == c10::aten::linear) return 2;
  return is_convolution(node) && groups_of(node) > 0 ? 4 : 0;
}

bool is_plain_weight(const Prepared& model, int parameter, std::size_t dimensions) {
  const c10::IValue& value = model.parameters[parameter];
  if (!value.isTensor()) return false;
  const at::Tensor& tensor = value.toTensor();
  return tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided && tensor.sizes().size() == dimensions;
}

ConvGeometry linear_geometry(const Prepared& model, OpIndex op, const std::vector<std::int64_t>& shape) {
  ConvGeometry geometry;
  geometry.weight_shape = shape;
  geometry.output_places = model.program.ops[op].output_bytes / kFloatBytes / shape.at(0);
  return geometry;
}

/// Whether no other parameter of the model has the same values: equal ones lie in one memory.
bool is_unique(const Program& program, int parameter) {
  const std::string& content = program.parameters[parameter].content;
  return std::count_if(program.parameters.begin(), program.parameters.end(),
                       [&](const Parameter& one) { return one.content == content; }) == 1;
}

}  // namespace

std::int64_t StoredWeight::taps() const {
  return std::accumulate(geometry.weight_shape.begin() + 1, geometry.weight_shape.end(), std::int64_t{1},
                         std::multiplies<>());
}

std::vector<StoredWeight> stored_weights(const Prepared& model) {
  std::vector<StoredWeight> result;
  const std::vector<tj::Node*> nodes = top_nodes(*model.graph);
  const NodePositions positions = node_positions(nodes);
  const std::vector<OpIndex> ops = ops_of_nodes(nodes);
  const std::vector<bool> live = live_ops(model.program, {});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const tj::Node& node = *nodes[i];
    const std::size_t dimensions = weight_dimensions(node);
    if (dimensions == 0 || !live[ops[i]]) continue;
    StoredWeight one;
    one.parameter = parameter_of(node.input(1));
    if (one.parameter < 0 || !is_plain_weight(model, one.parameter, dimensions)) continue;
    one.is_linear = node.kind() == c10::aten::linear;
    one.node = static_cast<int>(i);
    one.op = ops[i];
    const tj::Value* read = node.input(0);
    const auto producer = positions.find(read->node());
    if (producer != positions.end()) {
      one.input = {producer->second, static_cast<int>(read->offset())};
    } else if (parameter_of(read) >= 0) {
      continue;  // of a stored tensor: no frame changes it
    }
    one.geometry = one.is_linear ? linear_geometry(model, one.op, model.program.parameters[one.parameter].shape)
                                 : convolution_geometry(model, one.node);
    one.groups = one.is_linear ? 1 : groups_of(node);
    one.sole_reader = node.input(1)->uses().size() == 1 && is_unique(model.program, one.parameter);
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace repsim::graph
