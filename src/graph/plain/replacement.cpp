#include "repsim/replacement.hpp"

#include <algorithm>
#include <set>

#include "repsim/base/error.hpp"

namespace repsim::graph {

std::vector<ModelIndex> Cut::donors() const {
  std::set<ModelIndex> found;
  for (const Replacement& replacement : replacements) found.insert(replacement.donor);
  for (const SharedWeight& weight : weights) found.insert(weight.donor);
  return {found.begin(), found.end()};
}

std::vector<LayerIndex> Cut::receiver_layers() const {
  std::vector<LayerIndex> layers;
  for (const Replacement& replacement : replacements) layers.push_back(replacement.receiver_layer);
  return layers;
}

std::vector<ModelIndex> donors_first(const std::vector<std::vector<ModelIndex>>& donors) {
  std::vector<ModelIndex> order;
  std::vector<bool> done(donors.size(), false);
  const auto ready = [&](std::size_t model) {
    return !done[model] && std::all_of(donors[model].begin(), donors[model].end(),
                                       [&](ModelIndex donor) { return static_cast<bool>(done[donor]); });
  };
  while (order.size() < donors.size()) {
    std::size_t next = 0;
    while (next < donors.size() && !ready(next)) ++next;
    if (next == donors.size()) throw Error(ErrorKind::kInternal, "the shares form a cycle");
    done[next] = true;
    order.push_back(static_cast<ModelIndex>(next));
  }
  return order;
}

}  // namespace repsim::graph
