#include "normalisation.hpp"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <set>
#include <utility>

#include "graph_access.hpp"

namespace repsim::graph {

namespace tj = torch::jit;

bool fold_normalisation(const tj::Node& norm, const std::function<at::Tensor(const tj::Value*)>& parameter,
                        at::Tensor& weight, at::Tensor& bias) {
  const auto is_none = [](const tj::Value* value) {
    const auto constant = tj::toIValue(value);
    return constant && constant->isNone();
  };
  const auto training = tj::toIValue(norm.input(5)), epsilon = tj::toIValue(norm.input(7));
  const at::Tensor mean = parameter(norm.input(3)), variance = parameter(norm.input(4));
  const at::Tensor scale = parameter(norm.input(1)), shift = parameter(norm.input(2));
  if (!training || !training->isBool() || training->toBool() || !epsilon || !epsilon->isDouble() || !mean.defined() ||
      !variance.defined())
    return false;
  if ((!scale.defined() && !is_none(norm.input(1))) || (!shift.defined() && !is_none(norm.input(2)))) return false;
  at::Tensor factor = (variance.to(at::kDouble) + epsilon->toDouble()).rsqrt();
  if (scale.defined()) factor = factor * scale.to(at::kDouble);
  at::Tensor offset = -mean.to(at::kDouble);
  if (bias.defined()) offset = offset + bias;
  offset = offset * factor;
  if (shift.defined()) offset = offset + shift.to(at::kDouble);
  std::vector<std::int64_t> per_channel(static_cast<std::size_t>(weight.dim()), 1);
  per_channel[0] = -1;
  weight = weight * factor.view(per_channel);
  bias = std::move(offset);
  return true;
}

std::optional<Normalisation> normalisation_behind(const Prepared& model, int node) {
  const std::vector<tj::Node*> nodes = top_nodes(*model.graph);
  const tj::Value* value = nodes.at(node)->output();
  if (value->uses().size() != 1 || value->uses()[0].offset != 0) return std::nullopt;
  tj::Node* norm = value->uses()[0].user;
  const auto found = std::find(nodes.begin(), nodes.end(), norm);
  if (norm->kind() != c10::aten::batch_norm || found == nodes.end()) return std::nullopt;
  std::set<int> read;
  const auto parameter = [&](const tj::Value* input) {
    for (std::size_t i = 0; i < model.parameters.size(); ++i) {
      if (model.graph->inputs()[i + 1] != input || !model.parameters[i].isTensor()) continue;
      read.insert(static_cast<int>(i));
      const at::Tensor tensor = model.parameters[i].toTensor();
      return tensor.scalar_type() == at::kFloat ? tensor : at::Tensor();
    }
    return at::Tensor();
  };
  Normalisation result;
  const std::int64_t channels = convolution_geometry(model, node).weight_shape.at(0);
  result.scale = at::ones({channels}, at::kDouble);
  result.shift = at::zeros({channels}, at::kDouble);
  if (!fold_normalisation(*norm, parameter, result.scale, result.shift)) return std::nullopt;
  result.node = static_cast<int>(found - nodes.begin());
  result.op = ops_of_nodes(nodes)[result.node];
  for (const int one : read) {
    const auto reads = [&](const Op& op) {
      return std::find(op.parameters.begin(), op.parameters.end(), one) != op.parameters.end();
    };
    if (std::count_if(model.program.ops.begin(), model.program.ops.end(), reads) == 1) result.parameters.push_back(one);
  }
  return result;
}

}  // namespace repsim::graph
