#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/remove_dropout.h>
#include <torch/csrc/jit/passes/remove_mutation.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include "graph_access.hpp"
#include "passes/passes.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/graph.hpp"
#include "side_effects.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

c10::IValue forward_as_loaded(const model::Loaded& model, const at::Tensor& frames) {
  const c10::InferenceMode no_gradients;
  const CrashNote note = model::note_of_run(model.spec.path);
  // Specialising a graph pays off after many runs only, and takes longer than these few.
  const tj::GraphOptimizerEnabledGuard as_it_is(false);
  // Copies: what a model writes into itself or its input must change neither the bundle nor the next run.
  tj::Module module = model::copy_of(model.module);
  return module.forward({model::make_input(*model.spec.input, frames.clone())});
}

/// Numbers to be compared with a tolerance: complex ones as pairs.
at::Tensor as_doubles(const at::Tensor& tensor) {
  return (tensor.is_complex() ? at::view_as_real(tensor.resolve_conj()) : tensor).to(at::kDouble);
}

/// Row `b` of every output equals the outputs of frame `b` alone.
bool rows_agree(const c10::IValue& both, const c10::IValue& one, std::int64_t row) {
  const auto many = model::tensors_of(both), single = model::tensors_of(one);
  if (many.size() != single.size()) return false;
  for (std::size_t i = 0; i < many.size(); ++i) {
    if (many[i].dim() == 0 || many[i].size(0) != 2 || single[i].dim() == 0 || single[i].size(0) != 1) return false;
    if (many[i][row].sizes() != single[i][0].sizes()) return false;
    const at::Tensor a = as_doubles(many[i][row]), b = as_doubles(single[i][0]);
    if (a.numel() > 0 && !at::allclose(a, b, 1e-4, 1e-4)) return false;
  }
  return true;
}

/// A model that uses random numbers: what a merged model changes could not be told from what chance changes.
void refuse_randomness(const model::Loaded& model, const at::Tensor& frame, const c10::IValue& first) {
  const auto left = model::tensors_of(first), right = model::tensors_of(forward_as_loaded(model, frame));
  bool same = left.size() == right.size();
  for (std::size_t i = 0; same && i < left.size(); ++i) {
    same = left[i].sizes() == right[i].sizes() && left[i].scalar_type() == right[i].scalar_type() &&
           at::allclose(as_doubles(left[i]), as_doubles(right[i]), 1e-4, 1e-4, /*equal_nan=*/true);
  }
  if (same) return;
  throw input_error("the same picture twice gives two different outputs: the model depends on random numbers",
                    model.spec.path,
                    "export it without them (dropout off: model.eval() before torch.jit.script or trace)");
}

Parameter describe_lifted(const Lifted& lifted) {
  Parameter parameter = describe_parameter(lifted.path, lifted.value);
  // The integers of a quantised tensor do not say its scale: such tensors are never taken for equal.
  const bool plain = lifted.value.isTensor() && !lifted.value.toTensor().is_quantized();
  if (plain) parameter.content = content_hash(lifted.value.toTensor());
  return parameter;
}

void count(const StoredSize& size, Prepared& prepared) {
  prepared.model_elements += size.elements;
  prepared.model_bytes += size.bytes;
}

bool same_bits(const c10::IValue& a, const c10::IValue& b) {
  const auto left = model::tensors_of(a), right = model::tensors_of(b);
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].scalar_type() != right[i].scalar_type() || !at::equal(left[i], right[i])) return false;
  }
  return true;
}

/// Whether a model that writes to its own attributes answers otherwise after having seen other pictures.
bool is_stateful(const model::Loaded& model) {
  const c10::InferenceMode no_gradients;
  const at::Tensor frames = model::example_frames(*model.spec.input, 2);
  const auto input = [&](std::int64_t frame) {
    return model::make_input(*model.spec.input, frames.narrow(0, frame, 1).clone());
  };
  tj::Module module = model::copy_of(model.module);
  const CrashNote note = model::note_of_run(model.spec.path);
  for (const std::int64_t frame : {0, 1, 0, 1}) {
    if (!same_bits(module.forward({input(frame)}), forward_as_loaded(model, frames.narrow(0, frame, 1)))) return true;
  }
  return false;
}

