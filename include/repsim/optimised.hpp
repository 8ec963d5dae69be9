#pragma once

#include <memory>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::graph {

/// A private copy of a prepared graph that computes the layers' values faster, and not to the bit: normalisation is
/// folded into the convolutions before it, convolutions have their weights packed for oneDNN and apply the activation
/// behind them, and maps lie with their channels last. Only what ends inside one layer's block is fused, so every layer
/// still has its value.
struct Optimised {
  std::shared_ptr<torch::jit::Graph> graph;  ///< inputs: those of the model before its parameters, then `parameters`
  std::vector<c10::IValue> parameters;
  std::vector<Place> places;  ///< per layer of the model's program
  int convolutions = 0;       ///< packed
  int normalisations = 0;     ///< folded
  int activations = 0;        ///< fused
};

/// Rewrites a copy; the model stays as it is.
/// @param model  transparent
/// @throws Error{kInput} or another exception where the graph holds something that cannot be packed: run the model as
/// it is then. Whether the values agree is the caller's to check.
[[nodiscard]] Optimised optimise(const Prepared& model);

/// Computes the layers of a model, nothing behind them.
struct LayerRunner {
  Runner runner;       ///< taps: the layers of the model's program
  std::string reason;  ///< empty: the optimised copy runs; else why the model runs as it is
};

/// The optimised copy where it works: on an example every layer's values equal those of the model as it is, to
/// `kLayerTolerance` of the layer's largest.
/// @param example  the graph's inputs before the parameters, for few frames: all their layers are in memory at once
[[nodiscard]] LayerRunner layer_runner(const Prepared& model, const std::vector<c10::IValue>& example);
inline constexpr double kLayerTolerance = 1e-4;

}  // namespace repsim::graph
