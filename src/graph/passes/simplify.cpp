#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/constant_propagation.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/lower_tuples.h>
#include <torch/csrc/jit/passes/peephole.h>
#include <torch/csrc/jit/passes/peephole_list_idioms.h>

#include "passes.hpp"

namespace repsim::graph {

void simplify(std::shared_ptr<torch::jit::Graph>& graph) {
  namespace tj = torch::jit;
  tj::LowerSimpleTuples(graph);
  tj::ConstantPropagation(graph);
  tj::PeepholeOptimize(graph);
  tj::PeepholeOptimizeListIdioms(graph);
  tj::ConstantPropagation(graph);
  tj::EliminateDeadCode(graph);
  tj::ConstantPooling(graph);
}

}  // namespace repsim::graph