/// Lists, dicts and objects that carry values from one part of the model to another give way to the values. One kind
/// may stand in the way of another (a dict made from a list, a list in an object), so all take turns.
int scalarize_aggregates(std::shared_ptr<tj::Graph>& graph) {
  constexpr int kRounds = 6;  // deeper nests stay as they are
  int count = 0;
  for (int round = 0; round < kRounds; ++round) {
    int changed = functional_in_place(graph);
    changed += tj::RemoveListMutation(graph) ? 1 : 0;
    changed += forward_aggregates(graph);
    if (changed == 0) break;
    count += changed;
    simplify(graph);
  }
  return count;
}

/// Whether the prepared graph returns the bits of the original. On a busy machine a matrix library may take fewer
/// threads and round otherwise, so a difference counts only when it comes back twice.
bool gives_the_same_bits(const model::Loaded& model, const Prepared& prepared, const TraceRun& trace) {
  const std::vector<c10::IValue> inputs{
      model::make_input(*model.spec.input, model::example_frames(*model.spec.input, 1))};
  const Runner runner(*prepared.graph, prepared.parameters, {}, /*keep_output=*/true);
  if (same_bits(runner.run(inputs), trace.output)) return true;
  for (int again = 0; again < 2; ++again) {
    log::debug(model.spec.name + ": other bits after rewriting, comparing again");
    const c10::IValue original = forward_as_loaded(model, model::example_frames(*model.spec.input, 1));
    if (same_bits(runner.run(inputs), original)) return true;
  }
  return false;
}

/// Fills ops and layers of prepared.program from runs on example frames, and settles whether the model is batchable.
void describe_prepared(const model::Loaded& model, const std::unordered_set<const tj::Value*>& overwritten,
                       Prepared& prepared) {
  const auto observed = [&](std::int64_t batch) {
    std::vector<c10::IValue> inputs{
        model::make_input(*model.spec.input, model::example_frames(*model.spec.input, batch))};
    inputs.insert(inputs.end(), prepared.parameters.begin(), prepared.parameters.end());
    return observe(prepared.graph, inputs);
  };
  const Observations one = observed(1);
  if (prepared.batchable && is_steered_by_values(*prepared.graph)) {
    prepared.batchable = false;
    log::debug(model.spec.name + ": one frame at a time: numbers read from the image steer it");
  }
  const Observations two = prepared.batchable ? observed(2) : Observations{};
  describe(prepared.graph, one, two, overwritten, model.module, prepared.program);
}

/// How much each step of rewriting did, for the log.
struct RewriteCounts {
  int inlined = 0, folded = 0, scalarized = 0, ranked = 0;
  std::size_t lifted = 0;
  bool copied_image = false;

  [[nodiscard]] std::string text() const {
    return "inlined " + std::to_string(inlined) + " calls, folded " + std::to_string(folded) + " training flags and " +
           std::to_string(ranked) + " ranks, scalarized " + std::to_string(scalarized) + " values, " +
           std::to_string(lifted) + " parameters" + (copied_image ? ", copied the image, which it writes into" : "");
  }
};

/// forward with all calls inlined, the image as its only argument.
std::shared_ptr<tj::Graph> inlined_forward(const tj::Module& module, RewriteCounts& counts) {
  const auto& function = module.get_method("forward").function();
  auto graph = tj::toGraphFunction(function).graph()->copy();
  counts.inlined = inline_modules(graph, module);
  while (graph->inputs().size() > 2) {  // further arguments have defaults: load() checked
    const std::size_t last = graph->inputs().size() - 1;
    tj::WithInsertPoint guard(*graph->nodes().begin());
    const auto& argument = function.getSchema().arguments().at(last);
    graph->inputs()[last]->replaceAllUsesWith(graph->insertConstant(*argument.default_value()));
    graph->eraseInput(last);
  }
  return graph;
}

