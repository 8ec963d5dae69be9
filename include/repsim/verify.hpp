#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/model.hpp"
#include "repsim/truth.hpp"
#include "repsim/verify_metrics.hpp"

/// Measuring merged models against their originals, on frames that fitted nothing.
namespace repsim::verify {

/// How the output of one model is fed and read.
struct Head {
  std::string name;
  model::OutputSpec output;  ///< resolved: format and boxes never auto
  model::InputSpec input;
  video::AffineMap to_frame;  ///< from the model's input to the video's frame
  int group = 0;              ///< input group
  bool batchable = false;

  /// Frames per run.
  [[nodiscard]] std::int64_t batch() const { return batchable ? video::kMinibatchFrames : 1; }
};

/// Computes a model's output for the stored frames at these positions.
using Forward = std::function<c10::IValue(std::span<const std::int64_t> positions)>;

/// Runs a model as loaded, fed from the store of its input group.
[[nodiscard]] Forward original_forward(const model::Loaded& model, const capture::ModelSet& set,
                                       const capture::Stores& stores, int group);

/// Runs the prepared graph of a model on its device, as merged models run in trials. On the CPU it returns the bits of
/// the model as loaded, on another device its values up to rounding. An opaque model runs as loaded, on the CPU.
[[nodiscard]] Forward prepared_forward(const model::Loaded& model, const graph::Prepared& prepared,
                                       const capture::ModelSet& set, const capture::Stores& stores, int group);

/// Runs the optimised copy of a model, where one works (graph::layer_runner), else the model. Its results equal the
/// model's up to rounding.
/// @param example  frames to try the copy on
/// @return a function that takes the stores to read frames from
[[nodiscard]] std::function<Forward(const capture::Stores&)> optimised_forward(const model::Loaded& model,
                                                                               const graph::Prepared& prepared,
                                                                               const capture::ModelSet& set,
                                                                               const capture::Stores& example,
                                                                               const Head& head);

/// Keeps the results of another forward, up to a fixed number of bytes, so that it computes each of them once. Copies
/// of the returned function share the results.
[[nodiscard]] Forward remembered(Forward forward);

/// The detections in one output for `batch` frames, per frame, after NMS, relative to the video frame. Boxes without
/// area, or with corners that are not finite, are left out.
/// @param boxes_without_area  how many were left out is added here; may be null
[[nodiscard]] std::vector<Detections> read_detections(const Head& head, const c10::IValue& output, std::int64_t batch,
                                                      std::int64_t* boxes_without_area = nullptr);

/// The original's own results on some frames, which fidelity compares with. Empty for the format tensor: measure() runs
/// the original again.
struct Reference {
  std::vector<Detections> own;          ///< per frame, after suppress()
  std::vector<Target> targets;          ///< per frame, from `own`
  std::int64_t own_detections = 0;      ///< of score >= threshold, all frames together
  std::int64_t boxes_without_area = 0;  ///< of score >= kMinScore, left out
};
/// Runs an original over stored frames.
/// @param frames  per position in the store the index in the video
/// @throws graph::ModelFailure naming model and frame when the original fails or returns another structure
[[nodiscard]] Reference reference(const Head& head, const Forward& original, const std::vector<std::int64_t>& frames,
                                  Progress& progress);

/// The frames that a measurement runs over, in their order.
struct FrameList {
  // NOLINTNEXTLINE(google-explicit-constructor): frames of one video are such a list
  FrameList(const std::vector<std::int64_t>& of, std::vector<std::int64_t> counts = {})
      : numbers(of), per_video(std::move(counts)) {}

  const std::vector<std::int64_t>& numbers;  ///< per position in the store the number in the playlist
  std::vector<std::int64_t> per_video;       ///< how many of them each video has; empty: there is one video
  /// Asked after each run that more runs follow, with the merged model's detections so far, per frame. Whether these
  /// frames are enough: then the measurement is one of these alone. Empty: all frames are run. For the format tensor it
  /// is not asked.
  std::function<bool(std::span<const Detections> found)> is_enough = {};
};

/// What measure() found.
struct Measured {
  std::optional<double> fidelity;                   ///< 0..1; nothing: nothing could be compared
  std::int64_t boxes_without_area = 0;              ///< of the merged model, of score >= kMinScore, left out
  std::optional<TensorAgreement> raw;               ///< of the format tensor; its frames are runs
  std::vector<TensorAgreement> raw_of_videos = {};  ///< of the format tensor, per video where there are several
  std::vector<Detections> found;  ///< the merged model's, per frame, after suppress(); empty for the format tensor
  std::vector<std::int64_t> per_video = {};  ///< as in the FrameList
};
/// Runs a merged model over stored frames and computes its fidelity (docs/internals/contracts.md).
/// @throws graph::ModelFailure as reference() does; of scope kMerged where the merged model fails and the original does
///         not
[[nodiscard]] Measured measure(const Head& head, const Reference& reference, const Forward& original,
                               const Forward& merged, const FrameList& frames, Progress& progress);

/// Frames that were changed in a known way, for the baselines of fidelity.
struct Perturbed {
  video::Perturbation kind = video::Perturbation::kNone;
  capture::Stores stores;  ///< per input group
};

/// What the check of a bundle finds for one model.
struct Verdict {
  Fidelity fidelity;
  std::optional<Accuracy> accuracy;   ///< set if there is ground truth, and the model's detections can be read
  std::vector<FrameBoxes> differing;  ///< the frames of fidelity.worst_frames, boxes relative to the frame
};

/// Ground truth for one head.
struct TruthTargets {
  std::vector<std::int64_t> labels;  ///< the head's labels of the classes that the ground truth has, sorted
  std::vector<Target> targets;       ///< per frame
  std::int64_t boxes = 0;            ///< to be found, in all frames together

