#include <ATen/ops/max_pool2d.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/runtime/custom_operator.h>

#include <algorithm>

#include "graph_access.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/graph.hpp"
#include "repsim/model_failure.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// The sink of the run in progress on this thread. The interpreter runs on the calling thread, so the operator
/// repsim::probe finds it here.
thread_local const ProbeSink* current_sink = nullptr;

/// repsim::probe hands a tensor to the sink. Its aliasing is declared conservative: no pass moves it, drops it, or
/// moves a write across it, so it sees the value as its producer left it.
void probe(tj::Stack& stack) {
  const std::int64_t id = tj::pop(stack).toInt();
  const c10::IValue value = tj::pop(stack);
  // prim::Uninitialized stands for a tensor on paths that are never taken.
  if (current_sink && *current_sink && value.isTensor()) (*current_sink)(static_cast<int>(id), value.toTensor());
}

const tj::RegisterOperators register_probe{
    {tj::Operator("repsim::probe(Tensor x, int id) -> ()", probe, c10::AliasAnalysisKind::CONSERVATIVE)}};

/// repsim::max_pool2d returns the bits of aten::max_pool2d. It brings maps that lie channel by channel into the order
/// with channels last, in which torch pools with vector instructions, and back. That is three times as fast; a
/// detector's first pool takes half of a pass otherwise.
void max_pool2d(tj::Stack& stack) {
  const bool ceil = tj::pop(stack).toBool();
  std::vector<std::vector<std::int64_t>> lists(4);  // kernel, stride, padding, dilation
  for (std::size_t i = 4; i-- > 0;) lists[i] = tj::pop(stack).toIntVector();
  const at::Tensor value = tj::pop(stack).toTensor();
  const auto pooled = [&](const at::Tensor& x) {
    return at::max_pool2d(x, lists[0], lists[1], lists[2], lists[3], ceil);
  };
  const bool by_channel = value.dim() == 4 && value.is_cpu() && value.scalar_type() == at::kFloat &&
                          value.size(1) > 1 && value.is_contiguous() &&
                          !value.is_contiguous(at::MemoryFormat::ChannelsLast);
  stack.emplace_back(by_channel ? pooled(value.contiguous(at::MemoryFormat::ChannelsLast)).contiguous()
                                : pooled(value));
}

const tj::RegisterOperators register_max_pool2d{
    {tj::Operator("repsim::max_pool2d(Tensor x, int[] kernel, int[] stride, int[] padding, int[] dilation, bool ceil) "
                  "-> Tensor",
                  max_pool2d, c10::AliasAnalysisKind::FROM_SCHEMA)}};

void use_fast_max_pool2d(tj::Block& block) {
  static const c10::Symbol kMaxPool2d = c10::Symbol::fromQualString("repsim::max_pool2d");
  for (auto node = block.nodes().begin(); node != block.nodes().end(); ++node) {
    for (tj::Block* inner : node->blocks()) use_fast_max_pool2d(*inner);
    if (node->kind() != c10::aten::max_pool2d) continue;
    tj::WithInsertPoint guard(*node);
    tj::Node* fast = block.owningGraph()->insertNode(block.owningGraph()->create(kMaxPool2d, node->inputs(), 1));
    fast->output()->setType(node->output()->type());
    node->output()->replaceAllUsesWith(fast->output());
    node.destroyCurrent();
  }
}

/// A value whose tensors lie on a device: the value itself if they do so already, else a copy.
c10::IValue on_device(const c10::IValue& value, at::Device device) {
  if (value.isTensor()) return value.toTensor().defined() ? c10::IValue(value.toTensor().to(device)) : value;
  const std::vector<at::Tensor> tensors = stored_tensors(value);
  const bool there =
      std::all_of(tensors.begin(), tensors.end(), [&](const at::Tensor& tensor) { return tensor.device() == device; });
  return there ? value : value.deepcopy(device);
}

/// Whether an operation takes no tensor, so that its argument `device` decides where its result lies, or by default the
/// CPU.
bool makes_tensors(const tj::Node& node) { return std::none_of(node.inputs().begin(), node.inputs().end(), is_tensor); }

/// Names the device wherever a graph names the CPU or takes the default.
void run_on(tj::Block& block, at::Device device) {
  for (tj::Node* node : block.nodes()) {
    for (tj::Block* inner : node->blocks()) run_on(*inner, device);
    if (node->kind() == c10::prim::Constant) {
      const auto value = tj::toIValue(node->output());
      tj::WithInsertPoint guard(node);
      if (value && value->isDevice() && value->toDevice().is_cpu()) {
        node->output()->replaceAllUsesWith(block.owningGraph()->insertConstant(device));
      } else if (value && value->isTensor() && value->toTensor().defined()) {
        node->output()->replaceAllUsesWith(block.owningGraph()->insertConstant(value->toTensor().to(device)));
      }
      continue;
    }
    const c10::FunctionSchema* schema = node->maybeSchema();
    if (schema == nullptr || !makes_tensors(*node)) continue;
    const auto argument = schema->argumentIndexWithName("device");
    if (!argument || static_cast<std::size_t>(*argument) >= node->inputs().size()) continue;
    const auto given = tj::toIValue(node->input(static_cast<std::size_t>(*argument)));
    if (!given || !given->isNone()) continue;
    tj::WithInsertPoint guard(node);
    node->replaceInput(static_cast<std::size_t>(*argument), block.owningGraph()->insertConstant(device));
  }
}