/// Resolves what depends on training, aggregates that only carry values, and writes to the model's own attributes.
/// @return false where such a write changes what the model returns for later pictures
bool fold_state(std::shared_ptr<tj::Graph>& graph, const model::Loaded& model, RewriteCounts& counts) {
  counts.folded = fold_training(graph);
  simplify(graph);  // first, so that attributes which nothing uses any more are not lifted
  counts.scalarized = scalarize_aggregates(graph);
  bool writes_attributes = false;
  while (forward_state(graph, model.module) > 0) {
    writes_attributes = true;
    simplify(graph);
    counts.scalarized += scalarize_aggregates(graph);
  }
  return !writes_attributes || !is_stateful(model);
}

/// Turns attributes and constants that hold tensors into inputs of the graph and parameters of the model.
/// @return why that cannot be done; empty: it is done
std::string lift_parameters(std::shared_ptr<tj::Graph>& graph, const tj::Module& module, Prepared& prepared,
                            RewriteCounts& counts) {
  std::string problem;
  std::vector<Lifted> lifted = lift_attributes(graph, module, problem);
  if (!problem.empty()) return problem;
  std::string folder = "constants";
  while (module.hasattr(folder)) folder += "_";
  for (Lifted& constant : lift_constants(graph, folder)) lifted.push_back(std::move(constant));
  counts.lifted = lifted.size();
  StoredMemory stored;
  for (const Lifted& one : lifted) {
    if (one.value.isTensor() && one.value.toTensor().layout() != at::kStrided)
      return "holds the sparse tensor " + one.path;
    const std::vector<at::Tensor> tensors = stored_tensors(one.value);
    if (one.constant) count(stored.add(tensors), prepared);
    prepared.parameters.push_back(one.value);
    prepared.program.parameters.push_back(describe_lifted(one));
  }
  return {};
}

/// Whether an opaque model leaves its weights as they are, so that other models may have the same ones.
bool keeps_its_weights(const model::Loaded& model) {
  try {
    RewriteCounts counts;
    return !may_write_own_weights(inlined_forward(model.module, counts), model.module);
  } catch (const std::exception& error) {
    rethrow_out_of_memory(error);
    log::debug(model.spec.name + ": its own copy of all weights: " + reason_of(error));
    return false;
  }
}

/// Replaces what an example run shows to be constant: numbers of dimensions.
/// @param inputs  of the whole graph; the run may write into them
int fold_observed_ranks(std::shared_ptr<tj::Graph>& graph, const std::vector<c10::IValue>& inputs) {
  std::unordered_map<const tj::Value*, std::int64_t> ranks;
  for (const auto& [value, seen] : observe(graph, inputs)) ranks[value] = static_cast<std::int64_t>(seen.sizes.size());
  ranks[graph->inputs().at(0)] = 4;
  return fold_ranks(graph, ranks);
}

/// An example image and copies of the parameters, since the model may write into its own buffers.
std::vector<c10::IValue> example_inputs(const model::Loaded& model, const std::vector<c10::IValue>& parameters) {
  std::vector<c10::IValue> inputs{model::make_input(*model.spec.input, model::example_frames(*model.spec.input, 1))};
  for (const c10::IValue& parameter : parameters)
    inputs.push_back(parameter.isTensor() ? c10::IValue(parameter.toTensor().clone()) : parameter);
  return inputs;
}

