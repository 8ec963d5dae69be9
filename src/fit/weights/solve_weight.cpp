#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "repsim/base/error.hpp"
#include "repsim/fit/shared_weights.hpp"

namespace repsim::fit {
namespace {

/// The part of a variance that an error is; an error of 0 is no part of anything.
double part_of(double error, double variance) {
  if (error <= 0) return 0;
  return variance > 0 && std::isfinite(error) ? error / variance : std::numeric_limits<double>::infinity();
}

bool is_grouped(const WeightDifference& difference) { return difference.products.dim() == 1; }

}  // namespace

void WeightDifference::add(const WeightDifference& more) {
  samples += more.samples;
  products = products + more.products;
  outputs = outputs + more.outputs;
  squares = squares + more.squares;
}

double WeightDifference::variance() const {
  const auto count = static_cast<double>(samples);
  // Rounding may leave less than nothing of a constant result.
  return (squares / count - (outputs / count).square()).clamp_min(0).sum().item<double>();
}

std::vector<double> WeightDifference::left_over() const {
  const auto count = static_cast<double>(samples);
  const double all = variance();
  if (is_grouped(*this)) return {part_of(products.sum().item<double>() / count, all)};
  if (!std::isfinite(products.sum().item<double>())) return {std::numeric_limits<double>::infinity()};
  const at::Tensor values = at::linalg_eigvalsh(products / count).contiguous();  // ascending
  const double* value = values.const_data_ptr<double>();
  std::vector<double> result(static_cast<std::size_t>(values.size(0)) + 1, 0);
  double rest = 0;
  for (std::size_t i = 0; i + 1 < result.size(); ++i) {
    rest += std::max(0.0, value[i]);
    result[result.size() - 2 - i] = part_of(rest, all);
  }
  return result;
}

std::int64_t WeightDifference::bytes() const {
  std::int64_t bytes = 0;
  for (const at::Tensor* sum : {&products, &outputs, &squares}) bytes += static_cast<std::int64_t>(sum->nbytes());
  return bytes;
}

SolvedWeight solve_weight(const capture::ModelSet& set, ModelIndex receiver, const WeightDifference& difference,
                          int rank) {
  const c10::InferenceMode no_gradients;
  SolvedWeight solved;
  static_cast<graph::SharedWeight&>(solved.fitted) = difference.weight;
  solved.fitted.rank = rank;
  if (rank == 0) {
    const double error =
        (is_grouped(difference) ? difference.products.sum() : difference.products.trace()).item<double>();
    solved.output_variance = part_of(error / static_cast<double>(difference.samples), difference.variance());
    return solved;
  }
  const std::int64_t channels = difference.products.size(0);
  if (is_grouped(difference) || rank > channels)
    throw Error(ErrorKind::kInternal, "a shared weight has no difference of rank " + std::to_string(rank));
  const auto [values, vectors] = at::linalg_eigh(difference.products / static_cast<double>(difference.samples));
  const at::Tensor up = vectors.narrow(1, channels - rank, rank).flip(1);  // the largest first
  const at::Tensor own = set.models[receiver]->parameters.at(difference.weight.parameter).toTensor(),
                   donors =
                       set.models[difference.weight.donor]->parameters.at(difference.weight.donor_parameter).toTensor();
  std::vector<std::int64_t> shape = own.sizes().vec();
  shape[0] = rank;
  const at::Tensor change = own.to(at::kDouble) - donors.to(at::kDouble);
  solved.fitted.down = up.t().mm(change.flatten(1)).view(shape).to(at::kFloat).contiguous();
  solved.fitted.up = up.to(at::kFloat).contiguous();
  if (own.dim() == 4) solved.fitted.up = solved.fitted.up.view({channels, rank, 1, 1});  // a 1x1 convolution
  const double rest = values.narrow(0, 0, channels - rank).clamp_min(0).sum().item<double>();
  solved.output_variance = part_of(rest, difference.variance());
  return solved;
}

}  // namespace repsim::fit
