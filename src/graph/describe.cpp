#include <algorithm>
#include <map>

#include "describe_ops.hpp"
#include "op_table.hpp"
#include "passes/passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// A layer that is still growing.
struct Block {
  std::string kind;
  std::vector<int> ops;
  tj::Value* end = nullptr;
};

/// Finds the layers of a Program that has its ops already.
class LayerDescriber {
 public:
  LayerDescriber(const OpTable& table, const Observations& one, const Observations& two,
                 const std::unordered_set<const tj::Value*>& overwritten, const tj::Module& module, Program& program)
      : table_(table), one_(one), two_(two), overwritten_(overwritten), module_(module), program_(program) {}

  void run() {
    find_blocks();
    finish_layers();
    connect_layers();
  }

 private:
  void find_blocks() {
    for (tj::Node* node : table_.nodes) {
      if (table_.op_of.count(node) == 0 || node->outputs().empty()) continue;
      tj::Value* out = node->output(0);
      if (!is_tensor(out)) continue;
      if (table_.image_dependent.count(out) == 0) {
        if (meets_the_image(out)) reject(node, table_.sized.count(node) > 0 ? "shape computation" : "constant");
        continue;
      }
      const OpInfo info = op_info(*node);
      switch (info.role) {
        case Role::kLinear:
        case Role::kPool:
        case Role::kBranch:
          begin(node, node->kind() == c10::aten::mean && rank(out) < 4 ? "mean" : info.kind);
          break;
        case Role::kFollow:
          if (gate_of_silu(node)) break;
          if (!extend(node, node->input(0))) begin(node, info.kind);
          break;
        case Role::kJoin:
          if (closes_silu(node)) break;
          if (joins_two(node)) {
            begin(node, info.kind);
          } else if (!extend(node, node->input(0))) {
            reject(node, "element-wise arithmetic");
          }
          break;
        case Role::kView:
          reject(node, "view of another layer");
          break;
        case Role::kOther:
          reject(node, why_unknown(*node));
          break;
      }
    }
  }

  /// Whether some node reads this value, which does not depend on the image, together with one that does.
  bool meets_the_image(const tj::Value* value) const {
    return std::any_of(value->uses().begin(), value->uses().end(), [&](const tj::Use& use) {
      const auto outputs = use.user->outputs();
      return std::any_of(outputs.begin(), outputs.end(),
                         [&](const tj::Value* output) { return table_.image_dependent.count(output) > 0; });
    });
  }

  std::string why_unknown(const tj::Node& node) const {
    if (!node.blocks().empty()) return "inside control flow that runs a varying number of times";
    const auto seen = one_.find(node.output(0));
    if (seen != one_.end() && c10::isQIntType(seen->second.dtype)) return "quantised";
    if (!node.kind().is_aten() && !node.kind().is_prim())
      return std::string("of the operator ") + node.kind().toQualString();
    static const std::set<std::string> kArithmetic = {"aten::sub",  "aten::div", "aten::rsub", "aten::neg",
                                                      "aten::exp",  "aten::pow", "aten::sqrt", "aten::sub_",
                                                      "aten::div_", "aten::mul_"};
    if (kArithmetic.count(node.kind().toQualString()) > 0) return "element-wise arithmetic";
    return "of an operation that repsim does not know";
  }

  std::size_t rank(const tj::Value* value) const {
    const auto found = one_.find(value);
    return found == one_.end() ? 0 : found->second.sizes.size();
  }

  void begin(tj::Node* node, const std::string& kind) {
    end_of_[node->output(0)] = static_cast<int>(blocks_.size());
    blocks_.push_back({kind, {table_.op_of.at(node)}, node->output(0)});
  }

  /// Continues the block that ends at `input`, if this node is the only one that reads it.
  bool extend(tj::Node* node, tj::Value* input) {
    const auto found = end_of_.find(input);
    if (found == end_of_.end()) return false;
    for (const auto& use : input->uses()) {
      if (use.user != node && !reads_shape_only(*use.user)) return false;
    }
    grow(found->second, node);
    return true;
  }

  void grow(int block, tj::Node* node) {
    Block& grown = blocks_[block];
    end_of_.erase(grown.end);
    grown.ops.push_back(table_.op_of.at(node));
    grown.end = node->output(0);
    end_of_[grown.end] = block;
  }

