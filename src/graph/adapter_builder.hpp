#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "merged_inputs.hpp"
#include "repsim/graph.hpp"

namespace repsim::graph {

/// A donor's layer in a merged graph.
struct DonorValue {
  torch::jit::Value* value = nullptr;
  const Layer* layer = nullptr;  ///< its entry in the donor's program
};

/// Inserts what one receiver adds to a merged graph, at the graph's insert point: resampling, adapters, corrections.
/// Parameters of the bundle get their paths here.
class AdapterBuilder {
 public:
  /// @param receiver  index of the receiver
  /// @param model  the receiver
  /// @param donor_value  finds a donor's layer in the graph, which holds the donors already
  AdapterBuilder(torch::jit::Graph& graph, MergedInputs& inputs, ModelIndex receiver, const Prepared& model,
                 std::function<DonorValue(const DonorLayer&)> donor_value);

  /// The value that takes the place of the replaced layer.
  /// @param number  index of the replacement in its splice
  torch::jit::Value* replaced(const FittedReplacement& replacement, std::size_t number);

  /// Gives a convolution its new weights.
  /// @param convolution  the copy of node refit.node in the merged graph
  /// @return its result with that of the correction added
  torch::jit::Value* refitted(torch::jit::Node* convolution, const ConvRefit& refit);

  /// Makes a convolution or a linear layer run with a donor's weight.
  /// @param layer  the copy, in the merged graph, of the node that read weight.parameter
  /// @return its result with that of the difference added
  torch::jit::Value* shared(torch::jit::Node* layer, torch::jit::Value* donor_weight, const FittedWeight& weight);

  /// Registers the constant matrices of a splice as inputs, in the order in which replaced() and refitted() would, and
  /// inserts nothing.
  void add_matrices(const Splice& splice);

 private:
  struct Matrices {
    torch::jit::Value *horizontal = nullptr, *vertical = nullptr;  // null: this direction stays as it is
  };

  torch::jit::Value* corrected(torch::jit::Value* result, torch::jit::Value* input, const Correction& correction,
                               const ConvGeometry& geometry, const std::string& folder);
  torch::jit::Value* pointwise(torch::jit::Value* value, const std::string& path, const at::Tensor& weight,
                               torch::jit::Value* none, torch::jit::Value* one);
  torch::jit::Value* resampled(const DonorLayer& from, const Resampling& to, const std::string& path);
  Matrices matrices(const Resampling& resampling, const std::string& path);
  torch::jit::Value* fitted(const std::string& path, const at::Tensor& weight);
  torch::jit::Value* constant_matrix(const std::string& path, const at::Tensor& values);
  torch::jit::Value* integers(const std::vector<std::int64_t>& values);

  [[nodiscard]] std::string replacement_folder(std::size_t number) const {
    return folder_ + "." + std::to_string(number);
  }
  [[nodiscard]] std::string refit_folder(int node) const { return folder_ + ".refit" + std::to_string(node); }
  [[nodiscard]] std::string weight_folder(int parameter) const {
    return folder_ + ".weight" + std::to_string(parameter);
  }
  static std::string auxiliary_folder(const std::string& correction, std::size_t number) {
    return correction + ".side" + std::to_string(number);
  }

  torch::jit::Graph& graph_;
  MergedInputs& inputs_;
  const ModelIndex receiver_;
  const Prepared& model_;
  const std::function<DonorValue(const DonorLayer&)> donor_value_;
  const std::string folder_;  // attribute of the receiver that holds what is added
};

}  // namespace repsim::graph
