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

/// Running prepared models over stored frames, and turning each layer into its signature while they run.
namespace repsim::capture {

/// The models of one plan and their inputs. Models with equal input specs are in one input group.
struct ModelSet {
  std::vector<const graph::Prepared*> models;
  std::vector<int> groups;              ///< per model its input group
  std::vector<model::InputSpec> specs;  ///< per input group
  /// Per input group the map from its input to the video's frame. Empty: all models see the same part of the frame.
  std::vector<video::AffineMap> views;

  /// Frames per run that all of the models `members` can take: 16, or 1 when one of them is not batchable.
  [[nodiscard]] std::int64_t batch(std::span<const int> members) const;
};

/// One store per input group. All hold the same frames of the video.
using Stores = std::vector<video::FrameStore>;

/// The arguments of a merged graph for the stored frames at `positions`: one per group in `groups`.
[[nodiscard]] std::vector<c10::IValue> group_inputs(const ModelSet& set, const Stores& stores,
                                                    std::span<const int> groups,
                                                    std::span<const std::int64_t> positions);

/// Positions 0..frames-1 in consecutive runs of at most `batch`.
[[nodiscard]] std::vector<std::vector<std::int64_t>> batches(std::int64_t frames, std::int64_t batch);
/// The frames on which an optimised copy is tried: the first two of the first run, or the only one. With two frames, a
/// copy that is right for the first frame of a batch only shows itself.
/// @param runs  as batches() returns them
[[nodiscard]] inline std::span<const std::int64_t> frames_to_try(const std::vector<std::vector<std::int64_t>>& runs) {
  return {runs.front().data(), std::min<std::size_t>(runs.front().size(), 2)};
}

/// The minibatches of signatures, as positions of frames: minibatch k of K takes k, k+K, k+2K, ..., since neighbouring
/// frames are near-copies. All have 16 frames; frames that do not fill a minibatch are left out.
[[nodiscard]] std::vector<std::vector<std::int64_t>> strided_minibatches(std::int64_t frames);

/// The Gram matrix of a minibatch, after the minibatch's mean is subtracted from its samples: U-centring would remove
/// the mean anyway, but its digits would be lost to rounding. Products are float32 in chunks of 4096 features, the sum
/// over chunks is float64, on the device where the value lies.
/// @param value  [n, ...] floating, any layout
/// @param gram   receives n*n doubles; all zero when the samples are equal to 1e-6 of their size (a constant layer)
void centred_gram(const at::Tensor& value, double* gram);

/// The signatures of all layers of one model over stored frames. No activation outlives its minibatch.
/// @param store  calibration frames in the model's geometry, at least 16
/// @param row_bytes  how much memory samples may take that wait for their minibatch to be complete, where the model
///        takes one frame at a time. If all layers need more, the model runs several times over the frames, each time
///        for some of the layers. The limit does not change the result
/// @throws Error{kInterrupted}
[[nodiscard]] similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store,
                                                Progress& progress, std::int64_t row_bytes = kUnlimited);

}  // namespace repsim::capture
