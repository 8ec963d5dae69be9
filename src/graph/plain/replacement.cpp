#include "repsim/replacement.hpp"

#include <set>

namespace repsim::graph {

std::vector<ModelIndex> Cut::donors() const {
  std::set<ModelIndex> found;
  for (const Replacement& replacement : replacements) found.insert(replacement.donor);
  return {found.begin(), found.end()};
}

std::vector<LayerIndex> Cut::receiver_layers() const {
  std::vector<LayerIndex> layers;
  for (const Replacement& replacement : replacements) layers.push_back(replacement.receiver_layer);
  return layers;
}

}  // namespace repsim::graph
