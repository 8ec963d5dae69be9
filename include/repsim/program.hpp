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
  std::vector<int> inputs;        ///< ops whose results this one needs, ascending; order of memory writes included
  std::vector<int> parameters;    ///< indices into Program::parameters, ascending
  LayerIndex layer = -1;          ///< the layer (fused block) this op belongs to, -1: none
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
  OpIndex op = -1;              ///< the op whose result the representation is
  std::int64_t parameters = 0;  ///< elements, of the block's own ops
  std::int64_t bytes = 0;       ///< of these parameters
  std::int64_t flops = 0;       ///< per frame
  std::vector<int> inputs;      ///< layers that this block reads (through ops that are no layers)
  // Where the value is in the prepared graph (node of the top block, output of the node): plain numbers, so that no
  // pointer into a graph leaves the function that owns it.
  int node = -1;
  int output = 0;
};

/// A place that looks like a layer but is none, and why.
struct RejectedLayer {
  std::string name;
  std::string reason;
};

/// A model's prepared graph as plain data: what the planner, the reports and the accounting read.
struct Program {
  std::vector<Op> ops;
  std::vector<Parameter> parameters;
  std::vector<Layer> layers;  ///< in execution order
  std::vector<RejectedLayer> others;
  std::vector<int> results;                 ///< ops that make what the model returns
  std::int64_t unused_parameter_bytes = 0;  ///< in the file, never read by forward
};

/// Per op: the layers whose values it reads, ascending, through ops that are no layer's end.
/// @param program  ops and the `op` of its layers are read, Layer::inputs are not
[[nodiscard]] std::vector<std::vector<int>> layers_read(const Program& program);

/// Whether a map is brought to height x width by average pooling (it is at least as large in both directions) or else
/// by bilinear interpolation: the one rule for adapters and for the regressions that choose them.
[[nodiscard]] inline bool resizes_by_pooling(std::int64_t from_height, std::int64_t from_width, std::int64_t height,
                                             std::int64_t width) {
  return from_height >= height && from_width >= width;
}

/// What disappears when layers are replaced: everything upstream of them that nothing else needs. What the results did
/// not need in the first place is not counted.
struct Removal {
  std::vector<int> ops;            ///< ascending
  std::vector<LayerIndex> layers;  ///< layers whose op disappears, ascending; the replaced ones included
  std::vector<int> parameters;     ///< ascending; used by no op any more
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  std::int64_t flops = 0;  ///< per frame
};

/// @param replaced  layer indices whose values come from elsewhere
/// Cost: one backward pass over the ops.
[[nodiscard]] Removal removed_by(const Program& program, const std::vector<int>& replaced);

/// Ops that the results need when the values of the layers `replaced` come from elsewhere. A replaced layer's op is not
/// computed and needs no inputs; an op that makes several layers stays until all of them are replaced.
[[nodiscard]] std::vector<bool> live_ops(const Program& program, const std::vector<int>& replaced);
/// The same for other results than the program's: ops whose values are wanted.
[[nodiscard]] std::vector<bool> live_ops(const Program& program, const std::vector<int>& replaced,
                                         const std::vector<int>& results);

/// Largest sum of simultaneously live op outputs in bytes per frame, each freed after its last use, parameters and the
/// model's input not counted: a prediction of activation memory in execution order. An op without memory of its own
/// (output_bytes 0: a view, an in-place op, a tuple) keeps what it looks at alive; what the results do not need is left
/// out.
[[nodiscard]] std::int64_t peak_activation_bytes(const Program& program);

/// Over all of Program::parameters.
[[nodiscard]] std::int64_t total_parameter_elements(const Program& program);
[[nodiscard]] std::int64_t total_parameter_bytes(const Program& program);
/// Per frame, of the ops that the results need.
[[nodiscard]] std::int64_t total_flops(const Program& program);

/// The nominal machine of latency estimates: one that everybody can compute with, not the one at hand, so that equal
/// plans have equal estimates everywhere. About a small CPU of four cores.
inline constexpr std::int64_t kFlopsPerNanosecond = 100;     ///< F: 100 GFLOP/s
inline constexpr std::int64_t kBytesPerNanosecond = 20;      ///< B: 20 GB/s
inline constexpr std::int64_t kOverheadNanoseconds = 5'000;  ///< per op: dispatch, allocation

/// Per op an estimate of its time in nanoseconds, by the roofline model (Williams et al. 2009): the larger of FLOPs / F
/// and bytes moved / B, plus the overhead. Moved are what it reads of other ops (through views the whole of what they
/// look at; the model's input not counted), its parameters and what it writes. Ops without FLOPs and memory of their
/// own (views, tuples) cost nothing. Whole numbers that can be added up: what a plan saves is what the ops that are
/// gone would have taken.
[[nodiscard]] std::vector<std::int64_t> op_latencies_ns(const Program& program);
/// Per frame, of the ops that the results need.
[[nodiscard]] std::int64_t total_latency_ns(const Program& program);

/// A replacement, and which operations an adapter consists of, in the order in which they run. `donor` is the index of
/// a program in the list that merged_program() takes.
struct MergedReplacement : Replacement {
  bool horizontal = false, vertical = false;  ///< products with constant matrices
  bool resize = false;                        ///< pooling or interpolation
  bool linear = false;                        ///< 1x1 convolution
};

/// A receiver with its replacements, as plain data.
struct MergedShare {
  ModelIndex receiver = -1;  ///< index of its program in the list that merged_program() takes
  std::vector<MergedReplacement> replacements;
  std::vector<int> folded = {};  ///< the receiver's ops that the one in front of each does as well
};

/// Several programs as the one that a bundle runs: donors before receivers, else in their order; of each what its
/// results need, with the ops of adapters where the replaced layers were. Equal parameters are one. Without layers;
/// computations that are identical in several programs stand as often as they do there (ops do not say enough to tell),
/// and convolutions that are refitted keep their sizes.
/// @throws Error{kInternal} when the shares form a cycle
[[nodiscard]] Program merged_program(const std::vector<const Program*>& programs,
                                     const std::vector<MergedShare>& shares);

/// Index of a layer by name, -1 when there is none.
[[nodiscard]] int find_layer(const Program& program, const std::string& name);

}  // namespace repsim::graph
