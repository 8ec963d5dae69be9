#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// Fidelity and accuracy of plain detections and numbers; no torch. Scores are compared with thresholds as float32,
/// since models return float32: a float32 score of 0.35 reaches the threshold 0.35.
namespace repsim::verify {

using model::Detection;
using model::Detections;

using model::kMinScore;                   // decoding drops detections below it
inline constexpr double kNmsIou = 0.45;   ///< class-aware NMS: a box is dropped above this overlap with a better one
inline constexpr int kMaxPerClass = 300;  ///< best boxes per frame and class that enter NMS
inline constexpr double kMatchIou = 0.5;  ///< AP50

/// Suppresses the detections of one frame: drops scores below kMinScore, then keeps the 300 best per class (ties by
/// order), then applies NMS at IoU 0.45 within the class. The result is sorted by label, then score. Scores that are
/// NaN are dropped; a box without area, or one that is not finite, overlaps nothing and stays.
[[nodiscard]] Detections suppress(const Detections& raw);

/// Whether all corners are finite, x1 < x2 and y1 < y2. Only such boxes can match a target.
[[nodiscard]] bool has_area(const Detection& detection);

/// Removes the boxes without area (has_area()) and keeps the order of the others.
/// @return how many of the removed boxes have a score of at least kMinScore; suppress() drops the others anyway
std::int64_t drop_boxes_without_area(Detections& detections);

/// The boxes that detections of one frame are matched with.
struct Target {
  Detections sure;     ///< boxes to be found
  Detections ignored;  ///< a detection that meets only one of these is neither right nor wrong
};

/// A range of values, low <= high.
struct Interval {
  double low = 0, high = 0;
};

/// A frame on which a merged model and its original differ.
struct DifferingFrame {
  std::int64_t frame = 0;         ///< number in the playlist
  std::int64_t missed = 0;        ///< the original's detections that the merged model has not
  std::int64_t false_alarms = 0;  ///< detections of the merged model that the original has not
  std::string video = {};         ///< name of the frame's video, where there are several
  std::int64_t video_frame = 0;   ///< its index there
};

/// How well a merged model agrees with its own original on the frames of one of several videos.
struct VideoFidelity {
  std::string video;            ///< name
  std::optional<double> value;  ///< as in Fidelity, of the video's frames alone
  Interval interval;
  std::int64_t frames = 0;
  std::int64_t own_detections = 0;
  std::optional<std::int64_t> kept;
  std::int64_t false_alarms = 0;
};

/// How well a merged model agrees with its own original (docs/internals/contracts.md, fidelity).
struct Fidelity {
  /// 0..1. Nothing: nothing was compared, since the original finds nothing on these frames or no output varies.
  std::optional<double> value;
  Interval interval;  ///< 90 % bootstrap over frames; without `value` it has no meaning
  /// Baselines: the original against itself on changed frames. Nothing: not measured.
  std::optional<double> jpeg95, jpeg80, shift_one_pixel;
  bool is_raw = false;  ///< raw outputs were compared (format tensor), not detections
  std::int64_t frames = 0;
  std::int64_t own_detections = 0;      ///< the original's, of score >= threshold; 0 for the format tensor
  std::optional<std::int64_t> kept;     ///< of own_detections: the merged model finds them, too; nothing: not counted
  std::int64_t false_alarms = 0;        ///< the merged model's detections of score >= threshold that the original lacks
  std::int64_t boxes_without_area = 0;  ///< of original and merged model, left out: no area, NaN or infinite corners
  std::vector<DifferingFrame> worst_frames;  ///< most missed and false detections first; at most 8
  bool bit_identical = false;              ///< every output tensor equals the original's, bit for bit, on these frames
  double max_abs_difference = 0;           ///< over all floating outputs and frames; 6 significant digits in plan.json
  std::vector<VideoFidelity> videos = {};  ///< per video, where there are several

