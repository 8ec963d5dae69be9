#pragma once

#include <torch/script.h>

#include <cstdint>
#include <span>
#include <vector>

#include "repsim/base/memory.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/graph.hpp"
#include "repsim/signature_cache.hpp"
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

/// The frames of a capture, as positions in a store.
struct CaptureFrames {
  std::vector<std::vector<std::int64_t>> minibatches;  ///< of 16 positions each; at least one
  /// One or two: the optimised copy is tried on these. The decision is part of the result, so all shards of a capture
  /// try it on the same frames.
  std::vector<std::int64_t> tried;
};
/// All minibatches of a store of so many frames, at least 16.
[[nodiscard]] CaptureFrames capture_frames(std::int64_t frames);

/// What a shard needs of a capture's frames.
struct ShardFrames {
  std::vector<std::int64_t> stored;  ///< positions among the capture's frames, ascending: what its store has to hold
  CaptureFrames frames;              ///< positions in that store
};
/// @param frames  of the whole capture, at least 16 per shard
[[nodiscard]] ShardFrames frames_of_shard(const Shard& shard, std::int64_t frames);

/// The Gram matrix of a minibatch, after the minibatch's mean is subtracted from its samples: U-centring would remove
/// the mean anyway, but its digits would be lost to rounding. Products are float32 in chunks of 4096 features, the sum
/// over chunks is float64, on the device where the value lies.
/// @param value  [n, ...] floating, any layout
/// @param gram   receives n*n doubles; all zero when the samples are equal to 1e-6 of their size (a constant layer)
void centred_gram(const at::Tensor& value, double* gram);

/// The signatures of all layers of one model over stored frames. No activation outlives its minibatch. The values of a
/// minibatch do not depend on the other minibatches.
/// @param store  frames in the model's geometry
/// @param frames  which of them
/// @param row_bytes  how much memory samples may take that wait for their minibatch to be complete, where the model
///        takes one frame at a time. If all layers need more, the model runs several times over the frames, each time
///        for some of the layers. The limit does not change the result
/// @throws Error{kInterrupted}
[[nodiscard]] similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store,
                                                const CaptureFrames& frames, Progress& progress,
                                                std::int64_t row_bytes = kUnlimited);
/// Of all minibatches of the stored frames. @param store  at least 16 frames
[[nodiscard]] similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store,
                                                Progress& progress, std::int64_t row_bytes = kUnlimited);

}  // namespace repsim::capture
