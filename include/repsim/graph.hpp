#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "repsim/model.hpp"
#include "repsim/program.hpp"
#include "repsim/replacement.hpp"

/// Models as flat functional graphs: preparation, layers, running with probes, merging several models into one graph
/// (docs/internals/graph.md).
namespace repsim::graph {

/// A model whose forward is one flat graph without modules. The graph's inputs are the image argument, then
/// program.parameters in order; it returns what the model returns, bit for bit.
struct Prepared {
  std::string name;
  bool rewritable = true;  ///< false: the model is opaque; graph is empty, program has no ops
  std::string opaque_reason;
  bool keeps_weights =
      true;  ///< false: an opaque model's code may write into them, so no other model has the same ones
  std::shared_ptr<torch::jit::Graph> graph;  ///< treat as constant: copy before any edit
  std::vector<c10::IValue> parameters;       ///< the values of program.parameters
  Program program;
  std::int64_t model_elements = 0;  ///< of all tensors in the file, used or not
  std::int64_t model_bytes = 0;     ///< of all tensors in the file, used or not
  bool batchable = false;           ///< outputs at batch 2 equal those at batch 1 frame by frame, to 1e-4
  /// Where capture, fits and trials run the graph. The tensors in this struct and in bundles lie on the CPU.
  at::Device device = at::kCPU;
};

/// All tensors that an archive stores of a value: the tensor, or the tensors in a list, a dict or a packed object (the
/// weights of a quantised module). Each tensor once, depth first.
[[nodiscard]] std::vector<at::Tensor> stored_tensors(const c10::IValue& value);
/// All tensors that an archive stores of a module: its parameters, its buffers and those of other attributes, of its
/// submodules too. Each tensor once, depth first.
[[nodiscard]] std::vector<at::Tensor> stored_tensors(const torch::jit::Module& module);

/// What an archive stores of some tensors.
struct StoredSize {
  std::int64_t elements = 0;  ///< without the indices of sparse tensors
  std::int64_t bytes = 0;
  std::int64_t count = 0;  ///< of memories

  StoredSize& operator+=(const StoredSize& more);
};
/// Adds up the memory behind tensors. It counts as a whole, since archives store it so, and once, however many of the
/// tensors look at it.
class StoredMemory {
 public:
  /// @return the size of what these tensors add
  StoredSize add(std::span<const at::Tensor> tensors);

 private:
  std::set<const void*> seen_;
  std::vector<at::Tensor> kept_;  // packed weights come as tensors made for the asking: their places stay theirs
};

/// SHA-256 of type, shape, strides and values. Tensors of equal hash are bit-identical, and computations with them give
/// identical bits. Not for quantised tensors, whose values do not say their scale.
[[nodiscard]] std::string content_hash(const at::Tensor& tensor);

/// What the first run of a model shows.
struct TraceRun {
  c10::IValue output;      ///< of one example frame (model::example_frames)
  bool batchable = false;  ///< outputs at batch 2 equal those at batch 1 frame by frame, to 1e-4
};
/// Runs forward of a model as loaded on example frames, at batch 1 and 2.
/// @throws Error{kInput} when forward raises an error, with its message and the input, or when one frame gives two
///         different outputs in two runs
[[nodiscard]] TraceRun trace_run(const model::Loaded& model);

/// Makes the functional graph of a model: inlines calls, folds what is constant in evaluation mode, lifts parameters to
/// graph inputs, removes in-place writes where that is exact, and names the layers. The model is opaque, with a reason,
/// if it does not allow this (it keeps a state, calls something that cannot be inlined, ...) or if the graph does not
/// return the very bits of the original.
/// @param trace  what trace_run() returned for this model
/// @param device  Prepared::device
[[nodiscard]] Prepared prepare(const model::Loaded& model, const TraceRun& trace, at::Device device = at::kCPU);

/// A value in a graph: output `output` of node `node` of the top block, both counted from 0.
struct Place {
  int node = -1;  ///< -1: nothing computes the value
  int output = 0;
};
[[nodiscard]] inline Place place_of(const Layer& layer) { return {layer.node, layer.output}; }

/// Receives the values of probes while a graph runs; `probe` is the index in the list of places. The tensor is valid
/// during the call only: the graph may overwrite or free it afterwards.
using ProbeSink = std::function<void(int probe, const at::Tensor& value)>;

/// A graph that is compiled once and run many times, with probes at given places. It runs without the profiling of
/// torch's graph executor, so that every run computes alike.
class Runner {
 public:
  /// @param graph  copied, not changed (torch's copy() is not const)
  /// @param parameters  the values of the graph's last inputs
  /// @param probes  places in the graph; each probe fires right after the node that computes its value; a place of node
  ///        -1 never fires
  /// @param keep_output  false: the graph computes only what the probes need, and run() returns None
  /// @param device  where the graph runs. The runner brings inputs, parameters and constants there, and operations make
  ///        their tensors there. Probes see tensors on this device
  Runner(torch::jit::Graph& graph, std::vector<c10::IValue> parameters, std::span<const Place> probes, bool keep_output,
         at::Device device = at::kCPU);
  /// Runs without gradients.
  /// @param inputs  the graph's inputs before the parameters, on any device
  /// @return the graph's result on the CPU; a tuple if it has several outputs
  /// @throws Error{kInput} when an operation fails
  c10::IValue run(std::vector<c10::IValue> inputs, const ProbeSink& sink = {}) const;