  /// Whether this is the sigmoid of a written-out silu, x * sigmoid(x). The gate belongs to x's block, and so does the
  /// product.
  bool gate_of_silu(tj::Node* node) {
    tj::Value *x = node->input(0), *gate = node->output(0);
    const auto found = end_of_.find(x);
    if (found == end_of_.end() || gate->uses().size() != 1) return false;
    tj::Node* product = gate->uses()[0].user;
    if (product->kind() != c10::aten::mul) return false;
    if (product->input(0) != x && product->input(1) != x) return false;
    for (const auto& use : x->uses()) {
      if (use.user != node && use.user != product && !reads_shape_only(*use.user)) return false;
    }
    blocks_[found->second].ops.push_back(table_.op_of.at(node));
    silu_.emplace(product, found->second);
    return true;
  }

  bool closes_silu(tj::Node* node) {
    const auto found = silu_.find(node);
    if (found == silu_.end()) return false;
    grow(found->second, node);
    return true;
  }

  bool joins_two(tj::Node* node) const {
    if (node->kind() == c10::aten::cat || node->kind() == c10::aten::stack) return true;
    int dependent = 0;
    for (const tj::Value* input : node->inputs()) dependent += table_.image_dependent.count(input) > 0 ? 1 : 0;
    return dependent >= 2;
  }

  void reject(tj::Node* node, const std::string& reason) {
    if (rank(node->output(0)) >= 3) program_.rejected_layers.push_back({base_name(node), reason});
  }

  /// The operation's name, equal for traced and scripted exports: without the mark of in-place operations, and with the
  /// number of dimensions of a convolution.
  std::string op_name(const tj::Node& node) const {
    std::string op = node.kind().toUnqualString();
    if (node.kind() == c10::aten::_convolution && rank(node.output(0)) >= 3) {
      const auto transposed = tj::toIValue(node.input(6));
      return std::string(transposed && transposed->toBool() ? "conv_transpose" : "conv") +
             std::to_string(rank(node.output(0)) - 2) + "d";
    }
    if (!op.empty() && op.back() == '_' && op.front() != '_') op.pop_back();
    return op;
  }

  /// Module path, with ":op" where the op is a container's own code.
  std::string base_name(tj::Node* node) const {
    const std::string path = module_path(*node);
    const std::string op = op_name(*node);
    if (path.empty()) return "forward:" + op;
    tj::Module module = module_;
    std::size_t begin = 0;
    while (begin <= path.size()) {
      const std::size_t end = std::min(path.find('.', begin), path.size());
      module = module.attr(path.substr(begin, end - begin)).toModule();
      begin = end + 1;
    }
    const auto children = module.named_children();
    return children.size() == 0 ? path : path + ":" + op;
  }

  void finish_layers() {
    const std::vector<bool> weighted = leads_to_weights();
    const std::map<std::string, int> ends = blocks_by_end();
    std::map<std::string, int> uses;
    for (const Block& block : blocks_) {
      tj::Node* node = block.end->node();
      std::string name = base_name(ends.at(module_path(*node)) > 1 ? naming_node(block) : node);
      const int use = ++uses[name];
      if (use > 1) name += "@" + std::to_string(use);
      const std::string reason = no_layer_reason(block, weighted);
      if (!reason.empty()) {
        program_.rejected_layers.push_back({name, reason});
        continue;
      }
      const Observation& seen = one_.at(block.end);
      Layer layer;
      layer.name = name;
      layer.kind = block.kind;
      layer.shape.assign(seen.sizes.begin() + 1, seen.sizes.end());
      layer.dtype = c10::toString(seen.dtype);
      layer.op = table_.op_of.at(node);
      layer.node = table_.position.at(node);
      for (const int index : block.ops) {
        Op& op = program_.ops[index];
        op.layer = static_cast<int>(program_.layers.size());
        layer.flops += op.flops;
        for (const int parameter : parameters_behind(index)) {
          layer.parameters += program_.parameters[parameter].elements;
          layer.bytes += program_.parameters[parameter].bytes;
        }
      }
      program_.layers.push_back(std::move(layer));
    }
  }

