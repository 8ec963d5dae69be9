#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/remove_dropout.h>
#include <torch/csrc/jit/passes/remove_mutation.h>

#include "graph_access.hpp"
#include "passes/passes.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

c10::IValue forward_as_loaded(const model::Loaded& model, const at::Tensor& frames) {
  const c10::InferenceMode no_gradients;
  tj::Module module = model.module.deepcopy();  // one that writes to itself must not change what goes into the bundle
  return module.forward({model::make_input(*model.spec.input, frames)});
}

/// Row `b` of every output equals the outputs of frame `b` alone.
bool rows_agree(const c10::IValue& both, const c10::IValue& one, std::int64_t row) {
  const auto many = model::tensors_of(both), single = model::tensors_of(one);
  if (many.size() != single.size()) return false;
  for (std::size_t i = 0; i < many.size(); ++i) {
    if (many[i].dim() == 0 || many[i].size(0) != 2 || single[i].dim() == 0 || single[i].size(0) != 1) return false;
    if (many[i][row].sizes() != single[i][0].sizes()) return false;
    const at::Tensor a = many[i][row].to(at::kDouble), b = single[i][0].to(at::kDouble);
    if (a.numel() > 0 && !at::allclose(a, b, 1e-4, 1e-4)) return false;
  }
  return true;
}

std::string content_hash(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  std::string header = c10::toString(dense.scalar_type());
  for (const std::int64_t size : dense.sizes()) header += "," + std::to_string(size);
  // Another memory format makes another kernel run, and other last bits.
  for (const std::int64_t stride : tensor.strides()) header += ":" + std::to_string(stride);
  const auto* data = static_cast<const char*>(dense.const_data_ptr());
  return sha256(header + ";" + sha256(std::string_view(data, dense.nbytes())));
}

Parameter describe_parameter(const Lifted& lifted) {
  Parameter parameter = describe_tensor(lifted.path, lifted.value.toTensor());
  parameter.content = content_hash(lifted.value.toTensor());
  return parameter;
}

/// Sizes of all parameters and buffers; one that is reachable by several paths counts once.
void count_attributes(const tj::Module& module, Prepared& prepared) {
  std::set<const void*> seen;
  const auto add = [&](const at::Tensor& tensor) {
    if (!tensor.defined() || tensor.is_quantized() || !seen.insert(tensor.unsafeGetTensorImpl()).second) return;
    prepared.model_elements += tensor.numel();
    prepared.model_bytes += static_cast<std::int64_t>(tensor.nbytes());
  };
  for (const at::Tensor& tensor : module.parameters(/*recurse=*/true)) add(tensor);
  for (const at::Tensor& tensor : module.buffers(/*recurse=*/true)) add(tensor);
}

/// Writes that are left reach a parameter or the image: the model then changes itself or its input.
std::string remaining_write(const std::shared_ptr<tj::Graph>& graph) {
  const tj::AliasDb aliases(graph);
  for (const tj::Value* input : graph->inputs()) {
    if (aliases.hasWriters(input)) return "writes into its own weights, buffers or input while running";
  }
  return {};
}

bool same_bits(const c10::IValue& a, const c10::IValue& b) {
  const auto left = model::tensors_of(a), right = model::tensors_of(b);
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].scalar_type() != right[i].scalar_type() || !at::equal(left[i], right[i])) return false;
  }
  return true;
}