/// Makes the functional graph of a model and its parameters, by the passes in order. Leaves the reason in
/// prepared.opaque_reason when the model cannot be made rewritable.
/// @return values of the graph that are overwritten after they were made
std::unordered_set<const tj::Value*> rewrite(const model::Loaded& model, Prepared& prepared) {
  RewriteCounts counts;
  std::shared_ptr<tj::Graph> graph = inlined_forward(model.module, counts);
  if (!fold_state(graph, model, counts)) {
    prepared.opaque_reason = "remembers: what it returns depends on the pictures before";
    return {};
  }
  prepared.opaque_reason = side_effect_of(graph);
  if (!prepared.opaque_reason.empty()) return {};
  prepared.opaque_reason = lift_parameters(graph, model.module, prepared, counts);
  if (!prepared.opaque_reason.empty()) return {};
  counts.copied_image = copy_written_image(graph);
  tj::removeDropout(graph);
  tj::RemoveListMutation(graph);
  tj::RemoveTensorMutation(graph);
  simplify(graph);
  graph->lint();

  counts.ranked = fold_observed_ranks(graph, example_inputs(model, prepared.parameters));
  simplify(graph);
  tj::RemoveTensorMutation(graph);
  simplify(graph);
  graph->lint();
  prepared.graph = graph;

  auto overwritten = overwritten_values(graph, example_inputs(model, prepared.parameters));
  if (writes_behind_loops_of_no_round(*graph))
    prepared.opaque_reason = "writes into memory that is another value's where a loop runs no round";
  for (const tj::Value* input : graph->inputs()) {
    if (overwritten.count(input) > 0)
      prepared.opaque_reason = "writes into its own weights, buffers or input while running";
  }
  log::debug(model.spec.name + ": " + counts.text());
  return overwritten;
}

}  // namespace

std::string content_hash(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  std::string header = c10::toString(dense.scalar_type());
  for (const std::int64_t size : dense.sizes()) header += "," + std::to_string(size);
  // Another memory format makes another kernel run, and other last bits.
  for (const std::int64_t stride : tensor.strides()) header += ":" + std::to_string(stride);
  const auto* data = static_cast<const char*>(dense.const_data_ptr());
  return sha256(header + ";" + sha256(std::string_view(data, dense.nbytes())));
}

TraceRun trace_run(const model::Loaded& model) {
  const model::InputSpec& spec = *model.spec.input;
  TraceRun trace;
  const at::Tensor frames = model::example_frames(spec, 2);
  try {
    trace.output = forward_as_loaded(model, frames.narrow(0, 0, 1));
  } catch (const std::exception& error) {
    throw model::forward_error(model, error);
  }
  model::check_output_kinds(trace.output, model.spec.path);
  refuse_randomness(model, frames.narrow(0, 0, 1), trace.output);
  if (spec.kind == model::InputKind::kTensor && !model.frame_by_frame) {
    try {
      const c10::IValue both = forward_as_loaded(model, frames);
      const c10::IValue second = forward_as_loaded(model, frames.narrow(0, 1, 1));
      trace.batchable = rows_agree(both, trace.output, 0) && rows_agree(both, second, 1);
    } catch (const std::exception& error) {
      rethrow_out_of_memory(error);
      log::debug(model.spec.name + ": takes one frame at a time: " + reason_of(error));
    }
  }
  return trace;
}

Prepared prepare(const model::Loaded& model, const TraceRun& trace, at::Device device) {
  Prepared prepared;
  prepared.device = device;
  prepared.name = model.spec.name;
  prepared.batchable = trace.batchable;
  count(StoredMemory().add(stored_tensors(model.module)), prepared);
  prepared.model_bytes += model.hidden_bytes;
  try {
    const auto overwritten = rewrite(model, prepared);
    if (prepared.opaque_reason.empty() && !gives_the_same_bits(model, prepared, trace))
      prepared.opaque_reason = "gives other outputs in a second run or after inlining";
    if (prepared.opaque_reason.empty()) describe_prepared(model, overwritten, prepared);
  } catch (const std::exception& error) {
    rethrow_out_of_memory(error);
    prepared.opaque_reason = "has a graph that cannot be rewritten: " + reason_of(error);
  }
  if (!prepared.opaque_reason.empty()) {
    prepared.rewritable = false;
    prepared.graph = nullptr;
    prepared.parameters.clear();
    prepared.program = Program{};
    prepared.keeps_weights = keeps_its_weights(model);
    log::warn(model.spec.name + " is opaque and shares no layers: it " + prepared.opaque_reason);
  }
  StoredMemory stored;
  std::int64_t used = 0;
  for (const c10::IValue& parameter : prepared.parameters) used += stored.add(stored_tensors(parameter)).bytes;
  prepared.program.unused_parameter_bytes = std::max<std::int64_t>(0, prepared.model_bytes - used);
  return prepared;
}

}  // namespace repsim::graph
