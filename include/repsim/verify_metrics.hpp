#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// The arithmetic of verification on plain detections; no torch. Scores are compared with thresholds as float32, which
/// is what models return: a float32 score of 0.35 reaches the threshold 0.35.
namespace repsim::verify {

using model::Detection;
using model::Detections;

using model::kMinScore;                   // what decoding drops already
inline constexpr double kNmsIou = 0.45;   ///< class-aware NMS: a box is dropped above this overlap with a better one
inline constexpr int kMaxPerClass = 300;  ///< best boxes per frame and class that enter NMS
inline constexpr double kMatchIou = 0.5;  ///< AP50

/// Score filter, then per class: the 300 best (ties by order), then NMS at IoU 0.45. Result sorted by label, then
/// score. Scores that are NaN are dropped; a box that is not finite overlaps nothing.
[[nodiscard]] Detections suppress(const Detections& raw);

/// What a set of detections is judged against, for one frame.
struct Target {
  Detections sure;     ///< must be found
  Detections ignored;  ///< a detection that meets only these counts neither way
};

struct Interval {
  double low = 0, high = 0;
};

/// How well a head agrees with its own original: docs/internals/contracts.md, "Fidelity".
struct Fidelity {
  double value = 0;   ///< 0..1
  Interval interval;  ///< 90 % bootstrap over frames; equal ends where it is not defined (format tensor)
  double jpeg95 = 0, jpeg80 = 0, shift_one_pixel = 0;  ///< baselines: the original against itself on changed frames
  std::int64_t frames = 0;
  std::int64_t own_detections = 0;  ///< of score >= threshold; 0 for format tensor
  bool bit_identical = false;       ///< every output tensor equals the original's, bit for bit, on these frames
  double max_abs_difference = 0;    ///< over all floating outputs and frames; 6 significant digits in plan.json
};

/// Accuracy against ground truth, person AP50.
struct Accuracy {
  double own = 0, merged = 0;
  Interval own_interval, merged_interval;
  std::int64_t frames = 0, truth_boxes = 0;
};

/// AP50 pooled over all classes and frames: all-point interpolation, a match needs the same class and IoU >= 0.5, each
/// target matched once, greedily by score within frame and class to the target of highest overlap that is still free
/// (ties: the first). A detection that meets no free target but an ignored one counts neither way. 0 when there are no
/// targets or no detections. `found` are suppressed detections; found.size() == targets.size(). Ties in score keep the
/// order of frames, then labels, then detections.
/// @throws Error{kInternal} when the sizes differ
[[nodiscard]] double average_precision(std::span<const Detections> found, std::span<const Target> targets);

/// Frames that a bootstrap draws together: the cube root of their number, as a whole number (Hall, Horowitz and Jing
/// 1995). Neighbours show nearly the same: drawn one by one they would seem to say more than they do.
[[nodiscard]] std::int64_t bootstrap_block(std::int64_t frames);

inline constexpr int kDraws = 1000;  ///< of a bootstrap, where nothing else is said

/// Circular block bootstrap over frames of average_precision (Politis and Romano 1992): `confidence` central interval,
/// `draws` resamples of runs of bootstrap_block() frames, a seeded generator of our own mapping (same on every
/// machine). Percentiles are expanded as Student's t is wider than the normal distribution with as many degrees of
/// freedom as there are blocks less one (Hesterberg 2015): those of few frames are too narrow otherwise. A drawn frame
/// counts as often as it was drawn, drawn frames keep their order; percentiles between two draws are interpolated
/// linearly. Frames without errors cannot be drawn to show one: the interval holds at least Wilson's score interval
/// (1927) of a share as large as the value, among the targets of one frame in each block. Detections are matched once,
/// not per draw. Without frames or draws both ends are average_precision itself.
[[nodiscard]] Interval bootstrap_interval(std::span<const Detections> found, std::span<const Target> targets,
                                          double confidence = 0.9, int draws = kDraws, std::uint64_t seed = 0);

/// Targets from a model's own suppressed detections: sure at score >= threshold, ignored from threshold/5 up to it
/// (without it).
[[nodiscard]] std::vector<Target> targets_from_own(std::span<const Detections> own, double threshold);

/// Ground truth: per frame index (from 0) the boxes relative to the frame, labels as given.
struct Truth {
  std::map<std::int64_t, Detections> frames;
  std::string format;  ///< "motchallenge" or "coco"
};

/// MOTChallenge text: frame (from 1), id, left, top, width, height, active, ... in pixels; rows with active 0 are left
/// out. All rows get the label `person_label`. Frames without rows are frames without persons. Empty lines are skipped.
/// @throws Error{kInput} with file and line: fewer than 7 fields, a field that is no finite number, a frame below 1, a
/// box without area; without line: no row at all
[[nodiscard]] Truth read_motchallenge(const std::filesystem::path& path, std::int64_t frame_width,
                                      std::int64_t frame_height, std::int64_t person_label);

/// Detections of one label only.
[[nodiscard]] std::vector<Detections> only_label(std::span<const Detections> found, std::int64_t label);

/// Fidelity of raw outputs (format tensor), streamed: 1 - |merged-own|^2 / |own-mean|^2 pooled over outputs, each
/// output scaled to unit variance, floor 0. `own` values of one output are seen in pieces of any size. A value that is
/// not finite and the same on both sides is left out; one that differs makes the fidelity 0.
class TensorAgreement {
 public:
  /// @param output  which output tensor of the model, 0-based
  /// @throws Error{kInternal} when the sizes of own and merged differ
  void add(std::size_t output, std::span<const float> own, std::span<const float> merged);
  /// 1 when all outputs agree exactly, also when they are constant. A constant own output that differs enters the pool
  /// with fidelity 0; one that agrees says nothing and stays out of it.
  [[nodiscard]] double fidelity() const;

 private:
  struct Sums {
    std::int64_t count = 0;
    double mean = 0, squares = 0, error = 0;  ///< running mean, sum of squared deviations (Welford/Chan), squared error
  };
  std::vector<Sums> sums_;
};

}  // namespace repsim::verify
