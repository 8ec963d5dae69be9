#include "repsim/optimised.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "graph_access.hpp"
#include "normalisation.hpp"
#include "repsim/base/log.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// What a fused convolution does to its result, in the words of torch's oneDNN operators.
struct Activation {
  std::string name = "none";
  std::vector<c10::IValue> scalars;
  std::string algorithm;
};

std::optional<double> number(const tj::Value* value) {
  const auto constant = tj::toIValue(value);
  if (!constant || !constant->isScalar() || constant->isComplexDouble()) return std::nullopt;
  return constant->toScalar().toDouble();
}

std::optional<Activation> activation_of(const tj::Node& node) {
  const std::string kind = node.kind().toUnqualString();
  const std::string name = kind.ends_with('_') ? kind.substr(0, kind.size() - 1) : kind;
  if (!node.kind().is_aten() || node.outputs().size() != 1) return std::nullopt;
  if (name == "relu" || name == "hardswish" || name == "hardsigmoid" || name == "sigmoid" || name == "tanh")
    return Activation{name, {}, ""};
  if (name == "silu") return Activation{"swish", {}, ""};
  if (name == "relu6") return Activation{"hardtanh", {0.0, 6.0}, ""};
  if (name == "hardtanh" || name == "clamp") {
    const auto low = number(node.input(1)), high = number(node.input(2));
    if (!low || !high) return std::nullopt;
    return Activation{"hardtanh", {*low, *high}, ""};
  }
  if (name == "leaky_relu") {
    const auto slope = number(node.input(1));
    if (!slope) return std::nullopt;
    return Activation{"leaky_relu", {*slope}, ""};
  }
  return std::nullopt;
}

class Optimiser {
 public:
  explicit Optimiser(const Prepared& model) : model_(model) {
    result_.graph = model.graph->copy();
    result_.parameters = model.parameters;
    const std::vector<tj::Node*> nodes = top_nodes(*result_.graph);
    const std::size_t images = result_.graph->inputs().size() - model.parameters.size();
    for (std::size_t i = 0; i < model.parameters.size(); ++i) parameter_of_[result_.graph->inputs()[images + i]] = i;
    for (std::size_t i = 0; i < model.program.layers.size(); ++i) {
      layers_.push_back(value_at(nodes, place_of(model.program.layers[i])));
      layers_of_[layers_.back()].push_back(i);
    }
  }

  Optimised run() {
    for (tj::Node* node : top_nodes(*result_.graph)) {
      if (node->kind() == c10::aten::conv2d || node->kind() == c10::aten::_convolution) chains_.push_back(node);
      if (node->kind() == c10::aten::view) loosen_view(node);
    }
    for (tj::Node* node : chains_) pack(node);
    std::unordered_map<const tj::Node*, int> position;
    for (tj::Node* node : result_.graph->nodes()) position.emplace(node, static_cast<int>(position.size()));
    for (tj::Value* value : layers_)
      result_.places.push_back({position.at(value->node()), static_cast<int>(value->offset())});
    result_.graph->lint();
    return std::move(result_);
  }

 private:
  /// A view of maps with their channels last may need a copy where one of plain maps did not.
  void loosen_view(tj::Node* node) {
    const c10::FunctionSchema* schema = node->maybeSchema();
    if (schema == nullptr || schema->overload_name() != "") return;  // view(dtype)
    tj::WithInsertPoint guard(node);
    tj::Value* reshaped = result_.graph->insert(c10::aten::reshape, {node->input(0), node->input(1)});
    replace(node->output(), reshaped);
    node->destroy();
  }

  void replace(tj::Value* before, tj::Value* after) {
    after->setType(before->type());
    before->replaceAllUsesWith(after);
    const auto found = layers_of_.find(before);
    if (found == layers_of_.end()) return;
    for (const std::size_t layer : found->second) layers_[layer] = after;
    layers_of_[after] = found->second;
    layers_of_.erase(before);
  }