  /// Runs with gradients, so that the caller can differentiate the result with respect to the values of probes. The
  /// sink gets the very values that the graph goes on with, and may keep them. Parameters of two or more dimensions are
  /// variables: so every value behind one of them can be differentiated, whatever the inputs are.
  /// @param inputs  the graph's inputs before the parameters, on any device
  /// @return the graph's result on the runner's device
  /// @throws Error{kInput} when an operation fails
  c10::IValue run_differentiable(std::vector<c10::IValue> inputs, const ProbeSink& sink) const;

 private:
  c10::IValue interpret(std::vector<c10::IValue> inputs, const std::vector<c10::IValue>& parameters,
                        const ProbeSink& sink) const;

  torch::jit::Code code_;
  at::Device device_;
  std::vector<c10::IValue> parameters_;
};

/// How a donor's map becomes a map in the receiver's coordinates: by a resize, by products with constant matrices, or,
/// where nothing is set, not at all.
struct Resampling {
  /// Both models see the same part of the frame, and the map is resized to this height and width as
  /// resizes_by_pooling() says. 0: no resize.
  std::int64_t height = 0, width = 0;
  /// The models see different parts of the frame (repsim/resample.hpp): the map is multiplied with `vertical`
  /// [H, donor's H] from the left and with `horizontal` [donor's W, W] from the right, both float32. Undefined: this
  /// direction stays as it is. A merged graph stores equal matrices once.
  at::Tensor vertical, horizontal;
};

/// Another layer of a share's donors, which a correction reads in the size of the correction's result.
struct AuxiliaryInput : DonorLayer {
  Resampling resampling = {};
  at::Tensor weight;  ///< 1x1 convolution [rank, C, 1, 1]; its result is added to that of Correction::down
};

/// Two convolutions of low rank whose result is added to that of an adapter's or a refitted convolution. The first has
/// this convolution's stride and dilation, a kernel that is larger by one cell on each side, and a few output channels
/// (the rank); auxiliary inputs add to its result. The second is a 1x1 convolution.
struct Correction {
  at::Tensor down;  ///< [rank, C_in, kh + 2, kw + 2] beside a convolution of kernel kh x kw; undefined: no correction
  at::Tensor up;    ///< [C_out, rank, 1, 1]
  std::vector<AuxiliaryInput> auxiliary_inputs = {};

  [[nodiscard]] bool defined() const { return down.defined(); }
};

/// A replacement with its adapter: a resampling, then a 1x1 convolution.
struct FittedReplacement : Replacement {
  Resampling resampling = {};
  at::Tensor weight, bias;     ///< of the convolution: [C_out, C_in, 1, 1] and [C_out]; undefined: no convolution
  Correction correction = {};  ///< of this convolution
};

/// A convolution of the receiver that gets new weights.
struct ConvRefit {
  int node = -1;            ///< node of the top block of the receiver's prepared graph
  at::Tensor weight, bias;  ///< [C_out, C_in, kh, kw] and [C_out]
  Correction correction = {};
  int normalisation = -1;  ///< node of the batch normalisation that is folded into the weights; -1: none
};

/// A shared weight with its difference: the layer returns what it returns with the donor's weight, plus up (down x).
/// Its bias stays.
struct FittedWeight : SharedWeight {
  at::Tensor down;  ///< [rank, C_in, kh, kw], a convolution of the same geometry, or [rank, in]; undefined: rank 0
  at::Tensor up;    ///< [C_out, rank, 1, 1], or [out, rank]; undefined: rank 0
};

/// A receiver with its replacements, fitted weights and shared weights.
struct Splice {
  ModelIndex receiver = -1;
  std::vector<FittedReplacement> replacements;
  std::vector<ConvRefit> refits;
  std::vector<FittedWeight> weights = {};

  /// The layers of donors that the receiver reads, in the order in which a merged graph meets them: those of the
  /// replacements, and auxiliary inputs of their corrections and of the refits. A layer that is read twice is there
  /// twice.
  [[nodiscard]] std::vector<DonorLayer> donor_layers() const;
};

/// A parameter of a merged graph, and where the bundle keeps it.
struct AssembledParameter {
  ModelIndex model = -1;
  std::string path;  ///< attribute path below the model: "backbone.stage1.0.weight"; of adapters "shared.<n>.weight"
  c10::IValue value;
  bool added = false;     ///< adapter, refitted weight, difference of a shared weight, or constant matrix
  bool constant = false;  ///< a matrix of an adapter that nothing ever fits: a buffer
  std::string content;    ///< content_hash of the value; empty where it was fitted
};

/// A merged graph. Its inputs are the arguments of the input groups, then the parameters that it uses; its outputs are
/// the results of the wanted models in order. Identical parameters are one input, and a computation that several models
/// apply to the same input stands in it once.
struct Assembly {
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<int> input_groups;               ///< groups that are inputs of the graph, ascending
  std::vector<AssembledParameter> parameters;  ///< in the order of the graph's inputs after the groups
  std::vector<ModelIndex> models;              ///< whose results the graph returns
  std::vector<Place> places;     ///< in `graph`, per request; node -1: nothing computes the value any more
  at::Device device = at::kCPU;  ///< where all its models run

