#pragma once

#include <torch/script.h>

#include <map>
#include <utility>
#include <vector>

#include "../attachment/coordinates.hpp"
#include "repsim/fit/screening.hpp"

/// Layers of a receiver and of a donor as samples of regressions, in the receiver's coordinates.
namespace repsim::fit {

/// Height and width of a map.
using MapSize = std::pair<std::int64_t, std::int64_t>;

/// Which layers a list of pairs needs, and how their maps become samples: the donor's resampled to the receiver's size
/// and coordinates, at most so many positions per frame, evenly spaced over what both see.
class PairSamples {
 public:
  /// @param pairs  layers of four dimensions; outlives the object, as `set` does
  /// @param max_per_frame  positions of a frame
  PairSamples(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor, const std::vector<LayerPair>& pairs,
              std::int64_t max_per_frame);

  /// A layer in one size: index of a place request, and height and width. Pairs with equal keys have equal samples.
  using Key = std::pair<std::size_t, MapSize>;

  [[nodiscard]] const std::vector<graph::PlaceRequest>& requests() const { return requests_; }
  [[nodiscard]] Key receiver_key(std::size_t pair) const;
  [[nodiscard]] Key donor_key(std::size_t pair) const;
  /// Channels of the receiver's layer.
  [[nodiscard]] std::int64_t channels(std::size_t pair) const;
  /// In which sizes a request's values are needed.
  [[nodiscard]] const std::vector<MapSize>& sizes(std::size_t request) const { return sizes_.at(request); }

  /// The samples of a layer. @param value  [B,C,H,W] of the request, @return [n, C]
  [[nodiscard]] at::Tensor samples(const Key& key, const at::Tensor& value) const;
  /// The values at the positions that samples() takes, of any map in the receiver's coordinates. @param positions  [B,
  /// H*W, C], @return [n, C]
  [[nodiscard]] at::Tensor chosen(const at::Tensor& positions, MapSize size) const;

 private:
  const capture::ModelSet& set_;
  const std::vector<LayerPair>& pairs_;
  const ModelIndex receiver_;
  const std::int64_t max_per_frame_;
  const graph::Alignment aligned_;
  std::vector<graph::PlaceRequest> requests_;
  std::map<LayerIndex, std::size_t> receiver_requests_, donor_requests_;
  std::map<std::size_t, std::vector<MapSize>> sizes_;
  std::map<Key, Matrices> matrices_;  // of donor layers, where coordinates differ
};

}  // namespace repsim::fit
