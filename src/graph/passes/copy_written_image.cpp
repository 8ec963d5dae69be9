#include <torch/csrc/jit/ir/alias_analysis.h>

#include "passes.hpp"

namespace repsim::graph {

namespace tj = torch::jit;

bool copy_written_image(const std::shared_ptr<tj::Graph>& graph) {
  tj::Value* image = graph->inputs().at(0);
  if (!image->type()->isSubtypeOf(*c10::TensorType::get()) || !tj::AliasDb(graph).hasWriters(image)) return false;
  tj::WithInsertPoint guard(*graph->nodes().begin());
  tj::Value* copy = graph->insert(c10::aten::clone, {image});
  image->replaceAllUsesWith(copy);
  copy->node()->replaceInput(0, image);
  return true;
}

}  // namespace repsim::graph
