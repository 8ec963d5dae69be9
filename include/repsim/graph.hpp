#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/model.hpp"
#include "repsim/program.hpp"
#include "repsim/replacement.hpp"

/// Models as flat functional graphs: preparation, layers, running with probes, joining several models into one graph.
/// Everything that knows torch::jit's intermediate representation is in this stage and in bundle.
namespace repsim::graph {

/// A model whose forward is one flat graph without modules: inputs are the image argument, then program.parameters in
/// order; it returns what the model returns, bit for bit.
struct Prepared {
  std::string name;
  bool rewritable = true;  ///< false: the model is opaque; graph is empty, program has no ops
  std::string opaque_reason;
  std::shared_ptr<torch::jit::Graph> graph;  ///< treat as constant: copy before any edit
  std::vector<c10::IValue> parameters;       ///< values of program.parameters
  Program program;
  std::int64_t model_elements = 0;  ///< of all tensors in the file, used or not
  std::int64_t model_bytes = 0;
  bool batchable = false;  ///< outputs at batch 2 equal those at batch 1 frame by frame, to 1e-4
  /// Where capture, fits and trials run the graph. What is kept here, and what a bundle holds, is on the CPU.
  at::Device device = at::kCPU;
};

/// All tensors that an archive stores of a value: of a module its parameters and buffers, and of both what lists, dicts
/// and packed objects (the weights of quantised modules) hold. Each tensor once, depth first.
[[nodiscard]] std::vector<at::Tensor> stored_tensors(const c10::IValue& value);
[[nodiscard]] std::vector<at::Tensor> stored_tensors(const torch::jit::Module& module);

/// SHA-256 of type, shape, strides and values: equal means bit-identical, in results too. Not for quantised tensors,
/// whose values do not say their scale.
[[nodiscard]] std::string content_hash(const at::Tensor& tensor);

/// What a first run with example frames tells of a model.
struct TraceRun {
  c10::IValue output;  ///< for one example frame
  bool batchable = false;
};
/// Runs forward as loaded on example frames, at batch 1 and 2.
/// @throws Error{kInput} when forward raises: message, and the input that it was given; when the same frame twice gives
///         two outputs
[[nodiscard]] TraceRun dry_run(const model::Loaded& model);

/// Inlines, folds what is constant in evaluation mode, lifts parameters to graph inputs, removes in-place writes where
/// that is exact, names the layers. A model that does not allow this (writes to its own attributes, calls that cannot
/// be inlined, ...) or whose prepared graph does not return the very bits of the original is opaque, with the reason.
/// @param device  Prepared::device
[[nodiscard]] Prepared prepare(const model::Loaded& model, const TraceRun& dry, at::Device device = at::kCPU);

/// A value in a graph by position: output `output` of node number `node` of the top block (0-based).
struct Place {
  int node = -1;
  int output = 0;
};
[[nodiscard]] inline Place place_of(const Layer& layer) { return {layer.node, layer.output}; }

/// Receives tapped tensors while the graph runs; `probe` is the index in the list of places. The tensor is only valid
/// during the call: it may be overwritten or freed afterwards.
using ProbeSink = std::function<void(int probe, const at::Tensor& value)>;

/// A graph compiled once, run many times, with probes at given places. Runs without the graph executor's profiling, so
/// that every run does the same, and without gradients unless they are asked for.
class Runner {
 public:
  /// @param graph  copied, not changed (torch's copy() is not const)
  /// @param probes  places in it; each fires right after its producer, in execution order
  /// @param keep_output  false: only what the probes need is computed, run returns None
  /// @param device  of the computation, wherever the graph and its parameters were made: parameters, constants and the
  ///        tensors that operations make are brought there, and so are inputs. What is tapped lies there
  Runner(torch::jit::Graph& graph, std::vector<c10::IValue> parameters, std::span<const Place> probes, bool keep_output,
         at::Device device = at::kCPU);
  /// @param inputs  the graph's inputs before the parameters
  /// @return on the CPU
  /// @throws Error{kInput} when an operation fails
  c10::IValue run(std::vector<c10::IValue> inputs, const ProbeSink& sink = {}) const;

  /// The same, left on the device, so that the result can be differentiated with respect to what was tapped: the sink
  /// gets the values that the graph goes on with and may keep them. Parameters count as variables, so that values
  /// behind one can be differentiated whatever the inputs are.
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

/// What a small convolution adds to the result of a linear map: one of the map's stride and dilation whose kernel is
/// larger by a ring of one, into a few channels, and a 1x1 convolution from these.
struct Correction {
  at::Tensor down;  ///< [rank, C_in, kh + 2, kw + 2] for a map of kernel kh x kw; undefined: none
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

/// A convolution of the receiver that gets other weights.
struct ConvRefit {
  int node = -1;  ///< top-block node in the receiver's prepared graph
  at::Tensor weight, bias;
  Correction correction = {};
  int normalisation = -1;  ///< node of the batch normalisation behind it that the weights have taken in; -1: none
};

/// A receiver with its replacements and fitted weights.
struct Splice {
  ModelIndex receiver = -1;
  std::vector<FittedReplacement> replacements;
  std::vector<ConvRefit> refits;

