#include "adapter_builder.hpp"

#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// "shared", or longer where the model has an attribute of that name itself.
std::string added_folder(const Program& program) {
  std::string folder = "shared";
  const auto clashes = [&](const Parameter& parameter) {
    return parameter.path == folder || parameter.path.starts_with(folder + ".");
  };
  while (std::any_of(program.parameters.begin(), program.parameters.end(), clashes)) folder += "_";
  return folder;
}

}  // namespace

AdapterBuilder::AdapterBuilder(tj::Graph& graph, MergedInputs& inputs, ModelIndex receiver, const Prepared& model,
                               std::function<DonorValue(const DonorLayer&)> donor_value)
    : graph_(graph),
      inputs_(inputs),
      receiver_(receiver),
      model_(model),
      donor_value_(std::move(donor_value)),
      folder_(added_folder(model.program)) {}

tj::Value* AdapterBuilder::replaced(const FittedReplacement& replacement, std::size_t number) {
  const std::string path = replacement_folder(number);
  tj::Value* value = resampled({replacement.donor, replacement.donor_layer}, replacement.resampling, path);
  if (!replacement.weight.defined()) return value;
  tj::Value* weight = fitted(path + ".weight", replacement.weight);
  tj::Value* bias = fitted(path + ".bias", replacement.bias);
  tj::Value* adapted = graph_.insert(c10::aten::conv2d, {value, weight, bias, integers({1, 1}), integers({0, 0}),
                                                         integers({1, 1}), graph_.insertConstant(1)});
  if (!replacement.correction.defined()) return adapted;
  return corrected(adapted, value, replacement.correction, pointwise_geometry(), path);
}

tj::Value* AdapterBuilder::refitted(tj::Node* convolution, const ConvRefit& refit) {
  const ConvGeometry geometry = convolution_geometry(model_, refit.node);
  const std::string path = model_.program.parameters[geometry.weight_parameter].path;
  // Without a dot rfind gives npos, and npos + 1 is 0: an empty prefix.
  std::string bias = path.substr(0, path.rfind('.') + 1);
  bias += "bias";
  convolution->replaceInput(1, fitted(path, refit.weight));
  convolution->replaceInput(2, fitted(bias, refit.bias));
  if (!refit.correction.defined()) return convolution->output();
  return corrected(convolution->output(), convolution->input(0), refit.correction, geometry, refit_folder(refit.node));
}

tj::Value* AdapterBuilder::shared(tj::Node* layer, tj::Value* donor_weight, const FittedWeight& weight) {
  layer->replaceInput(1, donor_weight);
  if (weight.rank == 0) return layer->output();
  const std::string folder = weight_folder(weight.parameter);
  tj::Value *none = graph_.insertConstant(c10::IValue()), *one = graph_.insertConstant(1);
  if (layer->kind() == c10::aten::linear) {
    tj::Value* down = graph_.insert(c10::aten::linear, {layer->input(0), fitted(folder + ".down", weight.down), none});
    tj::Value* up = graph_.insert(c10::aten::linear, {down, fitted(folder + ".up", weight.up), none});
    return graph_.insert(c10::aten::add, {layer->output(), up});
  }
  // Stride, padding and dilation are those of the convolution beside it.
  tj::Value* down = graph_.insert(c10::aten::conv2d, {layer->input(0), fitted(folder + ".down", weight.down), none,
                                                      layer->input(3), layer->input(4), layer->input(5), one});
  return graph_.insert(c10::aten::add, {layer->output(), pointwise(down, folder + ".up", weight.up, none, one)});
}

void AdapterBuilder::add_matrices(const Splice& splice) {
  const auto of_auxiliary_inputs = [&](const Correction& correction, const std::string& folder) {
    for (std::size_t i = 0; i < correction.auxiliary_inputs.size(); ++i)
      matrices(correction.auxiliary_inputs[i].resampling, auxiliary_folder(folder, i));
  };
  for (std::size_t i = 0; i < splice.replacements.size(); ++i) {
    const std::string folder = replacement_folder(i);
    matrices(splice.replacements[i].resampling, folder);
    of_auxiliary_inputs(splice.replacements[i].correction, folder);
  }
  for (const ConvRefit& refit : splice.refits) of_auxiliary_inputs(refit.correction, refit_folder(refit.node));
}

