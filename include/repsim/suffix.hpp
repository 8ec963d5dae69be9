#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

/// Splitting a merged graph into invariant values and a suffix, so that many merged graphs over the same frames compute
/// their common values once (docs/internals/graph.md).
namespace repsim::graph {

/// Gives equal computations equal numbers, in all graphs that are numbered with the same object. Two computations are
/// equal if they apply the same operations to the same inputs and stored parameters.
class ValueNumbering {
 public:
  int of(const std::string& computation) {
    return numbers_.emplace(computation, static_cast<int>(numbers_.size())).first->second;
  }

 private:
  std::map<std::string, int> numbers_;
};

/// A value of a merged graph, and whether it depends on the graph's inputs and stored parameters alone, not on fitted
/// weights.
struct InvariantValue {
  int number = -1;  ///< of its computation; -1: it depends on fitted weights, or cannot be kept because something
                    ///< writes to it, or because random numbers or control flow take part
  Place place;      ///< in the assembly's graph
};

/// The values at assembly.places, in that order.
[[nodiscard]] std::vector<InvariantValue> invariant_places(const Assembly& assembly, ValueNumbering& numbers);

/// The part of a merged graph behind its invariant values.
struct SuffixGraph {
  std::vector<InvariantValue> supplied;  ///< the values that the suffix starts from; every one has a number
  /// Its inputs are the assembly's input groups, then the supplied values, then the parameters. It returns what the
  /// assembly's graph returns.
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<bool> reads_group;  ///< per group of assembly.input_groups whether the suffix reads it
};
/// The smallest suffix of an assembly: it starts from the last invariant tensors on each path.
[[nodiscard]] SuffixGraph suffix_of(const Assembly& assembly, ValueNumbering& numbers);

}  // namespace repsim::graph
