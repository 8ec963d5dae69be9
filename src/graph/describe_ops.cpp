#include "describe_ops.hpp"

#include <algorithm>

#include "op_table.hpp"
#include "passes/passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Appends all values that a node and the nodes inside its blocks use.
void used_values(tj::Node* node, std::vector<tj::Value*>& out) {
  for (tj::Value* input : node->inputs()) out.push_back(input);
  for (tj::Block* block : node->blocks()) {
    for (tj::Node* inner : block->nodes()) used_values(inner, out);
    for (tj::Value* result : block->outputs()) out.push_back(result);
  }
}

bool holds_tensors(const c10::TypePtr& type) {
  if (type->kind() == c10::TypeKind::TensorType) return true;
  for (const auto& contained : type->containedTypes()) {
    if (holds_tensors(contained)) return true;
  }
  return false;
}

/// Whether values of a type hold values of the other: a list of dicts holds dicts.
bool holds(const c10::TypePtr& type, const c10::TypePtr& other) {
  return std::any_of(type->containedTypes().begin(), type->containedTypes().end(), [&](const c10::TypePtr& one) {
    return one->isSubtypeOf(*other) || other->isSubtypeOf(*one) || holds(one, other);
  });
}

/// Appends the values that a node and the nodes inside its blocks write into.
void written_values(tj::Node* node, std::vector<tj::Value*>& written) {
  for (tj::Value* value : written_inputs(*node)) written.push_back(value);
  for (tj::Block* block : node->blocks()) {
    for (tj::Node* inner : block->nodes()) written_values(inner, written);
  }
}

class OpDescriber {
 public:
  OpDescriber(const std::shared_ptr<tj::Graph>& graph, std::size_t images, const Observations& one, Program& program)
      : graph_(graph), images_(images), one_(one), program_(program), aliases_(graph) {
    table_.nodes = top_nodes(*graph);
  }

  OpTable run() {
    make_ops();
    order_writes();
    return std::move(table_);
  }

 private:
  void make_ops() {
    for (std::size_t i = 0; i < program_.parameters.size(); ++i) {
      const tj::Value* input = graph_->inputs().at(images_ + i);
      parameter_of_[input] = static_cast<int>(i);
      sizes_[input] = program_.parameters[i].shape;
    }
    for (const auto& [value, seen] : one_) sizes_[value] = seen.sizes;
    for (std::size_t i = 0; i < images_; ++i) table_.image_dependent.insert(graph_->inputs().at(i));
    for (std::size_t position = 0; position < table_.nodes.size(); ++position) {
      tj::Node* node = table_.nodes[position];
      table_.position[node] = static_cast<int>(position);
      if (node->kind() == c10::prim::Constant) continue;
      Op op;
      op.kind = node->kind().toQualString();
      op.module = module_path(*node);
      std::vector<tj::Value*> used;
      used_values(node, used);
      std::set<int> inputs, parameters;
      bool depends = false, sized = false, weights = false;
      for (tj::Value* value : used) {
        if (is_image(value)) op.reads_input = true;
        if (const auto found = parameter_of_.find(value); found != parameter_of_.end())
          parameters.insert(found->second);
        if (const auto found = table_.op_of.find(value->node()); found != table_.op_of.end())
          inputs.insert(found->second);
        depends |= table_.image_dependent.count(value) > 0 || was_written(value);
        sized |= table_.sized.count(value->node()) > 0;
        weights |= parameter_of_.count(value) > 0 || of_parameters_.count(value) > 0;
      }
      if (sized || (depends && reads_shape_only(*node))) table_.sized.insert(node);
      if (depends && writes(node)) image_writers_.push_back(node);
      for (tj::Value* output : node->outputs()) {
        if (depends && holds_tensors(output->type()) && !reads_shape_only(*node)) table_.image_dependent.insert(output);
        if (!depends && weights) of_parameters_.insert(output);
      }
      op.inputs.assign(inputs.begin(), inputs.end());
      op.parameters.assign(parameters.begin(), parameters.end());
      op.flops = flops_in(node);
      if (!is_view(*node)) {
        for (tj::Value* output : node->outputs()) op.output_bytes += bytes_of(output);
      }
      // Weights may be cast, normalised or transposed first.
      const bool computed = weights && op_info(*node).role == Role::kLinear;
      table_.linear.push_back(is_weighted(*node) && (computed || !op.parameters.empty()));
      table_.on_image_path.push_back(!node->outputs().empty() && table_.image_dependent.count(node->output(0)) > 0);
      table_.op_of[node] = static_cast<int>(program_.ops.size());
      table_.node_of.push_back(node);
      program_.ops.push_back(std::move(op));
    }
    for (tj::Value* output : graph_->outputs()) {
      if (const auto found = table_.op_of.find(output->node()); found != table_.op_of.end())
        program_.results.push_back(found->second);
    }
  }

  /// Whether the program wrote something that depends on the image into this value's memory: some models assemble
  /// batches so.
  bool was_written(tj::Value* value) const {
    if (parameter_of_.count(value) > 0 || !holds_tensors(value->type())) return false;
    return std::any_of(image_writers_.begin(), image_writers_.end(),
                       [&](tj::Node* writer) { return aliases_.writesToAlias(writer, tj::ValueSet{value}); });
  }

  /// Whether the parameters that an op reads may be weights. Quantised layers, other packed layers and custom operators
  /// keep their weights in forms of their own.
  static bool is_weighted(const tj::Node& node) {
    const bool foreign = !node.kind().is_aten() && !node.kind().is_prim();
    return op_info(node).role == Role::kLinear || !node.blocks().empty() || foreign;
  }