/// Adds what a correction computes of the convolution's input to the convolution's result.
tj::Value* AdapterBuilder::corrected(tj::Value* result, tj::Value* input, const Correction& correction,
                                     const ConvGeometry& geometry, const std::string& folder) {
  std::vector<std::int64_t> padding = geometry.padding;  // one ring more, so that the size stays
  for (std::size_t i = 0; i < padding.size(); ++i) padding[i] += geometry.dilation[i];
  tj::Value *none = graph_.insertConstant(c10::IValue()), *one = graph_.insertConstant(1);
  tj::Value* down = graph_.insert(c10::aten::conv2d,
                                  {input, fitted(folder + ".down", correction.down), none, integers(geometry.stride),
                                   integers(padding), integers(geometry.dilation), one});
  for (std::size_t i = 0; i < correction.auxiliary_inputs.size(); ++i) {
    const AuxiliaryInput& auxiliary = correction.auxiliary_inputs[i];
    const std::string path = auxiliary_folder(folder, i);
    tj::Value* map = resampled(auxiliary, auxiliary.resampling, path);
    down = graph_.insert(c10::aten::add, {down, pointwise(map, path + ".weight", auxiliary.weight, none, one)});
  }
  return graph_.insert(c10::aten::add, {result, pointwise(down, folder + ".up", correction.up, none, one)});
}

/// A 1x1 convolution without bias.
tj::Value* AdapterBuilder::pointwise(tj::Value* value, const std::string& path, const at::Tensor& weight,
                                     tj::Value* none, tj::Value* one) {
  return graph_.insert(c10::aten::conv2d,
                       {value, fitted(path, weight), none, integers({1, 1}), integers({0, 0}), integers({1, 1}), one});
}

/// A donor's layer in the receiver's coordinates.
tj::Value* AdapterBuilder::resampled(const DonorLayer& from, const Resampling& to, const std::string& path) {
  auto [value, layer] = donor_value_(from);
  // The horizontal product first: a product from the right is one for all maps and channels.
  const Matrices products = matrices(to, path);
  if (products.horizontal) value = graph_.insert(c10::aten::matmul, {value, products.horizontal});
  if (products.vertical) value = graph_.insert(c10::aten::matmul, {products.vertical, value});
  if (to.height == 0) return value;
  const bool pool = resizes_by_pooling(layer->shape.at(1), layer->shape.at(2), to.height, to.width);
  tj::Value* size = integers({to.height, to.width});
  return pool ? graph_.insert(c10::aten::adaptive_avg_pool2d, {value, size})
              : graph_.insert(c10::aten::upsample_bilinear2d,
                              {value, size, graph_.insertConstant(false), graph_.insertConstant(c10::IValue()),
                               graph_.insertConstant(c10::IValue())});
}

/// The buffers' names are part of the bundle's format: ".columns" is horizontal, ".rows" is vertical.
AdapterBuilder::Matrices AdapterBuilder::matrices(const Resampling& resampling, const std::string& path) {
  Matrices result;
  if (resampling.horizontal.defined()) result.horizontal = constant_matrix(path + ".columns", resampling.horizontal);
  if (resampling.vertical.defined()) result.vertical = constant_matrix(path + ".rows", resampling.vertical);
  return result;
}

tj::Value* AdapterBuilder::fitted(const std::string& path, const at::Tensor& weight) {
  return inputs_.parameter({receiver_, path, weight, /*added=*/true, /*constant=*/false, /*content=*/{}});
}

tj::Value* AdapterBuilder::constant_matrix(const std::string& path, const at::Tensor& values) {
  return inputs_.parameter({receiver_, path, values, /*added=*/true, /*constant=*/true, content_hash(values)});
}

tj::Value* AdapterBuilder::integers(const std::vector<std::int64_t>& values) {
  return graph_.insertConstant(c10::List<std::int64_t>(values));
}

}  // namespace repsim::graph
