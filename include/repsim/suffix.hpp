#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

/// A merged graph in two parts, so that many merged graphs over the same frames compute once what they have in common.
namespace repsim::graph {

/// Numbers for computations: equal ones (the same operations on the same inputs and stored parameters) have the same
/// number, in all graphs that ask the same object.
class ValueNumbering {
 public:
  int of(const std::string& computation) {
    return numbers_.emplace(computation, static_cast<int>(numbers_.size())).first->second;
  }

 private:
  std::map<std::string, int> numbers_;
};

/// A tensor that a merged graph computes from its inputs and stored parameters alone, not from what was fitted.
struct InvariantValue {
  int number = -1;  ///< of its computation; -1: it depends on what was fitted, or cannot be kept (something writes to
                    ///< it, random numbers, control flow)
  Place place;      ///< in the assembly's graph
};

/// The numbers of the values at assembly.places, in order.
[[nodiscard]] std::vector<InvariantValue> invariant_places(const Assembly& assembly, ValueNumbering& numbers);

/// The rest of a merged graph behind its fixed values.
struct SuffixGraph {
  std::vector<InvariantValue> given;  ///< what the rest starts from: all have numbers
  /// Inputs: the assembly's groups, the given values, the parameters. Returns what the assembly's graph returns.
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<bool> reads_group;  ///< per group of assembly.input_groups: the rest still reads it
};
[[nodiscard]] SuffixGraph suffix_of(const Assembly& assembly, ValueNumbering& numbers);

}  // namespace repsim::graph