/// The passes in order. Leaves the reason in prepared.opaque_reason when the model cannot be made transparent.
void rewrite(const model::Loaded& model, Prepared& prepared) {
  const auto& function = model.module.get_method("forward").function();
  auto graph = tj::toGraphFunction(function).graph()->copy();

  const int inlined = inline_modules(graph);
  while (graph->inputs().size() > 2) {  // further arguments have defaults: load() checked
    const std::size_t last = graph->inputs().size() - 1;
    tj::WithInsertPoint guard(*graph->nodes().begin());
    const auto& argument = function.getSchema().arguments().at(last);
    graph->inputs()[last]->replaceAllUsesWith(graph->insertConstant(*argument.default_value()));
    graph->eraseInput(last);
  }
  const int folded = fold_training(graph);
  simplify(graph);  // resolves what depended on training, so that unused attributes are not lifted
  const std::vector<Lifted> lifted = lift_attributes(graph, model.module, prepared.opaque_reason);
  if (!prepared.opaque_reason.empty()) return;
  for (const Lifted& one : lifted) {
    if (one.value.toTensor().is_quantized() || one.value.toTensor().layout() != at::kStrided) {
      prepared.opaque_reason = "holds the quantised or sparse tensor " + one.path;
      return;
    }
    prepared.parameters.push_back(one.value);
    prepared.program.parameters.push_back(describe_parameter(one));
  }
  tj::removeDropout(graph);
  tj::RemoveListMutation(graph);
  tj::RemoveTensorMutation(graph);
  simplify(graph);
  graph->lint();

  std::vector<c10::IValue> inputs{model::make_input(*model.spec.input, model::example_frames(*model.spec.input, 1))};
  // Copies: whether the model writes to its own buffers is only known further down.
  for (const c10::IValue& parameter : prepared.parameters) inputs.push_back(parameter.toTensor().clone());
  std::unordered_map<const tj::Value*, std::int64_t> ranks;
  for (const auto& [value, seen] : observe(graph, inputs)) ranks[value] = static_cast<std::int64_t>(seen.sizes.size());
  ranks[graph->inputs().at(0)] = 4;
  const int ranked = fold_ranks(graph, ranks);
  simplify(graph);
  tj::RemoveTensorMutation(graph);
  simplify(graph);
  graph->lint();
  prepared.opaque_reason = remaining_write(graph);
  prepared.graph = graph;
  log::debug(model.spec.name + ": inlined " + std::to_string(inlined) + " calls, folded " + std::to_string(folded) +
             " training flags and " + std::to_string(ranked) + " ranks, " + std::to_string(lifted.size()) +
             " parameters");
}

}  // namespace

DryRun dry_run(const model::Loaded& model) {
  const model::InputSpec& spec = *model.spec.input;
  DryRun dry;
  const at::Tensor frames = model::example_frames(spec, 2);
  try {
    dry.output = forward_as_loaded(model, frames.narrow(0, 0, 1));
  } catch (const std::exception& error) {
    log::debug(error.what());
    throw input_error("forward fails on a picture of " + std::to_string(spec.width) + "x" +
                          std::to_string(spec.height) + ": " + reason_of(error),
                      model.spec.path, "check the input: --input " + model.spec.name + "=WIDTHxHEIGHT[,...,list]");
  }
  if (spec.kind == model::InputKind::kTensor) {
    try {
      const c10::IValue both = forward_as_loaded(model, frames);
      const c10::IValue second = forward_as_loaded(model, frames.narrow(0, 1, 1));
      dry.batchable = rows_agree(both, dry.output, 0) && rows_agree(both, second, 1);
    } catch (const std::exception& error) {
      log::debug(model.spec.name + ": takes one frame at a time: " + reason_of(error));
    }
  }
  return dry;
}

Prepared prepare(const model::Loaded& model, const DryRun& dry) {
  Prepared prepared;
  prepared.name = model.spec.name;
  prepared.batchable = dry.batchable;
  count_attributes(model.module, prepared);
  try {
    rewrite(model, prepared);
    if (prepared.opaque_reason.empty()) {
      std::vector<c10::IValue> inputs{
          model::make_input(*model.spec.input, model::example_frames(*model.spec.input, 1))};
      const Runner runner(*prepared.graph, prepared.parameters, {}, /*keep_output=*/true);
      if (!same_bits(runner.run(inputs), dry.output)) {
        prepared.opaque_reason = "gives other outputs in a second run or after inlining";
      } else {
        inputs.insert(inputs.end(), prepared.parameters.begin(), prepared.parameters.end());
        const Observations one = observe(prepared.graph, inputs);
        Observations two;
        if (prepared.batchable) {
          inputs[0] = model::make_input(*model.spec.input, model::example_frames(*model.spec.input, 2));
          two = observe(prepared.graph, inputs);
        }
        describe(prepared.graph, one, two, model.module, prepared.program);
      }
    }
  } catch (const std::exception& error) {
    prepared.opaque_reason = "has a graph that cannot be rewritten: " + reason_of(error);
  }
  if (!prepared.opaque_reason.empty()) {
    prepared.transparent = false;
    prepared.graph = nullptr;
    prepared.parameters.clear();
    prepared.program = Program{};
    log::warn(model.spec.name + ": carried whole, shares nothing: it " + prepared.opaque_reason);
  }
  std::int64_t used = 0;
  for (const Parameter& parameter : prepared.program.parameters) used += parameter.bytes;
  prepared.program.unused_parameter_bytes = std::max<std::int64_t>(0, prepared.model_bytes - used);
  return prepared;
}

}  // namespace repsim::graph
