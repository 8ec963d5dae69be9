#pragma once

#include <torch/script.h>

#include <map>
#include <utility>
#include <vector>

#include "coordinates.hpp"
#include "repsim/fit.hpp"

/// Layers of a receiver and of a donor as rows of regressions, in the receiver's coordinates.
namespace repsim::fit {

/// Height and width of a map.
using MapSize = std::pair<std::int64_t, std::int64_t>;

/// Which layers a list of pairs needs, and how their maps become rows: the donor's brought to the receiver's size and
/// place, at most so many positions per frame, evenly spaced over what both see.
class PairSamples {
 public:
  /// @param pairs  layers of four dimensions; outlives the object
  PairSamples(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor, const std::vector<LayerPair>& pairs,
              std::int64_t most_rows);

  /// A layer's values in one size; rows of pairs with equal keys are equal.
  using Key = std::pair<std::size_t, MapSize>;

  [[nodiscard]] const std::vector<graph::PlaceRequest>& requests() const { return requests_; }
  [[nodiscard]] Key wanted(std::size_t pair) const;             ///< the receiver's layer
  [[nodiscard]] Key given(std::size_t pair) const;              ///< the donor's
  [[nodiscard]] std::int64_t channels(std::size_t pair) const;  ///< of the receiver's layer
  /// In which sizes a request's values are needed.
  [[nodiscard]] const std::vector<MapSize>& sizes(std::size_t request) const { return sizes_.at(request); }

  /// [B,C,H,W] of a request -> [rows, C]
  [[nodiscard]] at::Tensor rows(const Key& key, const at::Tensor& value) const;
  /// The same choice of rows from [B, H*W, C] in the receiver's coordinates.
  [[nodiscard]] at::Tensor chosen(const at::Tensor& positions, MapSize size) const;

 private:
  const capture::ModelSet& set_;
  const std::vector<LayerPair>& pairs_;
  const int receiver_;
  const std::int64_t most_rows_;
  const graph::Alignment aligned_;
  std::vector<graph::PlaceRequest> requests_;
  std::map<int, std::size_t> wanted_at_, given_at_;  // layer -> request
  std::map<std::size_t, std::vector<MapSize>> sizes_;
  std::map<Key, Matrices> resampled_;  // of donor layers, where coordinates differ
};

}  // namespace repsim::fit
