#pragma once

#include <vector>

#include "repsim/base/index.hpp"

/// Which layer of which model takes the place of which layer of a receiver. Plain indices; every stage from the planner
/// to the report uses these types.
namespace repsim::graph {

/// A layer of a donor.
struct DonorLayer {
  ModelIndex donor = -1;
  LayerIndex donor_layer = -1;

  [[nodiscard]] auto operator<=>(const DonorLayer&) const = default;
};

/// A layer of a receiver, and the donor's layer that replaces it.
struct Replacement {
  LayerIndex receiver_layer = -1;
  ModelIndex donor = -1;  ///< may differ between the replacements of one cut
  LayerIndex donor_layer = -1;

  [[nodiscard]] auto operator<=>(const Replacement&) const = default;
};

/// The layers of one receiver that are replaced together, each by a layer of a donor. A cut may have several donors.
struct Cut {
  ModelIndex receiver = -1;
  std::vector<Replacement> replacements;  ///< ascending by receiver layer

  [[nodiscard]] bool operator==(const Cut&) const = default;

  /// The models that give, each once, ascending.
  [[nodiscard]] std::vector<ModelIndex> donors() const;
  /// The replaced layers, in the order of `replacements`.
  [[nodiscard]] std::vector<LayerIndex> receiver_layers() const;
};

/// An order of models in which every model comes after its donors. Of the models whose donors are all in the order
/// already, the one with the lowest index comes next.
/// @param donors  per model the models that it takes layers from; one may be there several times
/// @return indices into `donors`, each once
/// @throws Error{kInternal} when the models take from each other in a cycle
[[nodiscard]] std::vector<ModelIndex> donors_first(const std::vector<std::vector<ModelIndex>>& donors);

}  // namespace repsim::graph