  /// The layers of donors that the receiver reads, in the order in which a merged graph meets them: those of the
  /// replacements, and auxiliary inputs of their corrections and of the refits. A layer that is read twice is there
  /// twice.
  [[nodiscard]] std::vector<DonorLayer> donor_layers() const;
};

/// Where a parameter of an assembled graph lives: an attribute path below the model's name.
struct AssembledParameter {
  ModelIndex model = -1;
  std::string path;  ///< "backbone.stage1.0.weight"; of adapters "shared.<n>.weight"
  c10::IValue value;
  bool added = false;     ///< adapter, refitted weight or constant matrix
  bool constant = false;  ///< a matrix of an adapter that nothing ever fits: a buffer
  std::string content;    ///< content_hash of the value; empty where it was fitted
};

/// Several prepared models as one graph: inputs are the input groups' arguments, then the parameters that are used;
/// outputs are the results of the wanted models in order. Identical parameters are one input, identical computations
/// of the same input are done once.
struct Assembly {
  std::shared_ptr<torch::jit::Graph> graph;
  std::vector<int> input_groups;               ///< groups that are inputs of the graph, ascending
  std::vector<AssembledParameter> parameters;  ///< in the order of the graph's inputs after the groups
  std::vector<ModelIndex> models;              ///< whose results the graph returns
  /// Where the layers asked for ended up, per request; node -1 when nothing computes it any more.
  std::vector<Place> places;
  at::Device device = at::kCPU;  ///< where its models run, all on the same

  [[nodiscard]] std::vector<c10::IValue> parameter_values() const;
};

/// A value to be found in the assembled graph.
struct PlaceRequest {
  ModelIndex model = -1;
  Place place;         ///< in the model's prepared graph; its value after replacements
  bool input = false;  ///< the node's first input instead of its output
};

/// @param models  prepared models, opaque ones allowed as long as nothing refers to them
/// @param groups  input group of each model
/// @param splices at most one per receiver; donors are computed before receivers, cycles are an Error{kInternal}
/// @param wanted  models whose results the graph returns; everything that they and the requests do not need is gone
/// @param requests  values whose places are wanted (kept alive)
[[nodiscard]] Assembly assemble(std::span<const Prepared* const> models, std::span<const int> groups,
                                std::span<const Splice> splices, std::span<const int> wanted,
                                std::span<const PlaceRequest> requests = {});

/// Ops and parameters of a merged graph, without layers: for the accounting of what the bundle computes and holds.
/// @param images  one value per input group of the assembly, for one frame
[[nodiscard]] Program describe_merged(const Assembly& assembly, const std::vector<c10::IValue>& images);

/// Nodes of dense convolutions (groups 1) that are the first linear operations after the layers `cut`: reached from
/// them only through operations that treat channels alike (concatenation, pooling, upsampling, element-wise
/// activation). Empty when any path ends elsewhere, so that a refit is not possible.
[[nodiscard]] std::vector<int> refit_convolutions(const Prepared& model, const std::vector<int>& cut);

/// Geometry of a convolution node, as far as a refit needs it.
struct ConvGeometry {
  std::vector<std::int64_t> weight_shape;  ///< [out, in, kh, kw]
  std::vector<std::int64_t> stride, padding, dilation;
  int weight_parameter = -1;  ///< index in program.parameters, -1: computed
  int bias_parameter = -1;    ///< likewise; -1: none
  bool has_bias = false;
  std::int64_t output_places = 0;  ///< height * width of the result; 0: unknown
  LayerIndex layer = -1;  ///< of which it is a part: what it returns has that layer's height and width; -1: none
};
[[nodiscard]] ConvGeometry convolution_geometry(const Prepared& model, int node);
/// That of an adapter: 1x1, nothing around.
[[nodiscard]] inline ConvGeometry pointwise_geometry() { return {{0, 0, 1, 1}, {1, 1}, {0, 0}, {1, 1}, -1, -1, true}; }

/// A batch normalisation by constants that a convolution can take in: scale * x + shift per channel.
struct Normalisation {
  int node = -1;                ///< of the top block
  OpIndex op = -1;              ///< of the program
  at::Tensor scale, shift;      ///< float64 [C]
  std::vector<int> parameters;  ///< of the program, ascending: those that nothing else reads
};
/// That behind a convolution whose result nothing else reads.
[[nodiscard]] std::optional<Normalisation> normalisation_behind(const Prepared& model, int node);

}  // namespace repsim::graph
