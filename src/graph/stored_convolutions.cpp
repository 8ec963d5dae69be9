#include <algorithm>

#include "convolution_nodes.hpp"
#include "graph_access.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Index of the parameter that an input of a node is; -1: it is none.
int parameter_of(const tj::Value* value) {
  if (value->node()->kind() != c10::prim::Param || value->owningGraph()->block() != value->node()->owningBlock())
    return -1;
  return static_cast<int>(value->offset()) - 1;  // the image comes first
}

bool is_plain_weight(const Prepared& model, int parameter) {
  const c10::IValue& value = model.parameters[parameter];
  if (!value.isTensor()) return false;
  const at::Tensor& tensor = value.toTensor();
  return tensor.scalar_type() == at::kFloat && tensor.layout() == at::kStrided && tensor.dim() == 4;
}

/// Whether no other parameter of the model has the same values: equal ones lie in one memory.
bool is_unique(const Program& program, int parameter) {
  const std::string& content = program.parameters[parameter].content;
  return std::count_if(program.parameters.begin(), program.parameters.end(),
                       [&](const Parameter& one) { return one.content == content; }) == 1;
}

}  // namespace

std::int64_t StoredConvolution::taps() const {
  return geometry.weight_shape[1] * geometry.weight_shape[2] * geometry.weight_shape[3];
}

std::vector<StoredConvolution> stored_convolutions(const Prepared& model) {
  std::vector<StoredConvolution> result;
  const std::vector<tj::Node*> nodes = top_nodes(*model.graph);
  const NodePositions positions = node_positions(nodes);
  const std::vector<OpIndex> ops = ops_of_nodes(nodes);
  const std::vector<bool> live = live_ops(model.program, {});
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const tj::Node& node = *nodes[i];
    if (!is_convolution(node) || groups_of(node) == 0 || !live[ops[i]]) continue;
    StoredConvolution one;
    one.parameter = parameter_of(node.input(1));
    if (one.parameter < 0 || !is_plain_weight(model, one.parameter)) continue;
    one.node = static_cast<int>(i);
    one.op = ops[i];
    const tj::Value* read = node.input(0);
    const auto producer = positions.find(read->node());
    if (producer != positions.end()) {
      one.input = {producer->second, static_cast<int>(read->offset())};
    } else if (parameter_of(read) >= 0) {
      continue;  // of a stored tensor: no frame changes it
    }
    one.geometry = convolution_geometry(model, one.node);
    one.groups = groups_of(node);
    one.sole_reader = node.input(1)->uses().size() == 1 && is_unique(model.program, one.parameter);
    result.push_back(std::move(one));
  }
  return result;
}

}  // namespace repsim::graph
