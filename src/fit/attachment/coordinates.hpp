#pragma once

#include <torch/script.h>

#include <vector>

#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/resample.hpp"

/// Bringing a donor's maps into the coordinates of a receiver that sees another part of the frame.
namespace repsim::fit {

/// Identity where set.views is empty or both models' views are equal.
/// @throws Error{kInternal} when set.views is neither empty nor one per group
[[nodiscard]] graph::Alignment alignment(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor);

/// alignment() of several donors, each distinct one once, in the order of the donors.
[[nodiscard]] std::vector<graph::Alignment> alignments(const capture::ModelSet& set, ModelIndex receiver,
                                                       const std::vector<ModelIndex>& donors);

/// The matrices that bring a donor's map into the receiver's coordinates, float32.
struct Matrices {
  /// [H, donor's H] from the left and [donor's W, W] from the right, as in graph::Resampling; undefined: nothing to
  /// do in this direction.
  at::Tensor vertical, horizontal;

  /// @param map  [B,C,H,W] of the donor
  /// @return the products of graph::assemble in their order
  [[nodiscard]] at::Tensor apply(const at::Tensor& map) const;
};
/// @param from,to  [C,H,W] of the donor's layer and of the receiver's
[[nodiscard]] Matrices matrices(const graph::Alignment& alignment, at::IntArrayRef from, at::IntArrayRef to);

/// How a donor's layer gets the size and the coordinates of a map of the receiver.
/// @param to  [C,H,W] of that map; C does not matter
[[nodiscard]] graph::Resampling resampling_of(const capture::ModelSet& set, ModelIndex receiver,
                                              const graph::DonorLayer& from, at::IntArrayRef to);

/// A donor's map in the size of a receiver's: by the matrices if there are any, else by the resize of adapters.
/// @param map  [B,C,H,W]
[[nodiscard]] at::Tensor resample_to(const at::Tensor& map, const Matrices& matrices, std::int64_t height,
                                     std::int64_t width);

/// The cells of a map whose centre all donors see; all cells if there is none, or if coordinates are equal.
/// @param cells  [B, H*W, C]
/// @param alignments  one per donor; equal ones may be given once
[[nodiscard]] at::Tensor cells_in_view(const at::Tensor& cells, const std::vector<graph::Alignment>& alignments,
                                       std::int64_t height, std::int64_t width);

}  // namespace repsim::fit
