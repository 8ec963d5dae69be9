#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>
#include <vector>

#include "repsim/base/memory.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/graph.hpp"
#include "repsim/similarity.hpp"
#include "repsim/video.hpp"

/// Running prepared models over stored frames, and turning each layer into its signature in stream.
namespace repsim::capture {

/// The models of one plan and what feeds them. Two models with equal input specs are in one group.
struct ModelSet {
  std::vector<const graph::Prepared*> models;
  std::vector<int> groups;              ///< per model
  std::vector<model::InputSpec> specs;  ///< per group
  /// Per group, from its input to the frame of the video at hand; empty: all models see the same part of the frame.
  std::vector<video::AffineMap> views;

  /// Frames per run that all of `members` can take: 16, or 1 when one of them cannot be batched.
  [[nodiscard]] std::int64_t batch(std::span<const int> members) const;
};

/// Stored frames of all groups, the same video frames in each.
using Stores = std::vector<video::FrameStore>;

/// Arguments of a merged graph for frames at `positions`, one per group in `groups`.
[[nodiscard]] std::vector<c10::IValue> group_inputs(const ModelSet& set, const Stores& stores,
                                                    std::span<const int> groups,
                                                    std::span<const std::int64_t> positions);

/// Positions 0..frames-1 in consecutive runs of at most `batch`.
[[nodiscard]] std::vector<std::vector<std::int64_t>> batches(std::int64_t frames, std::int64_t batch);
/// The beginning of the first of these runs: two frames where it has as many, so that a copy of a model that is right
/// for the first of a batch only is found on them.
[[nodiscard]] inline std::span<const std::int64_t> frames_to_try(const std::vector<std::vector<std::int64_t>>& runs) {
  return {runs.front().data(), std::min<std::size_t>(runs.front().size(), 2)};
}

/// The minibatches of the signature: whole ones of 16 frames only, each strided over all frames (neighbouring frames
/// are near-copies): minibatch k takes k, k+K, k+2K, ... of K minibatches.
[[nodiscard]] std::vector<std::vector<std::int64_t>> strided_minibatches(std::int64_t frames);

/// Gram matrix of a minibatch with the minibatch's mean taken out first (which U-centring does not see, but rounding
/// does).
/// @param value  [n, ...] floating, any layout
/// @param gram   n*n doubles; all zero when the rows are equal to 1e-6 of their size (a constant layer)
/// Float32 products in chunks of 4096 features, chunks summed in float64, on the device where the value lies.
void centred_gram(const at::Tensor& value, double* gram);

/// Signatures of all layers of one model over the stored frames; no activation outlives its minibatch.
/// @param store  calibration frames in the model's geometry, at least 16
/// @param row_bytes  of the layers of a model that takes one frame at a time, which wait until their minibatch is
/// whole:
///        where all of them are more, the frames are run several times, each time for some of the layers. The result is
///        the same
[[nodiscard]] similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store,
                                                Progress& progress, std::int64_t row_bytes = kUnlimited);

}  // namespace repsim::capture
