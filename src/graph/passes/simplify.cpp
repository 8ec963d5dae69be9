#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/loop_unrolling.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/peephole.h>
#include <torch/csrc/jit/passes/peephole_list_idioms.h>

#include "passes.hpp"

namespace repsim::graph {

void simplify(std::shared_ptr<torch::jit::Graph>& graph) {
  namespace tj = torch::jit;
  tj::LowerSimpleTuples(graph);
  // Folding decides branches and the lengths of loops, and these give more to fold. Four rounds are enough for what
  // people write; what is left is only less simple, never wrong.
  for (int round = 0; round < 4; ++round) {
    bool changed = fold_appends(graph) > 0;
    changed |= fold_plain(graph) > 0;
    changed |= tj::ConstantPropagationImmutableTypes(graph);  // decides branches
    changed |= tj::PeepholeOptimize(graph);
    changed |= tj::PeepholeOptimizeListIdioms(graph);
    changed |= tj::UnrollConstantLoops(graph);
    if (!changed) break;
  }
  do {
    tj::EliminateDeadCode(graph);
  } while (drop_dead_loops(graph) > 0);
  tj::ConstantPooling(graph);
}

}  // namespace repsim::graph
