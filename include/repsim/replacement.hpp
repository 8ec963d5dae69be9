#pragma once

#include <vector>

#include "repsim/base/index.hpp"

/// What a receiver takes from which donors: layers in the place of its own, or weights. Plain indices; every stage from
/// the planner to the report uses these types.
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

/// A weight of a receiver's layer that is a donor's from then on, with a difference of low rank beside it.
struct SharedWeight {
  int parameter = -1;  ///< of the receiver: index in Program::parameters
  ModelIndex donor = -1;
  int donor_parameter = -1;  ///< of the donor: index in Program::parameters; of the same shape
  int rank = 0;              ///< of the difference; 0: the donor's weight takes the place of the receiver's as it is

  [[nodiscard]] auto operator<=>(const SharedWeight&) const = default;
};

/// What one receiver takes: layers that are replaced together, each by a layer of a donor, or weights. A cut may have
/// several donors.
struct Cut {
  ModelIndex receiver = -1;
  std::vector<Replacement> replacements;   ///< ascending by receiver layer
  std::vector<SharedWeight> weights = {};  ///< ascending by parameter

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
