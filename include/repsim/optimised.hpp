#pragma once

#include <memory>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::graph {

/// A private copy of a graph that computes some of its values faster, and not to the bit: normalisation is folded into
/// the convolutions before it, convolutions have their weights packed for oneDNN and apply the activation behind them,
/// and maps lie with their channels last.
struct Optimised {
  std::shared_ptr<torch::jit::Graph> graph;  ///< inputs: those of the graph before its parameters, then `parameters`
  std::vector<c10::IValue> parameters;
  std::vector<Place> places;  ///< per place asked for
  int convolutions = 0;       ///< packed
  int normalisations = 0;     ///< folded
  int activations = 0;        ///< fused
};

/// What becomes of a value between a convolution and the end of what is fused into it, where it is read, too.
enum class Between {
  kKept,      ///< nothing is fused over it
  kRepeated,  ///< it is computed once more for itself: the bits of a value do not depend on which others are read
};

/// Rewrites a copy; the graph stays as it is (torch's copy() is not const).
/// @param parameters  the values of the graph's last inputs
/// @param keep_output  false: the copy computes only what the places need, and returns nothing
/// @throws Error{kInput} or another exception where the graph holds something that cannot be packed: run it as it is
/// then. Whether the values agree is the caller's to check.
[[nodiscard]] Optimised optimise(torch::jit::Graph& graph, const std::vector<c10::IValue>& parameters,
                                 std::span<const Place> places, Between between, bool keep_output);
/// The same of a rewritable model with its layers as places, kept, and its output.
[[nodiscard]] Optimised optimise(const Prepared& model);

/// Computes values of a graph, nothing behind them.
struct ProbeRunner {
  Runner runner;       ///< probes: the places asked for
  std::string reason;  ///< empty: the optimised copy runs; else why the graph runs as it is
};
inline constexpr double kLayerTolerance = 1e-4;

/// The layers of a rewritable model, by its optimised copy where that works: on an example every layer's values equal
/// those of the model as it is, to `kLayerTolerance` of the layer's largest.
/// @param example  the graph's inputs before the parameters, for few frames: all their layers are in memory at once
/// @param keep_output  the model's result is computed, too, and returned by Runner::run()
[[nodiscard]] ProbeRunner layer_runner(const Prepared& model, const std::vector<c10::IValue>& example,
                                       bool keep_output = false);

/// The same of places in a merged graph.
[[nodiscard]] ProbeRunner merged_runner(const Assembly& assembly, const std::vector<Place>& places,
                                        const std::vector<c10::IValue>& example);

}  // namespace repsim::graph