  bool is_image(const tj::Value* value) const {
    const auto inputs = graph_->inputs();
    return std::find(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(images_), value) !=
           inputs.begin() + static_cast<std::ptrdiff_t>(images_);
  }

  std::int64_t flops_in(tj::Node* node) const {
    std::int64_t flops = 0;
    for (tj::Block* block : node->blocks()) {
      for (tj::Node* inner : block->nodes()) flops += flops_in(inner);
    }
    if (!node->blocks().empty()) return flops;
    // Branches and loops count as often as their nodes ran.
    const auto seen = node->outputs().empty() ? one_.end() : one_.find(node->output(0));
    const std::int64_t runs = seen == one_.end() ? 1 : seen->second.runs;
    return runs * flops_of(*node, [&](const tj::Value* value) -> const std::vector<std::int64_t>* {
             const auto found = sizes_.find(value);
             return found == sizes_.end() ? nullptr : &found->second;
           });
  }

  std::int64_t bytes_of(const tj::Value* value) const {
    const auto found = one_.find(value);
    if (found == one_.end()) return 0;
    std::int64_t bytes = static_cast<std::int64_t>(c10::elementSize(found->second.dtype));
    for (const std::int64_t size : found->second.sizes) bytes *= size;
    return bytes;
  }

  /// Whether a node writes into one of these values, or into a value that one of them holds. A write into a dict in a
  /// list, for example, is no write into the list for alias analysis.
  bool writes_into(tj::Node* writer, const std::vector<tj::Value*>& values) const {
    if (aliases_.writesToAlias(writer, tj::ValueSet(values.begin(), values.end()))) return true;
    std::vector<tj::Value*> written;
    written_values(writer, written);
    return std::any_of(values.begin(), values.end(), [&](tj::Value* value) {
      return std::any_of(written.begin(), written.end(), [&](tj::Value* one) {
        return holds(value->type(), one->type()) && aliases_.mayContainAlias(value, one);
      });
    });
  }

  /// An op that reads memory after a write needs the writing op.
  void order_writes() {
    std::vector<tj::Node*> writers;
    for (tj::Node* node : table_.nodes) {
      if (table_.op_of.count(node) > 0 && writes(node)) writers.push_back(node);
    }
    for (tj::Node* writer : writers) {
      for (auto i = static_cast<std::size_t>(table_.position.at(writer)) + 1; i < table_.nodes.size(); ++i) {
        tj::Node* later = table_.nodes[i];
        if (table_.op_of.count(later) == 0) continue;
        std::vector<tj::Value*> used;
        used_values(later, used);
        if (!writes_into(writer, used)) continue;
        auto& inputs = program_.ops[table_.op_of.at(later)].inputs;
        inputs.push_back(table_.op_of.at(writer));
        std::sort(inputs.begin(), inputs.end());
        inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
      }
      if (writes_into(writer, {graph_->outputs().begin(), graph_->outputs().end()})) {
        program_.results.push_back(table_.op_of.at(writer));
      }
    }
  }

  std::shared_ptr<tj::Graph> graph_;
  std::size_t images_;
  const Observations& one_;
  Program& program_;
  tj::AliasDb aliases_;
  OpTable table_;
  std::unordered_map<const tj::Value*, int> parameter_of_;
  std::unordered_map<const tj::Value*, std::vector<std::int64_t>> sizes_;
  std::set<const tj::Value*> of_parameters_;
  std::vector<tj::Node*> image_writers_;  // nodes that write values that depend on the image
};

}  // namespace

OpTable describe_ops(const std::shared_ptr<tj::Graph>& graph, std::size_t images, const Observations& one,
                     Program& program) {
  return OpDescriber(graph, images, one, program).run();
}

bool writes(tj::Node* node) {
  if (const auto* schema = node->maybeSchema(); schema && schema->is_mutable()) return true;
  for (tj::Block* block : node->blocks()) {
    for (tj::Node* inner : block->nodes()) {
      if (writes(inner)) return true;
    }
  }
  return false;
}

Parameter describe_parameter(const std::string& path, const c10::IValue& value) {
  Parameter parameter;
  parameter.path = path;
  parameter.dtype = value.isTensor() ? c10::toString(value.toTensor().scalar_type()) : value.tagKind();
  if (value.isTensor()) parameter.shape = value.toTensor().sizes().vec();
  StoredMemory stored;
  for (const at::Tensor& tensor : stored_tensors(value)) {
    // A tensor that repeats elements takes less memory than it shows; one that lies in another's has no more than it
    // shows.
    const StoredSize memory = stored.add({&tensor, 1});
    parameter.elements += std::min(memory.elements, tensor.numel());
    // What is quantised has scales and zero points beside its elements.
    parameter.bytes +=
        tensor.is_quantized() ? memory.bytes : std::min(memory.bytes, static_cast<std::int64_t>(tensor.nbytes()));
  }
  return parameter;
}

Program describe_merged(const Assembly& assembly, const std::vector<c10::IValue>& images) {
  Program program;
  for (const AssembledParameter& assembled : assembly.parameters) {
    program.parameters.push_back(describe_parameter(assembled.path, assembled.value));
  }
  std::vector<c10::IValue> inputs = images;
  for (const AssembledParameter& parameter : assembly.parameters) inputs.push_back(parameter.value);
  const Observations seen = observe(assembly.graph, inputs);
  (void)describe_ops(assembly.graph, images.size(), seen, program);
  return program;
}

}  // namespace repsim::graph
