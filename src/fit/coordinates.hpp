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

/// The same for several donors: those that differ, each once, identity where it is among them.
[[nodiscard]] std::vector<graph::Alignment> alignments(const capture::ModelSet& set, ModelIndex receiver,
                                                       const std::vector<ModelIndex>& donors);

/// The matrices that bring one donor layer into a receiver's coordinates.
struct Matrices {
  at::Tensor vertical, horizontal;  ///< as in graph::Resampling; undefined: this direction stays as it is

  /// @param map  [B,C,H,W]; the products of graph::assemble in their order
  [[nodiscard]] at::Tensor apply(const at::Tensor& map) const;
};
/// @param from,to  [C,H,W] of the donor's layer and of the receiver's
[[nodiscard]] Matrices matrices(const graph::Alignment& alignment, at::IntArrayRef from, at::IntArrayRef to);

/// How a donor's layer is brought into the coordinates of a map of the receiver.
/// @param to  [C,H,W] of that map; C does not matter
[[nodiscard]] graph::Resampling resampling_of(const capture::ModelSet& set, ModelIndex receiver,
                                              const graph::DonorLayer& from, at::IntArrayRef to);

/// A donor's map in the size of a receiver's: by its matrices where there are any, else by the resize of adapters.
[[nodiscard]] at::Tensor resample_to(const at::Tensor& map, const Matrices& matrices, std::int64_t height,
                                     std::int64_t width);

/// Rows of [B, H*W, C] whose cell's centre all donors see; all of them where there is none, or where coordinates are
/// equal.
/// @param alignments  one per donor; equal ones may be given once
[[nodiscard]] at::Tensor rows_in_view(const at::Tensor& rows, const std::vector<graph::Alignment>& alignments,
                                      std::int64_t height, std::int64_t width);

}  // namespace repsim::fit
