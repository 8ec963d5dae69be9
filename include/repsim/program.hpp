#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "repsim/base/index.hpp"
#include "repsim/replacement.hpp"

namespace repsim::graph {

/// A tensor that belongs to the model (parameter or buffer), as the graph uses it.
struct Parameter {
  std::string path;   ///< attribute path from the root: "backbone.stage1.0.weight"
  std::string dtype;  ///< "float32", ...
  std::vector<std::int64_t> shape;
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  std::string content;  ///< SHA-256 of dtype, shape and values: equal content means bit-identical
};

/// One operation of the prepared graph, in execution order. Control flow counts as one operation.
struct Op {
  std::string kind;               ///< "aten::conv2d"
  std::string module;             ///< module path, "" for the root's own code
  std::vector<OpIndex> inputs;    ///< ops that must run first, ascending: those whose results or writes this one reads
  std::vector<int> parameters;    ///< indices into Program::parameters, ascending
  LayerIndex layer = -1;          ///< the layer (fused block) that this op belongs to; -1: none
  std::int64_t flops = 0;         ///< per frame; a multiply-add counts as 2
  std::int64_t output_bytes = 0;  ///< per frame, of fresh memory (0 for views)
  bool reads_input = false;       ///< takes the model's input directly
};

/// A point where a representation can be taken or replaced: the output of a fused block.
struct Layer {
  std::string name;                 ///< stable, unique: module path plus ":op" where the op is the module's own code
  std::string kind;                 ///< "conv", "add", "cat", "pool", ...
  std::vector<std::int64_t> shape;  ///< per frame, without the batch dimension: C,H,W
  std::string dtype;
  OpIndex op = -1;                 ///< the op whose result the representation is
  std::int64_t parameters = 0;     ///< elements, of the block's own ops
  std::int64_t bytes = 0;          ///< of these parameters
  std::int64_t flops = 0;          ///< per frame
  std::vector<LayerIndex> inputs;  ///< layers that this block reads, directly or through ops that are no layers
  // The value's place in the prepared graph, as graph::Place. Plain numbers: pointers into a graph never leave the
  // function that owns the graph.
  int node = -1;
  int output = 0;
};

/// A value that looks like a layer but is none, and why.
struct RejectedLayer {
  std::string name;
  std::string reason;
};

/// A model's prepared graph as plain data: what the planner, the reports and the accounting read.
struct Program {
  std::vector<Op> ops;
  std::vector<Parameter> parameters;
  std::vector<Layer> layers;  ///< in execution order
  std::vector<RejectedLayer> rejected_layers;
  std::vector<OpIndex> results;             ///< ops that compute what the model returns
  std::int64_t unused_parameter_bytes = 0;  ///< of tensors in the file that forward never reads
};

/// Per op the layers whose values it reads, ascending, directly or through ops that end no layer. Reads program.ops and
/// Layer::op, not Layer::inputs.
[[nodiscard]] std::vector<std::vector<int>> layers_read(const Program& program);

/// Whether a resize to height x width is average pooling, because the map is at least as large in both directions, or
/// else bilinear interpolation. Adapters and the regressions that choose them follow this rule.
[[nodiscard]] inline bool resizes_by_pooling(std::int64_t from_height, std::int64_t from_width, std::int64_t height,
                                             std::int64_t width) {
  return from_height >= height && from_width >= width;
}

/// What a program loses when layers are replaced: everything upstream of them that nothing else needs. Ops that the
/// results do not need in the first place are not in it.
struct Removal {
  std::vector<OpIndex> ops;        ///< ascending
  std::vector<LayerIndex> layers;  ///< layers whose op is removed, ascending; the replaced ones included
  std::vector<int> parameters;     ///< indices into Program::parameters that no remaining op uses, ascending
  std::int64_t elements = 0;       ///< of these parameters
  std::int64_t bytes = 0;          ///< of these parameters
  std::int64_t flops = 0;          ///< of the removed ops, per frame
};

/// @param replaced  layers whose values come from elsewhere
/// Cost: one backward pass over the ops.
[[nodiscard]] Removal removed_by(const Program& program, const std::vector<LayerIndex>& replaced);

/// Per op whether the program's results need it when the values of the layers `replaced` come from elsewhere. A
/// replaced layer's op is not computed and needs no inputs; an op that computes several layers stays until all of them
/// are replaced.
[[nodiscard]] std::vector<bool> live_ops(const Program& program, const std::vector<LayerIndex>& replaced);
/// Per op whether the values of the ops `results` need it when the layers `replaced` come from elsewhere.
[[nodiscard]] std::vector<bool> live_ops(const Program& program, const std::vector<LayerIndex>& replaced,
                                         const std::vector<OpIndex>& results);

/// A prediction of activation memory: the largest sum of simultaneously live op outputs, in bytes per frame, when the
/// ops run in order and each output is freed after its last use. Parameters, the model's input and ops that the results
/// do not need do not count. An op without memory of its own (output_bytes 0: a view, an in-place op, a tuple) keeps
/// the outputs that it looks at alive.
[[nodiscard]] std::int64_t peak_activation_bytes(const Program& program);

/// Floating point operations per frame of the ops that the results need.
[[nodiscard]] std::int64_t total_flops(const Program& program);

/// What operations of one kind cost on the nominal machine of latency estimates: about one core of a server processor
/// with 512-bit vectors, as measured with Torch 2.13 (docs/research/benchmarks.md). Estimates are for this machine, not
/// for the one at hand, so that equal plans have equal estimates everywhere.
struct OpCost {
  std::int64_t ps_per_flop, ps_per_byte;  ///< picoseconds
  std::int64_t overhead_ns;               ///< per op: dispatch, allocation, choice of a kernel
  /// Picoseconds are rounded down to whole nanoseconds. @param bytes  that are moved
  [[nodiscard]] std::int64_t nanoseconds(std::int64_t flops, std::int64_t bytes) const;
};
inline constexpr OpCost kConvolutionCost{12, 200, 15'000};  ///< a kernel of several cells: values change their layout
inline constexpr OpCost kPointwiseCost{7, 125, 7'000};      ///< 1x1 convolutions
inline constexpr OpCost kDepthwiseCost{10, 350, 65'000};    ///< one input channel per output channel
inline constexpr OpCost kMaxPoolCost{12, 850, 10'000};
inline constexpr OpCost kResizeCost{12, 480, 10'000};  ///< average pooling, interpolation
inline constexpr OpCost kOtherCost{12, 60, 4'000};

/// Per op an estimate of its time in nanoseconds: FLOPs and bytes moved, each at the rate of its kind, plus the
/// overhead. An op moves the outputs of other ops that it reads (of a view the whole memory that it looks at), its
/// parameters and its output; the model's input does not count. Ops without FLOPs and without memory of their own
/// (views, tuples) cost nothing. Estimates are whole numbers, so that a plan's saving is exactly the sum over the ops
/// that it removes.
[[nodiscard]] std::vector<std::int64_t> op_latencies_ns(const Program& program);
/// Estimated nanoseconds per frame of the ops that the results need.
[[nodiscard]] std::int64_t total_latency_ns(const Program& program);

/// A replacement, and which operations an adapter consists of, in the order in which they run. `donor` is the index of
/// a program in the list that merged_program() takes.
struct MergedReplacement : Replacement {
  bool horizontal = false, vertical = false;  ///< products with constant matrices
  bool resize = false;                        ///< pooling or interpolation
  bool linear = false;                        ///< 1x1 convolution
};

/// A shared weight, and the sizes of its difference. `donor` is the index of a program in the list that
/// merged_program() takes.
struct MergedWeight : SharedWeight {
  OpIndex op = -1;            ///< the receiver's convolution or linear layer
  std::int64_t channels = 0;  ///< of its result
  std::int64_t taps = 0;      ///< products per value of the result
};

/// A receiver with its replacements, as plain data.
struct MergedShare {
  ModelIndex receiver = -1;  ///< index of its program in the list that merged_program() takes
  std::vector<MergedReplacement> replacements;
  std::vector<OpIndex> folded = {};  ///< the receiver's ops that became part of the op in front of them
  std::vector<MergedWeight> weights = {};
};

/// What a difference of this rank adds beside a convolution or a linear layer.
struct DifferenceCost {
  std::int64_t elements = 0, flops = 0;  ///< flops per frame
};
/// @param places  of the layer's result: values per channel
[[nodiscard]] constexpr DifferenceCost difference_cost(std::int64_t rank, std::int64_t channels, std::int64_t taps,
                                                       std::int64_t places) {
  const std::int64_t elements = rank * (taps + channels);
  return {elements, rank == 0 ? 0 : (2 * elements + channels) * places};
}

/// The layer that a weight belongs to by its path: "stem.conv" of "stem.conv.weight", else the path itself.
[[nodiscard]] std::string layer_of_weight(const Parameter& weight);

/// Several programs as the one program that a bundle runs: donors_first(), of each program the ops that its results
/// need, and the ops of adapters where the replaced layers were, of differences behind the layers that run with
/// another model's weight. Equal parameters are one. The result has no layers.
/// Two simplifications: a computation that stands in several programs stands as often in the result, because ops do not
/// say enough to compare them; and refitted convolutions keep their sizes.
/// @param guests  per program whether it returns nothing, so that only what the shares take of it is computed; empty:
///        all return their results
/// @throws Error{kInternal} when the shares form a cycle
[[nodiscard]] Program merged_program(const std::vector<const Program*>& programs,
                                     const std::vector<MergedShare>& shares, const std::vector<bool>& guests = {});

/// The layer of this name; -1: there is none.
[[nodiscard]] LayerIndex find_layer(const Program& program, const std::string& name);

}  // namespace repsim::graph