ModelFailure cannot_run(at::Device device, const std::exception& error) {
  return failure_of_run(error.what(), device.str());
}

class SinkGuard {
 public:
  explicit SinkGuard(const ProbeSink& sink) : previous_(current_sink) { current_sink = &sink; }
  ~SinkGuard() { current_sink = previous_; }
  SinkGuard(const SinkGuard&) = delete;
  SinkGuard& operator=(const SinkGuard&) = delete;

 private:
  const ProbeSink* previous_;
};

}  // namespace

void insert_probe(tj::Graph& graph, tj::Value* value, int id) {
  tj::Node* producer = value->node();
  insert_probe_before(
      graph, producer->kind() == c10::prim::Param ? *producer->owningBlock()->nodes().begin() : producer->next(), value,
      id);
}

void insert_probe_before(tj::Graph& graph, tj::Node* node, tj::Value* value, int id) {
  tj::WithInsertPoint guard(node);
  static const c10::Symbol kProbe = c10::Symbol::fromQualString("repsim::probe");
  tj::Value* number = graph.insertConstant(static_cast<std::int64_t>(id));
  graph.insertNode(graph.create(kProbe, {value, number}, 0));
}

tj::Value* reshape_for_view(tj::Node* node) {
  const c10::FunctionSchema* schema = node->kind() == c10::aten::view ? node->maybeSchema() : nullptr;
  if (schema == nullptr || !schema->overload_name().empty()) return nullptr;  // view(dtype)
  tj::WithInsertPoint guard(node);
  tj::Value* reshaped = node->owningGraph()->insert(c10::aten::reshape, {node->input(0), node->input(1)});
  return reshaped->setType(node->output()->type());
}

Runner::Runner(tj::Graph& graph, std::vector<c10::IValue> parameters, std::span<const Place> probes, bool keep_output,
               at::Device device)
    : device_(device), parameters_(std::move(parameters)) {
  std::shared_ptr<tj::Graph> copy = graph.copy();
  const std::vector<tj::Node*> nodes = top_nodes(*copy);
  std::vector<tj::Value*> probed;
  for (const Place& place : probes) probed.push_back(place.node >= 0 ? value_at(nodes, place) : nullptr);
  if (!keep_output) {
    // The graph keeps only what the probes need, without checks and prints of later values.
    while (!copy->outputs().empty()) copy->eraseOutput(0);
    for (tj::Value* value : probed) {
      if (value) copy->registerOutput(value);
    }
    tj::EliminateDeadCode(copy, tj::DCESideEffectPolicy::ALLOW_DELETING_NODES_WITH_SIDE_EFFECTS);
    while (!copy->outputs().empty()) copy->eraseOutput(0);
    tj::WithInsertPoint guard(copy->block());
    copy->registerOutput(copy->insertConstant(c10::IValue()));
  }
  for (std::size_t i = 0; i < probed.size(); ++i) {
    if (probed[i]) insert_probe(*copy, probed[i], static_cast<int>(i));
  }
  use_fast_max_pool2d(*copy->block());
  if (!device_.is_cpu()) {
    run_on(*copy->block(), device_);
    try {
      for (c10::IValue& parameter : parameters_) parameter = on_device(parameter, device_);
    } catch (const std::exception& error) {
      throw cannot_run(device_, error);
    }
  }
  tj::EliminateDeadCode(copy);
  code_ = tj::Code(copy, "repsim");
}

c10::IValue Runner::run(std::vector<c10::IValue> inputs, const ProbeSink& sink) const {
  const c10::InferenceMode no_gradients;
  const c10::IValue result = interpret(std::move(inputs), parameters_, sink);
  return device_.is_cpu() ? result : on_device(result, at::kCPU);
}

c10::IValue Runner::run_differentiable(std::vector<c10::IValue> inputs, const ProbeSink& sink) const {
  const c10::InferenceMode outside(false);
  const at::AutoGradMode gradients(true);
  std::vector<c10::IValue> variables;
  for (const c10::IValue& parameter : parameters_) {
    // Weights become variables; the statistics of a normalisation have no gradient.
    const bool varies =
        parameter.isTensor() && parameter.toTensor().is_floating_point() && parameter.toTensor().dim() >= 2;
    if (!varies) {
      variables.push_back(parameter);
      continue;
    }
    // A tensor that was made in inference mode cannot take part in gradients; a copy can.
    const at::Tensor& tensor = parameter.toTensor();
    const at::Tensor variable = tensor.is_inference() ? tensor.clone() : tensor.detach();
    variables.emplace_back(variable.requires_grad_());
  }
  return interpret(std::move(inputs), variables, sink);
}

c10::IValue Runner::interpret(std::vector<c10::IValue> inputs, const std::vector<c10::IValue>& parameters,
                              const ProbeSink& sink) const {
  const SinkGuard guard(sink);
  tj::Stack stack = std::move(inputs);
  if (!device_.is_cpu()) {
    for (c10::IValue& input : stack) input = on_device(input, device_);
  }
  stack.insert(stack.end(), parameters.begin(), parameters.end());
  try {
    tj::InterpreterState(code_).run(stack);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    rethrow_out_of_memory(error);
    log::debug(error.what());
    throw cannot_run(device_, error);
  }
  if (stack.size() == 1) return stack.front();
  return c10::ivalue::Tuple::create(std::move(stack));
}

}  // namespace repsim::graph
