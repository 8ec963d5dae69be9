#include "repsim/optimised.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <unordered_map>

#include "graph_access.hpp"
#include "normalisation.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The activation of a fused convolution, in the names of torch's oneDNN operators.
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
  Optimiser(tj::Graph& graph, const std::vector<c10::IValue>& parameters, std::span<const Place> places,
            Between between, bool keep_output)
      : between_(between), parameters_(parameters) {
    result_.graph = graph.copy();
    result_.parameters = parameters;
    const std::vector<tj::Node*> nodes = top_nodes(*result_.graph);
    const std::size_t images = result_.graph->inputs().size() - parameters.size();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameter_of_[result_.graph->inputs()[images + i]] = i;
    for (const Place& place : places) {
      if (place.node >= 0) places_of_[value_at(nodes, place)].push_back(values_.size());
      values_.push_back(place.node >= 0 ? value_at(nodes, place) : nullptr);
    }
    if (!keep_output) keep_what_is_read();
  }

  Optimised run() {
    std::vector<tj::Node*> convolutions;
    for (tj::Node* node : top_nodes(*result_.graph)) {
      if (node->kind() == c10::aten::conv2d || node->kind() == c10::aten::_convolution) convolutions.push_back(node);
      if (tj::Value* reshaped = reshape_for_view(node)) {
        replace(node->output(), reshaped);
        node->destroy();
      }
    }
    for (tj::Node* node : convolutions) pack(node);
    const NodePositions position = node_positions(top_nodes(*result_.graph));
    for (tj::Value* value : values_) {
      result_.places.push_back(value ? Place{position.at(value->node()), static_cast<int>(value->offset())} : Place{});
    }
    result_.graph->lint();
    return std::move(result_);
  }

 private:
  /// Drops everything that the values at the places do not need, so that nothing else is packed.
  void keep_what_is_read() {
    tj::Graph& graph = *result_.graph;
    while (!graph.outputs().empty()) graph.eraseOutput(0);
    for (tj::Value* value : values_) {
      if (value) graph.registerOutput(value);
    }
    tj::EliminateDeadCode(result_.graph, tj::DCESideEffectPolicy::ALLOW_DELETING_NODES_WITH_SIDE_EFFECTS);
    while (!graph.outputs().empty()) graph.eraseOutput(0);
  }

  void replace(tj::Value* before, tj::Value* after) {
    after->setType(before->type());
    before->replaceAllUsesWith(after);
    const auto found = places_of_.find(before);
    if (found == places_of_.end()) return;
    for (const std::size_t place : found->second) values_[place] = after;
    places_of_[after] = found->second;
    places_of_.erase(before);
  }

  /// A float32 parameter of the model; undefined where the value is anything else.
  at::Tensor parameter(const tj::Value* value) const {
    const auto found = parameter_of_.find(value);
    if (found == parameter_of_.end()) return {};
    const c10::IValue& content = parameters_[found->second];
    if (!content.isTensor() || content.toTensor().scalar_type() != at::kFloat) return {};
    return content.toTensor();
  }

  static bool is_none(const tj::Value* value) {
    const auto constant = tj::toIValue(value);
    return constant && constant->isNone();
  }

  /// An input that is a constant list of two integers, or of one that stands for both. Empty where it is none.
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

  [[nodiscard]] bool read(const tj::Value* value) const { return value->hasUses() || places_of_.count(value) > 0; }

  /// The nodes that may be fused into the convolution that computes a value.
  [[nodiscard]] std::vector<tj::Node*> users_of(tj::Value* value) const {
    const bool alone = value->uses().size() == 1 && places_of_.count(value) == 0;
    std::vector<tj::Node*> result;
    if (between_ == Between::kKept && !alone) return result;
    for (const tj::Use& use : value->uses()) {
      const tj::FunctionSchema* schema = use.user->maybeSchema();
      const bool writes = schema && schema->is_mutable();
      if (use.offset == 0 && use.user->owningBlock() == result_.graph->block() && (alone || !writes))
        result.push_back(use.user);
    }
    return result;
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
    replace_by_packed(convolution, convolution->output(), {weight, bias, stride, padding, dilation, *groups, {}});
    ++result_.convolutions;
  }

  struct Packed {
    at::Tensor weight, bias;  // float64
    std::vector<std::int64_t> stride, padding, dilation;
    std::int64_t groups;
    Activation activation;
  };

  /// Replaces a value that a convolution, with the normalisations folded into it, computes, and the operations that can
  /// be fused into it, each by one packed convolution.
  void replace_by_packed(tj::Node* convolution, tj::Value* value, const Packed& packed) {
    for (tj::Node* user : users_of(value)) {
      Packed more = packed;
      if (user->kind() == c10::aten::batch_norm &&
          fold_normalisation(*user, [this](const tj::Value* one) { return parameter(one); }, more.weight, more.bias)) {
        ++result_.normalisations;
        replace_by_packed(convolution, user->output(), more);
      } else if (const auto activation = activation_of(*user)) {
        more.activation = *activation;
        ++result_.activations;
        insert_packed(convolution, user->output(), more);
        user->destroy();
      }
    }
    if (read(value)) insert_packed(convolution, value, packed);
    value->node()->destroy();
  }

  void insert_packed(tj::Node* convolution, tj::Value* last, const Packed& packed) {
    static const auto kReorder =
        c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_reorder_convolution_weight", "");
    static const c10::Symbol kConvolution = c10::Symbol::fromQualString("mkldnn::_convolution_pointwise");
    tj::Graph& graph = *result_.graph;
    tj::Stack stack{packed.weight.to(at::kFloat).contiguous(),
                    packed.padding,
                    packed.stride,
                    packed.dilation,
                    packed.groups,
                    c10::IValue()};
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
         packed.bias.defined() ? add_parameter(packed.bias.to(at::kFloat)) : constant(c10::IValue()),
         constant(packed.padding), constant(packed.stride), constant(packed.dilation), constant(packed.groups),
         constant(packed.activation.name), list, constant(packed.activation.algorithm)}));
    node->setScope(convolution->scope());
    replace(last, node->output());
  }

  const Between between_;
  const std::vector<c10::IValue>& parameters_;
  Optimised result_;
  std::unordered_map<const tj::Value*, std::size_t> parameter_of_;
  std::vector<tj::Value*> values_;  // per place the value that is there now; null: a place of node -1
  std::unordered_map<const tj::Value*, std::vector<std::size_t>> places_of_;
};