  /// Whether the model is known to reach this fidelity. Without a value only identical outputs do.
  [[nodiscard]] bool keeps(double target) const { return bit_identical || (value && *value >= target); }
  /// Whether the figures say anything: something was compared, or all is identical.
  [[nodiscard]] bool is_known() const { return bit_identical || value.has_value(); }
};

/// AP50 against ground truth, of the original (own) and of the merged model.
struct Accuracy {
  std::optional<double> own, merged;       ///< nothing: the ground truth has no box on these frames
  Interval own_interval, merged_interval;  ///< without values they have no meaning
  std::int64_t frames = 0, truth_boxes = 0;
};

/// AP50: average precision with all-point interpolation, pooled over all classes and frames. Within a frame and class a
/// detection, best score first, matches the free target of highest IoU, if that is at least 0.5 (ties: the first
/// target). A detection that meets no free target but an ignored one counts neither way. 0 when there are no targets or
/// no detections. Detections of equal score keep the order of frames, then labels, then detections.
/// @param found  per frame, after suppress()
/// @param targets  per frame
/// @throws Error{kInternal} when the sizes differ
[[nodiscard]] double average_precision(std::span<const Detections> found, std::span<const Target> targets);

/// The largest average_precision() that frames may still have, of which the first ones were seen: that of a model which
/// finds the targets of all other frames, nothing else there, and all of these before anything that was seen.
/// @param seen  per frame that was seen, after suppress(); at most as many as targets
/// @param targets  of all frames
/// @throws Error{kInternal} when more frames were seen than there are
[[nodiscard]] double best_possible_precision(std::span<const Detections> seen, std::span<const Target> targets);

/// How many neighbouring frames a bootstrap draws together: the cube root of `frames`, as a whole number (Hall,
/// Horowitz and Jing 1995). Neighbours are near-copies; drawn one by one they would make intervals too narrow.
[[nodiscard]] std::int64_t bootstrap_block(std::int64_t frames);

inline constexpr int kDraws = 1000;  ///< default number of a bootstrap's resamples

/// The central interval of average_precision() by a circular block bootstrap over frames (Politis and Romano 1992).
/// A resample consists of runs of bootstrap_block() frames; a frame counts as often as it was drawn, and drawn frames
/// keep their order. Detections are matched once, not per resample. Percentiles between two resamples are interpolated
/// linearly. Two corrections widen the interval:
/// - percentiles are expanded by the ratio of Student's t to the normal distribution, with as many degrees of freedom
/// as
///   there are blocks less one (Hesterberg 2015), since those of few frames are too narrow;
/// - the interval holds at least Wilson's score interval (1927) of a share as large as the value, among the targets of
///   one frame in each block, since resamples of frames without errors cannot show an error.
/// Without frames or draws both ends are the average precision.
/// @param confidence  of the interval, in (0, 1)
/// @param draws  number of resamples
/// @param seed  of a generator that gives equal numbers on every machine
/// @param parts  numbers of frames of parts that no run crosses (the videos that the frames are from); empty: one part
[[nodiscard]] Interval bootstrap_interval(std::span<const Detections> found, std::span<const Target> targets,
                                          double confidence = 0.9, int draws = kDraws, std::uint64_t seed = 0,
                                          std::span<const std::int64_t> parts = {});

/// What a merged model keeps of its original's detections, in numbers of boxes.
struct DetectionFigures {
  /// What went wrong in one frame.
  struct Frame {
    std::int64_t position = 0;  ///< index in the frames that were given
    std::int64_t missed = 0, false_alarms = 0;
  };
  std::int64_t own = 0;           ///< sure targets
  std::int64_t kept = 0;          ///< sure targets that a detection matches; own - kept are missed
  std::int64_t false_alarms = 0;  ///< detections that meet neither a free target nor an ignored one
  std::vector<Frame> worst;       ///< most missed + false alarms first, ties by position; none without either
};

/// Counts the detections of score >= threshold, matched with targets as average_precision() matches them.
/// @param found  per frame, after suppress()
/// @param targets  per frame
/// @param worst_frames  length of DetectionFigures::worst, at most
/// @throws Error{kInternal} when the sizes differ
[[nodiscard]] DetectionFigures detection_figures(std::span<const Detections> found, std::span<const Target> targets,
                                                 double threshold, std::size_t worst_frames = 8);

/// The part of the targets that stand still: a target of the frame half of all frames later has the same label and
/// overlaps with at least 0.9. Near 1: a model finds the same on every picture. 0 with fewer than four frames or ten
/// targets, which say nothing.
/// @param targets  per frame, in the order of the video
[[nodiscard]] double standing_still(std::span<const Target> targets);

/// Whether there is a detection of score >= threshold. @param found  per frame
[[nodiscard]] bool finds_anything(std::span<const Detections> found, double threshold);

/// Fidelity, figures and interval on the frames of each video alone.
/// @param found, targets  per frame, video after video
/// @param counts  frames per video
/// @param threshold  of detection_figures()
/// @param seed  of the intervals
/// @return per video, without names
[[nodiscard]] std::vector<VideoFidelity> fidelity_per_video(std::span<const Detections> found,
                                                            std::span<const Target> targets,
                                                            std::span<const std::int64_t> counts, double threshold,
                                                            std::uint64_t seed);

/// The boxes of one frame, as a merged model and its original find them.
struct FrameBoxes {
  std::int64_t frame = 0;   ///< index in the video
  Detections kept;          ///< the original's, which the merged model finds, too
  Detections missed;        ///< the original's, which it does not find
  Detections false_alarms;  ///< the merged model's, which the original does not find
};

/// What detection_figures() counts on one frame, as boxes.
/// @param found  of the merged model, after suppress()
/// @param target  of the original
/// @return its `frame` is 0
[[nodiscard]] FrameBoxes frame_boxes(const Detections& found, const Target& target, double threshold);

/// The number of moments of a video at which there is something to find: as many frames with sure targets as can be
/// chosen with at least `gap` frames of the video from one to the next. Neighbouring frames show nearly one picture,
/// so many frames may be few moments.
/// @param targets  per frame
/// @param frames  index of each frame in the video, in any order
/// @param gap  at least 1; less counts as 1
/// @throws Error{kInternal} when the sizes differ
[[nodiscard]] std::int64_t moments(std::span<const Target> targets, std::span<const std::int64_t> frames,
                                   std::int64_t gap);

/// Targets from an original's own detections: sure where the score is at least `threshold`, ignored where it is at
/// least threshold/5 and below `threshold`.
/// @param own  per frame, after suppress()
[[nodiscard]] std::vector<Target> targets_from_own(std::span<const Detections> own, double threshold);

/// Per frame the detections of some labels.
/// @param labels  sorted
[[nodiscard]] std::vector<Detections> only_labels(std::span<const Detections> found,
                                                  std::span<const std::int64_t> labels);

/// Whether an output tensor takes part in TensorAgreement::fidelity().
enum class Compared {
  kYes,
  kConstant,  ///< no: the original always returns one value there, and the merged model returns it, too
  kEmpty,     ///< no: no value, or none that is finite, and the merged model agrees
};

/// Fidelity of raw outputs (format tensor), from values that come in pieces of any size: 1 - error / variance, pooled
/// over outputs, at least 0.
/// - A floating output adds its squared error, scaled to unit variance of the original's values: |merged-own|^2 /
///   |own-mean|^2 if it is the only one. A value that is not finite is left out if both models return it (NaN equals
///   NaN); if only one does, the fidelity is 0.
/// - An integer output, compared by equality, adds the number of values that differ.
/// - Each output has as much weight as it has values. An output that is constant in the original counts with fidelity 0
///   for all of its values if the merged model's differs anywhere, and does not count otherwise.
class TensorAgreement {
 public:
  /// Adds values of one floating output tensor. Complex values come as pairs of floats, the real part first.
  /// @param output  which output tensor of the model, from 0
  /// @throws Error{kInternal} when the sizes of own and merged differ, or add_exact() has added to this output
  void add(std::size_t output, std::span<const float> own, std::span<const float> merged);
  /// Adds values of one integer or bool output tensor. Numbers such as labels have no distance.
  /// @param output  which output tensor of the model, from 0
  /// @throws Error{kInternal} when the sizes of own and merged differ, or add() has added to this output
  void add_exact(std::size_t output, std::span<const std::int64_t> own, std::span<const std::int64_t> merged);
  /// Ends a frame for interval(): values that are added from now on belong to the next one. Frames without values do
  /// not count, so a call before each frame does as well as one after it.
  void next_frame();
  /// Ends a video for interval(), and with it a frame: no run of frames is drawn over this border.
  void next_video();