  /// AP50 of the detections of these labels, pooled over them; nothing without boxes.
  /// @param found  per frame, after suppress()
  [[nodiscard]] std::optional<double> average_precision(std::span<const Detections> found) const;
};
/// The boxes of ground truth on some frames. A class of the ground truth is the head's class of that name. COCO's
/// classes that the head has not are left out, with a warning; if the head names no class, their order gives the
/// labels.
/// @param frames  indices in the video
/// @param otherwise  MOTChallenge: the label of persons where the head has no class "person"
[[nodiscard]] TruthTargets truth_targets(const Truth& truth, const Head& head, const std::vector<std::int64_t>& frames,
                                         std::int64_t otherwise);

/// A model of a bundle, and the original with which it is compared.
struct CheckedModel {
  const model::Loaded* loaded = nullptr;  ///< the original
  Head head;
  Forward original = {};  ///< the original's outputs on BundleCheck::frames; empty: the model as loaded runs
  const graph::Prepared* prepared = nullptr;  ///< its prepared graph; null: the one in its place of BundleCheck::set
};

/// A bundle file, and what check_bundle() compares it with.
struct BundleCheck {
  std::string bundle_path;
  std::optional<torch::jit::Module> bundle = {};  ///< the file, if it is loaded already
  /// The bundle's method that is checked: forward, or the one that runs the models of a stream.
  std::string method = "forward";
  std::vector<CheckedModel> models;  ///< whose results the method returns, in its order
  const capture::ModelSet* set = nullptr;
  const capture::Stores* frames = nullptr;    ///< unchanged frames, per input group
  std::vector<Perturbed> perturbed;           ///< for the baselines, which optimised copies compute; may be empty
  const video::Playlist* playlist = nullptr;  ///< the videos that the frames are from; null: one video
  std::optional<Truth> truth;
  std::int64_t truth_label = 0;  ///< the label of persons where a model has no class "person"
  std::uint64_t seed = 0;        ///< of the bootstrap
};

/// Loads a bundle with plain torch::jit. @throws Error{kInput} when it cannot be loaded
[[nodiscard]] torch::jit::Module load_bundle(const std::string& path);

/// The input groups whose arguments the checked method takes, in order.
/// @throws Error{kInput} when there is no such method, or it takes something else
[[nodiscard]] std::vector<int> groups_of(const BundleCheck& check, const torch::jit::Module& bundle);

/// Loads the bundle with plain torch::jit and runs it and the originals over the frames.
/// @return per model of the check
/// @throws Error{kInput} when the bundle cannot be loaded or returns another structure than the originals
[[nodiscard]] std::vector<Verdict> check_bundle(const BundleCheck& check, Progress& progress);

/// The fidelity of anything that stands for a model, frame by frame. Without baselines.
/// @param model  of `check`, index
/// @param other  takes one position at a time
[[nodiscard]] Fidelity judge(const BundleCheck& check, std::size_t model, const Forward& other, Progress& progress);

/// Milliseconds per frame at batch 1, median over frames, bundle and separate models alternating.
struct Latency {
  double separate_ms = 0, bundle_ms = 0;
};

/// The largest number of bytes that a forward pass over one frame holds at a time in tensors from Torch's CPU
/// allocator. Results count; the input, parameters and scratch memory that libraries allocate themselves do not.
struct PeakMemory {
  std::int64_t separate_bytes = 0;  ///< the largest peak of the models as loaded: they run one after the other
  std::int64_t bundle_bytes = 0;
};

/// What a pass over one frame costs with a bundle and with separate models.
struct RunCost {
  Latency latency;
  PeakMemory peak;
};
/// Measures latency and peak memory.
/// @param frames  how many frames latency is measured on, after three more to warm up
[[nodiscard]] RunCost measure_run_cost(const BundleCheck& check, std::int64_t frames, Progress& progress);

/// The largest number of bytes that `call`, run on this thread, holds at a time in tensors from Torch's CPU allocator.
[[nodiscard]] std::int64_t peak_allocated_bytes(const std::function<void()>& call);

}  // namespace repsim::verify