  /// Parameters that an op reads, and those that its weights are computed from.
  std::set<int> parameters_behind(OpIndex op) const {
    std::set<int> found, seen{op};
    std::vector<int> open{op};
    while (!open.empty()) {
      const Op& one = program_.ops[open.back()];
      open.pop_back();
      found.insert(one.parameters.begin(), one.parameters.end());
      for (const int input : one.inputs) {
        if (!table_.on_image_path[input] && seen.insert(input).second) open.push_back(input);
      }
    }
    return found;
  }

  /// How many blocks end in each module's code.
  std::map<std::string, int> blocks_by_end() const {
    std::map<std::string, int> count;
    for (const Block& block : blocks_) ++count[module_path(*block.end->node())];
    return count;
  }

  /// The node that names a block where one activation module ends many blocks: the last op of the block that has
  /// parameters of its own.
  tj::Node* naming_node(const Block& block) const {
    for (std::size_t i = block.ops.size(); i-- > 0;) {
      if (!parameters_behind(block.ops[i]).empty()) return table_.node_of[block.ops[i]];
    }
    return block.end->node();
  }

  /// Per op whether it is a linear operation with weights, or such an operation depends on its result. Buffers that
  /// decoding adds or multiplies with (grids, anchors) are no weights: where only they follow, post-processing begins.
  std::vector<bool> leads_to_weights() const {
    std::vector<bool> leads(program_.ops.size(), false);
    for (std::size_t i = program_.ops.size(); i-- > 0;) {
      const bool weights = table_.linear[i] && table_.on_image_path[i];
      if (!weights && !leads[i]) continue;
      leads[i] = true;
      for (const int input : program_.ops[i].inputs) leads[input] = true;
    }
    return leads;
  }

  std::string no_layer_reason(const Block& block, const std::vector<bool>& weighted) const {
    const auto seen = one_.find(block.end);
    if (seen == one_.end() || seen->second.runs == 0) return "not computed on the example frame";
    const auto& sizes = seen->second.sizes;
    if (c10::isQIntType(seen->second.dtype)) return "quantised";
    if (!c10::isFloatingType(seen->second.dtype)) return "integer values";
    if (sizes.size() < 2 || sizes[0] != 1) return "no batch dimension in front";
    if (!two_.empty()) {
      const auto both = two_.find(block.end);
      if (both == two_.end() || both->second.sizes.empty() || both->second.sizes[0] != 2 ||
          !std::equal(sizes.begin() + 1, sizes.end(), both->second.sizes.begin() + 1, both->second.sizes.end())) {
        return "shape depends on more than the batch size";
      }
    }
    if (overwritten_.count(block.end) > 0) return "overwritten in place later";
    // Nodes that read the memory under its old name would not see the replacement.
    if (writes(block.end->node())) return "written in place into what others read";
    if (!weighted[block.ops.back()]) return "post-processing: no weights behind it";
    return {};
  }

  /// Which layers each block reads, through ops that are no layers.
  void connect_layers() {
    const auto feeding = layers_read(program_);
    for (std::size_t i = 0; i < program_.ops.size(); ++i) {
      const int index = program_.ops[i].layer;
      if (index < 0) continue;
      auto& inputs = program_.layers[index].inputs;
      for (const int source : feeding[i]) {
        if (source != index) inputs.push_back(source);
      }
      std::sort(inputs.begin(), inputs.end());
      inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    }
  }

  const OpTable& table_;
  const Observations& one_;
  const Observations& two_;
  const std::unordered_set<const tj::Value*>& overwritten_;
  const tj::Module& module_;
  Program& program_;
  std::vector<Block> blocks_;
  std::unordered_map<const tj::Value*, int> end_of_;  // block that ends there
  std::unordered_map<const tj::Node*, int> silu_;     // block that the product belongs to
};

}  // namespace

void describe(const std::shared_ptr<tj::Graph>& graph, const Observations& one, const Observations& two,
              const std::unordered_set<const tj::Value*>& overwritten, const tj::Module& module, Program& program) {
  const OpTable table = describe_ops(graph, 1, one, program);
  LayerDescriber(table, one, two, overwritten, module, program).run();
}

}  // namespace repsim::graph
