#include <functional>

#include "graph_access.hpp"
#include "repsim/failure_text.hpp"

namespace repsim::graph {

namespace tj = torch::jit;

std::string reason_of(const std::exception& error) { return model::own_words(error.what()); }

Observations observe(const std::shared_ptr<tj::Graph>& graph, const std::vector<c10::IValue>& inputs) {
  // The copy is equal in structure: a walk over both in step gives the original value of each probe.
  const std::shared_ptr<tj::Graph> copy = graph->copy();
  std::vector<const tj::Value*> originals;
  std::vector<tj::Value*> copies;
  const std::function<void(tj::Block*, tj::Block*)> walk = [&](tj::Block* original, tj::Block* twin) {
    auto other = twin->nodes().begin();
    for (tj::Node* node : original->nodes()) {
      for (std::size_t i = 0; i < node->outputs().size(); ++i) {
        if (!is_tensor(node->output(i))) continue;
        if (node->kind() == c10::prim::Constant) continue;
        originals.push_back(node->output(i));
        copies.push_back((*other)->output(i));
      }
      for (std::size_t i = 0; i < node->blocks().size(); ++i) walk(node->blocks()[i], (*other)->blocks()[i]);
      ++other;
    }
  };
  walk(graph->block(), copy->block());
  for (std::size_t i = 0; i < copies.size(); ++i) insert_probe(*copy, copies[i], static_cast<int>(i));

  Observations seen;
  const Runner runner(*copy, {}, {}, /*keep_output=*/true);
  (void)runner.run(inputs, [&](int probe, const at::Tensor& value) {
    Observation& observation = seen[originals[probe]];
    if (value.defined()) {
      observation.sizes = value.sizes().vec();
      observation.dtype = value.scalar_type();
    }
    ++observation.runs;
  });
  return seen;
}

}  // namespace repsim::graph
