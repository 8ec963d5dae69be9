#include "splices.hpp"

#include <algorithm>
#include <set>

#include "repsim/base/error.hpp"

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

std::vector<int> execution_order(std::size_t count, std::span<const Splice> splices) {
  std::vector<std::set<int>> needs(count);
  for (const Splice& splice : splices) {
    for (const DonorLayer& one : splice.donor_layers()) needs[splice.receiver].insert(one.donor);
  }
  std::vector<int> order;
  std::vector<bool> done(count, false);
  while (order.size() < count) {
    const std::size_t before = order.size();
    for (std::size_t i = 0; i < count && order.size() == before; ++i) {
      const bool ready = std::all_of(needs[i].begin(), needs[i].end(), [&](ModelIndex donor) { return done[donor]; });
      if (!done[i] && ready) {
        done[i] = true;
        order.push_back(static_cast<int>(i));
      }
    }
    if (order.size() == before) throw Error(ErrorKind::kInternal, "the shares form a cycle");
  }
  return order;
}

}  // namespace repsim::graph