  /// A float32 parameter of the model; undefined where the value is anything else.
  at::Tensor parameter(const tj::Value* value) const {
    const auto found = parameter_of_.find(value);
    if (found == parameter_of_.end()) return {};
    const c10::IValue& content = model_.parameters[found->second];
    if (!content.isTensor() || content.toTensor().scalar_type() != at::kFloat) return {};
    return content.toTensor();
  }

  static bool is_none(const tj::Value* value) {
    const auto constant = tj::toIValue(value);
    return constant && constant->isNone();
  }

  /// Constant list of two integers of an input; one number stands for both.
  static std::vector<std::int64_t> pair(const tj::Value* value) {
    const auto constant = tj::toIValue(value);
    if (!constant || !constant->isIntList()) return {};
    std::vector<std::int64_t> values = constant->toIntVector();
    if (values.size() == 1) values.push_back(values[0]);
    return values.size() == 2 ? values : std::vector<std::int64_t>{};
  }

  static std::optional<std::int64_t> groups_of(const tj::Node& node) {
    const bool general = node.kind() == c10::aten::_convolution;
    if (general) {
      const auto transposed = tj::toIValue(node.input(6));
      if (!transposed || !transposed->isBool() || transposed->toBool()) return std::nullopt;
    }
    const auto groups = tj::toIValue(node.input(general ? 8 : 6));
    if (!groups || !groups->isInt()) return std::nullopt;
    return groups->toInt();
  }

  /// The only node that reads the value, where nobody looks at the value itself.
  tj::Node* only_user(tj::Value* value) const {
    if (layers_of_.count(value) > 0 || value->uses().size() != 1) return nullptr;
    tj::Node* user = value->uses()[0].user;
    if (value->uses()[0].offset != 0 || user->owningBlock() != result_.graph->block()) return nullptr;
    return user;
  }

  tj::Value* add_parameter(const at::Tensor& tensor) {
    tj::Value* input = result_.graph->addInput()->setType(c10::TensorType::get());
    result_.parameters.emplace_back(tensor);
    return input;
  }

  void pack(tj::Node* convolution) {
    const std::vector<std::int64_t> stride = pair(convolution->input(3)), padding = pair(convolution->input(4)),
                                    dilation = pair(convolution->input(5));
    const std::optional<std::int64_t> groups = groups_of(*convolution);
    at::Tensor weight = parameter(convolution->input(1)), bias = parameter(convolution->input(2));
    if (stride.empty() || padding.empty() || dilation.empty() || !groups || !weight.defined() || weight.dim() != 4 ||
        (!bias.defined() && !is_none(convolution->input(2)))) {
      return;
    }
    weight = weight.to(at::kDouble);
    if (bias.defined()) bias = bias.to(at::kDouble);
    std::vector<tj::Node*> fused{convolution};
    tj::Node* next = only_user(convolution->output());
    while (next != nullptr && next->kind() == c10::aten::batch_norm &&
           fold_normalisation(*next, [this](const tj::Value* value) { return parameter(value); }, weight, bias)) {
      fused.push_back(next);
      ++result_.normalisations;
      next = only_user(next->output());
    }
    Activation activation;
    if (next != nullptr) {
      if (const auto found = activation_of(*next)) {
        activation = *found;
        fused.push_back(next);
        ++result_.activations;
      }
    }
    insert_packed(convolution, fused.back()->output(),
                  {weight.to(at::kFloat).contiguous(), bias.defined() ? bias.to(at::kFloat) : bias, stride, padding,
                   dilation, *groups, activation});
    for (auto node = fused.rbegin(); node != fused.rend(); ++node) (*node)->destroy();
    ++result_.convolutions;
  }

  struct Packed {
    at::Tensor weight, bias;
    std::vector<std::int64_t> stride, padding, dilation;
    std::int64_t groups;
    Activation activation;
  };

