#pragma once

#include <memory>
#include <string>
#include <vector>

#include "repsim/graph.hpp"

/// Private copies of graphs that compute faster, with results equal to 1e-4 instead of to the bit.
namespace repsim::graph {

/// A private copy of a graph in which normalisations are folded into the convolutions in front of them, convolutions
/// have weights packed for oneDNN and apply the activation behind them, and maps lie with their channels last.
struct Optimised {
  std::shared_ptr<torch::jit::Graph> graph;  ///< inputs: those of the graph before its parameters, then `parameters`
  std::vector<c10::IValue> parameters;
  std::vector<Place> places;  ///< in `graph`, per place asked for
  int convolutions = 0;       ///< how many were packed
  int normalisations = 0;     ///< how many were folded
  int activations = 0;        ///< how many were fused
};

/// What optimise() does with a value between a convolution and the operations that it could fuse into it, where
/// something else reads the value, too.
enum class Between {
  kKept,      ///< it fuses nothing behind the value
  kRepeated,  ///< it fuses, and computes the value once more for its other readers. A value's bits then do not depend
              ///< on which other values are read
};

/// Makes an optimised copy. The graph stays as it is (torch's copy() is not const).
/// @param parameters  the values of the graph's last inputs
/// @param places  values to keep track of
/// @param keep_output  false: the copy computes only the values at `places`, and returns nothing
/// @throws Error{kInput} or another exception where the graph holds something that cannot be packed; the caller runs
///         the graph as it is then. The caller also has to check that the values agree
[[nodiscard]] Optimised optimise(torch::jit::Graph& graph, const std::vector<c10::IValue>& parameters,
                                 std::span<const Place> places, Between between, bool keep_output);
/// Makes an optimised copy of a rewritable model, with its layers as places, Between::kKept, and its output.
[[nodiscard]] Optimised optimise(const Prepared& model);

/// Runs a graph with probes, by its optimised copy where possible.
struct ProbeRunner {
  Runner runner;       ///< its probes are the places asked for
  std::string reason;  ///< why the graph runs as it is; empty: the optimised copy runs
};
/// The largest difference between a value of the optimised copy and of the graph, relative to the value's largest
/// element, at which the copy is used.
inline constexpr double kLayerTolerance = 1e-4;

/// A runner of a rewritable model with its layers as places. It takes the optimised copy if every layer agrees with the
/// model as it is on an example, to `kLayerTolerance`.
/// @param example  the graph's inputs before the parameters, for few frames: all their layers are in memory at once
/// @param keep_output  the runner also computes the model's result, which Runner::run() returns
[[nodiscard]] ProbeRunner layer_runner(const Prepared& model, const std::vector<c10::IValue>& example,
                                       bool keep_output = false);

/// A runner of places in a merged graph, without the graph's results. It takes the optimised copy if all places agree
/// on an example, to `kLayerTolerance`.
/// @param example  the graph's inputs before the parameters, for few frames
[[nodiscard]] ProbeRunner merged_runner(const Assembly& assembly, const std::vector<Place>& places,
                                        const std::vector<c10::IValue>& example);

}  // namespace repsim::graph
