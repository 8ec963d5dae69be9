#include <set>

#include "graph_access.hpp"
#include "op_table.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Turns a tensor into a number or a truth value of the program.
bool reads_number(const tj::Node& node) {
  static const std::set<std::string> kNames = {
      "aten::Bool",           "aten::Int",         "aten::Float",         "aten::item",   "aten::is_nonzero",
      "aten::ScalarImplicit", "aten::IntImplicit", "aten::FloatImplicit", "aten::tolist", "aten::equal"};
  return kNames.count(node.kind().toQualString()) > 0;
}

class Flow {
 public:
  explicit Flow(const tj::Value* image) { dependent_.insert(image); }

  /// Whether a number is read from what depends on the image; values that depend on it are collected on the way.
  bool visit(const tj::Block* block) {
    for (const tj::Node* node : block->nodes()) {
      const bool depends = std::any_of(node->inputs().begin(), node->inputs().end(),
                                       [&](const tj::Value* value) { return dependent_.count(value) > 0; });
      if (depends && reads_number(*node)) return true;
      if (depends && !reads_shape_only(*node)) mark(node->outputs());
      for (const tj::Block* inner : node->blocks()) {
        if (depends) mark(inner->inputs());
        // Twice: what a loop carries round reaches its beginning in the second visit.
        if (visit(inner) || visit(inner)) return true;
        for (std::size_t i = 0; i < inner->outputs().size(); ++i) {
          if (dependent_.count(inner->outputs()[i]) == 0) continue;
          mark(node->outputs());
          mark(inner->inputs());
        }
      }
    }
    return false;
  }

 private:
  void mark(at::ArrayRef<const tj::Value*> values) { dependent_.insert(values.begin(), values.end()); }

  std::set<const tj::Value*> dependent_;
};

}  // namespace

bool is_steered_by_values(const tj::Graph& graph) { return Flow(graph.inputs().at(0)).visit(graph.block()); }

}  // namespace repsim::graph