  void insert_packed(tj::Node* convolution, tj::Value* last, const Packed& packed) {
    static const auto kReorder =
        c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_convolution_weight", "");
    static const c10::Symbol kConvolution = c10::Symbol::fromQualString("mkldnn::_convolution_pointwise");
    tj::Graph& graph = *result_.graph;
    tj::Stack stack{packed.weight, packed.padding, packed.stride, packed.dilation, packed.groups, c10::IValue()};
    kReorder.callBoxed(stack);
    tj::WithInsertPoint guard(convolution);
    const auto constant = [&](const c10::IValue& value) { return graph.insertConstant(value); };
    tj::Value* image = graph.insert(
        c10::aten::contiguous, {convolution->input(0)},
        {tj::NamedValue("memory_format", constant(static_cast<std::int64_t>(at::MemoryFormat::ChannelsLast)))});
    std::vector<tj::Value*> items;
    for (const c10::IValue& scalar : packed.activation.scalars) items.push_back(constant(scalar));
    tj::Value* list =
        graph.insertNode(graph.createList(c10::OptionalType::create(c10::NumberType::get()), items))->output();
    tj::Node* node = graph.insertNode(graph.create(
        kConvolution,
        {image, add_parameter(stack.at(0).toTensor()),
         packed.bias.defined() ? add_parameter(packed.bias) : constant(c10::IValue()), constant(packed.padding),
         constant(packed.stride), constant(packed.dilation), constant(packed.groups), constant(packed.activation.name),
         list, constant(packed.activation.algorithm)}));
    node->setScope(convolution->scope());
    replace(last, node->output());
  }

  const Prepared& model_;
  Optimised result_;
  std::unordered_map<const tj::Value*, std::size_t> parameter_of_;
  std::vector<tj::Value*> layers_;  ///< per layer, its value at present
  std::unordered_map<const tj::Value*, std::vector<std::size_t>> layers_of_;
  std::vector<tj::Node*> chains_;
};

/// Why the values of two runs differ; empty: they do not.
std::string difference(const Prepared& model, const Runner& as_it_is, const Runner& optimised,
                       const std::vector<c10::IValue>& example) {
  std::vector<at::Tensor> expected(model.program.layers.size());
  as_it_is.run(example, [&](int layer, const at::Tensor& value) {
    expected[static_cast<std::size_t>(layer)] = value.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  });
  std::string problem;
  optimised.run(example, [&](int layer, const at::Tensor& value) {
    at::Tensor& own = expected[static_cast<std::size_t>(layer)];
    const std::string& name = model.program.layers[static_cast<std::size_t>(layer)].name;
    if (!problem.empty() || !own.defined()) return;
    if (own.sizes() != value.sizes()) {
      problem = name + " has another shape";
      return;
    }
    const double size = own.numel() == 0 ? 0 : own.abs().max().item<double>();
    const double worst = own.numel() == 0 ? 0 : (own - value).abs().max().item<double>();
    own = at::Tensor();
    // Written so that values that are not finite are a difference.
    if (!(worst <= kLayerTolerance * size))
      problem = name + " differs by " + std::to_string(worst) + " where its largest value is " + std::to_string(size);
  });
  return problem;
}

}  // namespace

LayerRunner layer_runner(const Prepared& model, const std::vector<c10::IValue>& example) {
  const c10::InferenceMode no_gradients;
  std::vector<Place> places;
  for (const Layer& layer : model.program.layers) places.push_back(place_of(layer));
  Runner as_it_is(*model.graph, model.parameters, places, /*keep_output=*/false);
  std::string reason;
  try {
    Optimised optimised = optimise(model);
    Runner runner(*optimised.graph, std::move(optimised.parameters), optimised.places, /*keep_output=*/false);
    reason = difference(model, as_it_is, runner, example);
    if (reason.empty()) {
      log::debug(model.name + ": " + std::to_string(optimised.convolutions) + " convolutions packed with " +
                 std::to_string(optimised.normalisations) + " normalisations and " +
                 std::to_string(optimised.activations) + " activations in them");
      return {std::move(runner), ""};
    }
  } catch (const std::exception& error) {
    reason = "it cannot be optimised: " + reason_of(error);
  }
  return {std::move(as_it_is), reason};
}

Optimised optimise(const Prepared& model) {
  const c10::InferenceMode no_gradients;
  return Optimiser(model).run();
}

}  // namespace repsim::graph