  /// The fidelity of all values that were added; nothing if no output counts, since nothing was compared then.
  [[nodiscard]] std::optional<double> fidelity() const;
  /// Per output, from 0. Outputs to which nothing was added are kEmpty.
  [[nodiscard]] std::vector<Compared> outputs() const;
  /// The central interval of fidelity() by a circular block bootstrap over frames, expanded as in
  /// bootstrap_interval(). Variances, and which outputs are constant, stay those of all frames. Without a second frame
  /// or draws both ends are the fidelity; both are 0 where fidelity() is nothing.
  [[nodiscard]] Interval interval(double confidence = 0.9, int draws = kDraws, std::uint64_t seed = 0) const;

 private:
  struct FrameSums {
    std::int64_t count = 0;  ///< values that are finite in both models
    double error = 0;        ///< squared, or the number of values that differ
    bool broken = false;     ///< a value is not finite in one model and another in the other
  };
  struct OutputSums {
    std::vector<FrameSums> frames;
    bool floating = false, exact = false;  ///< which of the two has been added to
    std::int64_t count = 0;
    double mean = 0, squares = 0;  ///< floating: running mean and sum of squared deviations (Welford/Chan)
    std::int64_t first = 0;        ///< exact
    bool varies = false;           ///< exact: a value of the original is not `first`
  };
  struct Tally {
    double error = 0, values = 0;  ///< error in units of the variance, and values that count
    bool broken = false;
  };
  OutputSums& sums_of(std::size_t output, std::size_t own, std::size_t merged);
  static Compared compared(const OutputSums& sums);
  static std::optional<double> fidelity_of(const Tally& tally);
  [[nodiscard]] std::vector<Tally> tallies() const;

  std::vector<OutputSums> outputs_;
  std::vector<std::size_t> videos_;  ///< per ended video the number of frames with values until its end
  std::size_t frame_ = 0;
  bool frame_has_values_ = false;
};

}  // namespace repsim::verify
