#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/model.hpp"
#include "repsim/verify_metrics.hpp"

/// Judging merged models against their originals, on frames that fitted nothing.
namespace repsim::verify {

/// How the output of one model is read.
struct Head {
  std::string name;
  model::OutputSpec output;  ///< resolved: format and boxes never auto
  model::InputSpec input;
  video::AffineMap to_frame;
  int group = 0;
  bool batchable = false;

  [[nodiscard]] std::int64_t batch() const { return batchable ? video::kMinibatchFrames : 1; }  ///< frames per run
};

/// Computes the head's output for the frames at these positions.
using Forward = std::function<c10::IValue(std::span<const std::int64_t> positions)>;

/// The forward of a model as loaded, fed from its group's store.
[[nodiscard]] Forward original_forward(const model::Loaded& model, const capture::ModelSet& set,
                                       const capture::Stores& stores, int group);

/// The same by the prepared graph, which prepare() found to return the same bits, as merged models are run while they
/// are measured; on another device than the CPU the same up to rounding. An opaque model runs as loaded, on the CPU.
[[nodiscard]] Forward prepared_forward(const model::Loaded& model, const graph::Prepared& prepared,
                                       const capture::ModelSet& set, const capture::Stores& stores, int group);

/// The same, of any stores, by the optimised copy that capture runs, where there is one: rounded otherwise.
/// @param example  frames to try the copy on
[[nodiscard]] std::function<Forward(const capture::Stores&)> optimised_forward(const model::Loaded& model,
                                                                               const graph::Prepared& prepared,
                                                                               const capture::ModelSet& set,
                                                                               const capture::Stores& example,
                                                                               const Head& head);

/// The same results, each computed once while they fit into some memory. Copies share them.
[[nodiscard]] Forward remembered(Forward forward);

/// Detections after NMS, relative to the video frame, of one output for `batch` frames.
[[nodiscard]] std::vector<Detections> read_detections(const Head& head, const c10::IValue& output, std::int64_t batch);

/// What fidelity compares with: the original's own results on some frames. For tensor heads the original runs again.
struct Reference {
  std::vector<Detections> own;  ///< suppressed, per frame; empty for format tensor
  std::vector<Target> targets;
  std::int64_t own_detections = 0;  ///< of score >= threshold
};
[[nodiscard]] Reference reference(const Head& head, const Forward& original, std::int64_t frames, Progress& progress);

/// Fidelity of `merged` (docs/internals/contracts.md, "Fidelity"), with the detections for intervals and accuracy.
struct Measured {
  double fidelity = 0;
  std::vector<Detections> found;  ///< per frame; empty for format tensor
};
[[nodiscard]] Measured measure(const Head& head, const Reference& reference, const Forward& original,
                               const Forward& merged, std::int64_t frames, Progress& progress);

/// Frames changed in a known way, per group.
struct Perturbed {
  video::Perturbation kind = video::Perturbation::kNone;
  capture::Stores stores;
};

struct Verdict {
  Fidelity fidelity;
  std::optional<Accuracy> accuracy;
};

/// Ground truth as one head is judged by it.
struct TruthTargets {
  std::int64_t label = 0;       ///< of persons: what the head calls "person", else as given
  std::vector<Target> targets;  ///< per frame
  std::int64_t boxes = 0;

  /// AP50 of suppressed detections, other labels left out.
  [[nodiscard]] double average_precision(std::span<const Detections> found) const;
};
/// @param frames  indices in the video
[[nodiscard]] TruthTargets truth_targets(const Truth& truth, const Head& head, const std::vector<std::int64_t>& frames,
                                         std::int64_t otherwise);

/// What a bundle file is checked with.
struct BundleCheck {
  std::string bundle_path;
  std::optional<torch::jit::Module> bundle = {};  ///< that file, where it is loaded already
  std::vector<const model::Loaded*> models;       ///< the originals, in plan order
  std::vector<Head> heads;
  const capture::ModelSet* set = nullptr;
  const capture::Stores* frames = nullptr;  ///< clean frames per group
  std::vector<Forward> originals = {};      ///< on these frames, one per model; empty: they are run here
  std::vector<Perturbed> perturbed;         ///< baselines, for which the optimised copies will do; may be empty
  std::optional<Truth> truth;
  std::int64_t truth_label = 0;  ///< used where the model's classes do not say which one is "person"
  std::uint64_t seed = 0;
};

/// A bundle as plain torch::jit loads it. @throws Error{kInput}
[[nodiscard]] torch::jit::Module load_bundle(const std::string& path);

/// Loads the file with plain torch::jit and runs it beside the originals on the same frames.
/// @return per model
/// @throws Error{kInput} when the bundle cannot be loaded or returns another structure than the originals
[[nodiscard]] std::vector<Verdict> check_bundle(const BundleCheck& check, Progress& progress);

/// Milliseconds per frame at batch 1, median over frames, bundle and separate models alternating.
struct Latency {
  double separate_ms = 0, bundle_ms = 0;
};

/// Most bytes that a forward pass over one frame holds in new tensors at a time, its results included, its input and
/// parameters not: what Torch's CPU allocator was asked for. A library's scratch memory of its own is not in it.
struct PeakMemory {
  std::int64_t separate_bytes = 0;  ///< of the models as loaded: the largest, since they run one after the other
  std::int64_t bundle_bytes = 0;
};

struct RunCost {
  Latency latency;
  PeakMemory peak;
};
/// @param frames  that latency is measured on, after three more to warm up
[[nodiscard]] RunCost measure_run_cost(const BundleCheck& check, std::int64_t frames, Progress& progress);

/// The bytes of PeakMemory for any call on this thread: what it has allocated at its peak and not freed.
[[nodiscard]] std::int64_t peak_allocated_bytes(const std::function<void()>& call);

}  // namespace repsim::verify