std::vector<Place> layer_places(const Prepared& model) {
  std::vector<Place> places;
  for (const Layer& layer : model.program.layers) places.push_back(place_of(layer));
  return places;
}

/// Runs both on the example. @return how a value differs; empty: none does
std::string difference(std::size_t places, const std::function<std::string(std::size_t)>& name_of,
                       const Runner& as_it_is, const Runner& optimised, const std::vector<c10::IValue>& example) {
  std::vector<at::Tensor> expected(places);
  as_it_is.run(example, [&](int place, const at::Tensor& value) {
    expected[place] = value.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  });
  std::string problem;
  optimised.run(example, [&](int place, const at::Tensor& value) {
    at::Tensor& own = expected[place];
    if (!problem.empty() || !own.defined()) return;
    if (own.sizes() != value.sizes()) {
      problem = name_of(static_cast<std::size_t>(place)) + " has another shape";
      return;
    }
    const double size = own.numel() == 0 ? 0 : own.abs().max().item<double>();
    const double worst = own.numel() == 0 ? 0 : (own - value).abs().max().item<double>();
    own = at::Tensor();
    // The comparison is negated so that values that are not finite count as a difference.
    if (!(worst <= kLayerTolerance * size)) {
      problem = name_of(static_cast<std::size_t>(place)) + " differs by " + std::to_string(worst) +
                " where its largest value is " + std::to_string(size);
    }
  });
  return problem;
}

/// A graph, and how it is to run.
struct ProbedGraph {
  std::string name;  ///< for the log
  tj::Graph& graph;
  const std::vector<c10::IValue>& parameters;
  at::Device device;
  const std::vector<Place>& places;
  Between between;
  bool keep_output;
  std::function<std::string(std::size_t)> name_of;  ///< of a place, for messages
};

/// A runner of the optimised copy where that works and gives equal values on the example, else of the graph as it is.
ProbeRunner fastest(const ProbedGraph& of, const std::vector<c10::IValue>& example) {
  const c10::InferenceMode no_gradients;
  Runner as_it_is(of.graph, of.parameters, of.places, of.keep_output, of.device);
  if (!of.device.is_cpu()) return {std::move(as_it_is), "weights are packed for the CPU only"};
  std::string reason;
  try {
    Optimised optimised = optimise(of.graph, of.parameters, of.places, of.between, of.keep_output);
    Runner runner(*optimised.graph, std::move(optimised.parameters), optimised.places, of.keep_output);
    reason = difference(of.places.size(), of.name_of, as_it_is, runner, example);
    if (reason.empty()) {
      log::debug(of.name + ": " + std::to_string(optimised.convolutions) + " convolutions packed with " +
                 std::to_string(optimised.normalisations) + " normalisations and " +
                 std::to_string(optimised.activations) + " activations in them");
      return {std::move(runner), ""};
    }
  } catch (const std::exception& error) {
    rethrow_out_of_memory(error);
    reason = "it cannot be optimised: " + reason_of(error);
  }
  return {std::move(as_it_is), reason};
}

}  // namespace

Optimised optimise(tj::Graph& graph, const std::vector<c10::IValue>& parameters, std::span<const Place> places,
                   Between between, bool keep_output) {
  const c10::InferenceMode no_gradients;
  return Optimiser(graph, parameters, places, between, keep_output).run();
}

Optimised optimise(const Prepared& model) {
  return optimise(*model.graph, model.parameters, layer_places(model), Between::kKept, /*keep_output=*/true);
}

ProbeRunner layer_runner(const Prepared& model, const std::vector<c10::IValue>& example, bool keep_output) {
  return fastest({model.name, *model.graph, model.parameters, model.device, layer_places(model), Between::kKept,
                  keep_output, [&](std::size_t layer) { return model.program.layers[layer].name; }},
                 example);
}

ProbeRunner merged_runner(const Assembly& assembly, const std::vector<Place>& places,
                          const std::vector<c10::IValue>& example) {
  return fastest(
      {"merged graph", *assembly.graph, assembly.parameter_values(), assembly.device, places, Between::kRepeated,
       /*keep_output=*/false, [](std::size_t place) { return "value " + std::to_string(place); }},
      example);
}

}  // namespace repsim::graph
