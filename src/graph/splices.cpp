#include "splices.hpp"

namespace repsim::graph {

std::vector<DonorLayer> Splice::donor_layers() const {
  std::vector<DonorLayer> result;
  const auto add = [&](const Correction& correction) {
    for (const AuxiliaryInput& auxiliary : correction.auxiliary_inputs) result.push_back(auxiliary);
  };
  for (const FittedReplacement& one : replacements) {
    result.push_back({one.donor, one.donor_layer});
    add(one.correction);
  }
  for (const ConvRefit& refit : refits) add(refit.correction);
  return result;
}

std::vector<ModelIndex> execution_order(std::size_t count, std::span<const Splice> splices) {
  std::vector<std::vector<ModelIndex>> donors(count);
  for (const Splice& splice : splices) {
    for (const DonorLayer& one : splice.donor_layers()) donors[splice.receiver].push_back(one.donor);
    for (const FittedWeight& weight : splice.weights) donors[splice.receiver].push_back(weight.donor);
  }
  return donors_first(donors);
}

}  // namespace repsim::graph