  [[nodiscard]] std::vector<c10::IValue> parameter_values() const;
};

/// A value whose place in a merged graph is wanted.
struct PlaceRequest {
  ModelIndex model = -1;
  Place place;         ///< in the model's prepared graph. Where a replacement takes this place, its value is meant
  bool input = false;  ///< the node's first input is meant instead of its output
};

/// Merges models into one graph.
/// @param models  prepared models, opaque ones allowed as long as nothing refers to them
/// @param groups  input group of each model
/// @param splices  at most one per receiver
/// @param wanted  models whose results the graph returns. The graph holds nothing that neither these results nor the
///        requested values need
/// @param requests  values whose places are wanted; the graph computes them
/// @throws Error{kInternal} when the splices form a cycle
[[nodiscard]] Assembly assemble(std::span<const Prepared* const> models, std::span<const int> groups,
                                std::span<const Splice> splices, std::span<const int> wanted,
                                std::span<const PlaceRequest> requests = {});

/// Ops and parameters of a merged graph, without layers, to count what a bundle computes and holds. Runs the graph
/// once.
/// @param images  one argument per input group of the assembly, for one frame
[[nodiscard]] Program describe_merged(const Assembly& assembly, const std::vector<c10::IValue>& images);

/// The dense convolutions (groups 1) that are the first linear operations behind the layers `cut`, as nodes of the top
/// block, ascending. Between a layer and its convolutions there are only operations that treat all channels alike
/// (concatenation, pooling, upsampling, element-wise activation). Empty when a path from a layer leads elsewhere: then
/// a refit is not possible.
[[nodiscard]] std::vector<int> refit_convolutions(const Prepared& model, const std::vector<LayerIndex>& cut);

/// Geometry of a convolution node, as far as a refit needs it.
struct ConvGeometry {
  std::vector<std::int64_t> weight_shape;  ///< [out, in, kh, kw]
  std::vector<std::int64_t> stride, padding, dilation;
  int weight_parameter = -1;  ///< index in program.parameters; -1: the weight is computed
  int bias_parameter = -1;    ///< index in program.parameters; -1: no bias, or a computed one
  bool has_bias = false;
  std::int64_t output_places = 0;  ///< height * width of the result; 0: unknown
  LayerIndex layer = -1;  ///< the layer that it belongs to, if its result has that layer's height and width; else -1
};
[[nodiscard]] ConvGeometry convolution_geometry(const Prepared& model, int node);
/// The geometry of an adapter's convolution: 1x1, stride 1, no padding.
[[nodiscard]] inline ConvGeometry pointwise_geometry() { return {{0, 0, 1, 1}, {1, 1}, {0, 0}, {1, 1}, -1, -1, true}; }

/// A stored float32 weight that one convolution with constant geometry and a zero padding reads, or one linear layer:
/// what another model may have, too.
struct StoredWeight {
  int parameter = -1;      ///< in program.parameters
  bool is_linear = false;  ///< of a linear layer
  int node = -1;           ///< of the top block
  OpIndex op = -1;
  Place input;            ///< of what it reads; node -1: the model's image
  ConvGeometry geometry;  ///< of a linear layer: weight_shape [out, in], output_places, and nothing else
  std::int64_t groups = 1;
  /// Nothing else in the model reads the weight or an equal one: it is gone if its layer runs with another one.
  bool sole_reader = false;

  /// Products per value of the layer's result: C_in / groups * kh * kw.
  [[nodiscard]] std::int64_t taps() const;
  [[nodiscard]] std::int64_t channels() const { return geometry.weight_shape[0]; }  ///< of its result
};
/// The stored weights of a rewritable model, in execution order.
[[nodiscard]] std::vector<StoredWeight> stored_weights(const Prepared& model);

/// A batch normalisation by constants, which can be folded into the convolution in front of it: scale * x + shift per
/// channel.
struct Normalisation {
  int node = -1;                ///< its node in the top block
  OpIndex op = -1;              ///< its op in the program
  at::Tensor scale, shift;      ///< float64 [C]
  std::vector<int> parameters;  ///< indices into Program::parameters that nothing else reads, ascending
};
/// The batch normalisation behind the convolution `node`. Nothing where the convolution's result goes elsewhere, too,
/// or where the normalisation is not by constants.
[[nodiscard]] std::optional<Normalisation> normalisation_behind(const Prepared& model, int node);

}  // namespace repsim::graph
