#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <vector>

#include "repsim/base/memory.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/fit/regression.hpp"

/// Rating many pairs of layers by R2 in one pass over the frames.
namespace repsim::fit {

/// Layers of two models.
struct LayerPair {
  LayerIndex receiver_layer = -1, donor_layer = -1;
};

/// Pairs of layers of two models that screen() rates.
struct Screening {
  ModelIndex receiver = -1, donor = -1;
  std::vector<LayerPair> pairs;  ///< layers of four dimensions
};

struct ScreeningOptions {
  double ridge = kRidge;  ///< relative to the mean variance of the donor layer's channels
  /// Of the sums and samples that are in memory at a time, as far as one donor layer needs no more. If all are more,
  /// there are several passes, with the same result.
  std::int64_t max_bytes = kUnlimited;
};

/// screen() runs all models over all frames; others may use what the models return.
struct Outputs {
  std::set<ModelIndex> models;  ///< whose outputs are wanted
  /// Receives what one of them returns for the next frames: all frames in order, in runs of set.batch() of that model
  /// alone. Not called for a model that is in no pair, or runs in other batches because of its pairs.
  std::function<void(ModelIndex model, const c10::IValue& output, std::int64_t frames)> take;
};

/// R2 of the 1x1 ridge regression of each receiver layer on its donor layer, resampled into the receiver's coordinates,
/// at 64 positions per frame (evenly spaced over what both models see). One pass over the frames, in which every model
/// runs once; a second one for models that cannot be run in batches.
/// @return per screening, per pair; 1 at most, may be negative
/// @throws Error{kInterrupted}
[[nodiscard]] std::vector<std::vector<double>> screen(const capture::ModelSet& set, const capture::Stores& calibration,
                                                      std::span<const Screening> screenings, Progress& progress,
                                                      const ScreeningOptions& options = {},
                                                      const Outputs& outputs = {});

}  // namespace repsim::fit
