#pragma once

#include <torch/script.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/merged_pass.hpp"
#include "repsim/replacement.hpp"
#include "repsim/resample.hpp"

/// Adapters and refits in closed form, on unlabelled calibration frames.
namespace repsim::fit {

using graph::Cut;
using graph::DonorLayer;
using graph::Replacement;

struct Options {
  bool linear =
      true;  ///< 1x1 adapters may be fitted; else layers are at most resized or resampled (channels must agree)
  bool refit = true;  ///< the first convolutions after the cut may be solved again instead
  int rank = 0;       ///< channels of the correction beside each linear map; 0: none (graph::Correction)
  std::vector<DonorLayer> auxiliary_inputs;  ///< that these corrections read
  /// Strength relative to the mean variance of the regressors, of maps and of corrections (whose many regressors say
  /// nearly the same). Not set: per map the one that explains parts of the calibration frames best that it was not
  /// fitted on.
  std::optional<double> ridge, correction_ridge;
};

/// Where there are too few frames to choose one.
inline constexpr double kRidge = 1e-4, kCorrectionRidge = 1e-3;

/// How much the places of a receiver's input matter: `floor`, and inside a box of its own detections the score more.
/// What is fitted where nothing is ever found takes expressiveness from where something is.
struct SampleWeights {
  std::vector<model::Detections> boxes;  ///< per calibration frame, relative to the model's input; empty: all alike
  double floor = 0.1;

  /// Weights of the cells of a map, float64 [B, height * width]. A box counts by the part of the cell, or of itself
  /// where it is smaller, that lies in the other.
  [[nodiscard]] at::Tensor of(std::span<const std::int64_t> positions, std::int64_t height, std::int64_t width) const;
};

/// How a cut would be joined, before anything is fitted.
struct Attachment {
  bool possible = false;         ///< false: channels differ and neither adapters nor a refit are allowed or possible
  std::vector<int> refit_nodes;  ///< convolutions to solve again; empty: adapters in place
  std::vector<bool> linear;      ///< per replacement: a 1x1 convolution is added
  std::vector<bool>
      resize;  ///< per replacement: the maps have different sizes, and both models see the same part of the frame
  std::vector<bool>
      resample;  ///< per replacement: receiver and donor see different parts; constant matrices line the maps up
  int rank = 0;  ///< of the corrections
  std::vector<DonorLayer> auxiliary_inputs;  ///< that they read; none where the size of what a map returns is not known
  /// Per convolution of refit_nodes: the batch normalisation behind it that its new weights take in.
  std::vector<std::optional<graph::Normalisation>> normalisations;
  /// The distinct matrices of the resampled replacements. A bundle may hold some of them already.
  std::set<graph::ResampledAxis> vertical, horizontal;
  std::int64_t bytes_added = 0;  ///< adapters, matrices; refitted convolutions beyond what they had
  std::int64_t elements_added = 0;
  std::int64_t flops_added = 0;  ///< per frame
  /// Of the normalisations that are taken in, and so gone beside what the cut removes.
  std::int64_t bytes_folded = 0, flops_folded = 0;
  std::int64_t gram_elements = 0;  ///< of the Gram matrices of its maps' regressors, without corrections
};
/// @throws Error{kInternal} when set.views is neither empty nor one per group
[[nodiscard]] Attachment plan_attachment(const capture::ModelSet& set, const Cut& cut, const Options& options);

/// Running sums of a linear regression y ~ W x + b in float64, about a fixed shift so that no digits are lost.
class NormalEquations {
 public:
  /// How products of rows are taken before they are added up in float64. Float32 products are those of 4096 rows at a
  /// time about the shift: good to 1e-5 of the variances, which is far below the ridge of a correction, and twice as
  /// fast.
  enum class Products { kDouble, kFloat };
  explicit NormalEquations(Products products = Products::kDouble) : products_(products) {}

  struct Sums {
    std::int64_t rows = 0;
    double total = 0;             ///< of the weights
    at::Tensor shift_x, shift_y;  ///< [p], [q] float64
    at::Tensor x, y;              ///< [p], [q] of the rows about the shift, times their weights; float64 like all below
    at::Tensor xx, xy, yy;        ///< [p, p], [p, q], [q] of their products
  };
  /// Of rows that were added up elsewhere.
  explicit NormalEquations(Sums sums) : products_(Products::kDouble), sums_(std::move(sums)) {}

  /// @param x  [rows, p], @param y  [rows, q]; any floating dtype, all on one device, where the sums are and solutions
  ///        will be
  /// @param weights  [rows] float64, 0 or more; undefined: 1 each
  void add(const at::Tensor& x, const at::Tensor& y, const at::Tensor& weights = {});

  /// Rows that were added elsewhere: as if they had been added here, up to rounding.
  void merge(const NormalEquations& other);

  /// Without rows, but about the same shift: what is added up there and merged with this costs one addition per sum.
  [[nodiscard]] NormalEquations beside() const;

  struct Solution {
    at::Tensor weight;     ///< [q, p] float64
    at::Tensor bias;       ///< [q] float64
    at::Tensor explained;  ///< [q] float64: variance of each output that the fit explains
    at::Tensor variance;   ///< [q] float64
    /// Of the fitted rows, pooled over the outputs begin..end by variance; 0 where these are constant; may be negative.
    [[nodiscard]] double r2(std::int64_t begin, std::int64_t end) const;
    [[nodiscard]] double r2() const { return r2(0, variance.size(0)); }
  };
  /// @param ridge  relative to the mean variance of x; a singular system gets the minimum-norm direction only
  [[nodiscard]] Solution solve(double ridge) const;
  /// The same for several ridges, each without what it explains.
  [[nodiscard]] std::vector<Solution> solve_several(std::span<const double> ridges) const;
  /// A map from some of the regressors, and beside it one of low rank: y ~ base x[columns] + up down x[more] + bias.
  struct LowRank {
    Solution base;    ///< weight [q, columns]; the rest is that of the whole
    at::Tensor down;  ///< [rank, more] float64
    at::Tensor up;    ///< [q, rank] float64
    at::Tensor both;  ///< [q, p] float64: base and correction as one map
  };
  /// The base as solve() has it; of what it leaves over, the regression on the regressors `more` (with a ridge of its
  /// own) cut down to the `rank` directions of y in which it explains most.
  /// @param columns,more  int64, of the regressors that the base and the correction take; they may overlap
  [[nodiscard]] LowRank solve_low_rank(const at::Tensor& columns, const at::Tensor& more, std::int64_t rank,
                                       double ridge, double correction_ridge) const;
  /// The same for several ranks, at the cost of little more than one.
  [[nodiscard]] std::vector<LowRank> solve_low_ranks(const at::Tensor& columns, const at::Tensor& more,
                                                     std::span<const std::int64_t> ranks, double ridge,
                                                     double correction_ridge) const;
  /// The same for several ridges of the correction, each without what its base explains.
  [[nodiscard]] std::vector<LowRank> solve_low_ranks(const at::Tensor& columns, const at::Tensor& more,
                                                     std::int64_t rank, double ridge,
                                                     std::span<const double> correction_ridges) const;
  /// The `count` directions in which the regressors `columns` vary most: orthonormal rows, float64 [count, columns].
  [[nodiscard]] at::Tensor principal_directions(const at::Tensor& columns, std::int64_t count) const;
  /// Weighted sum of squares that the map leaves of these rows, which need not be those that fitted it.
  /// @param weight  [q, p] float64, @param bias  [q] float64
  [[nodiscard]] double error_of(const at::Tensor& weight, const at::Tensor& bias) const;
  /// The same of a map of low rank, at a fraction of the cost.
  [[nodiscard]] double error_of(const LowRank& map, const at::Tensor& columns, const at::Tensor& more) const;
  /// R2 of y ~ x itself, nothing fitted; x and y have the same width.
  [[nodiscard]] double r2_unchanged() const;
  [[nodiscard]] std::int64_t rows() const { return sums_.rows; }
  /// Of the sums.
  [[nodiscard]] std::int64_t bytes() const;

  struct Moments {
    at::Tensor mean_x, mean_y;  ///< [p], [q] about the shift
    at::Tensor xx, xy;          ///< [p, p], [p, q] covariances
    at::Tensor yy;              ///< [q] variances
  };
  [[nodiscard]] Moments moments() const;

 private:
  [[nodiscard]] std::vector<LowRank> low_ranks(const Moments& all, const at::Tensor& columns, const at::Tensor& more,
                                               std::span<const std::int64_t> ranks, double ridge,
                                               std::span<const double> correction_ridges) const;
  [[nodiscard]] double error_of(const at::Tensor& weight, const at::Tensor& bias, double quadratic) const;
  [[nodiscard]] at::Tensor bias_of(const Moments& moments, const at::Tensor& weight) const;
  /// Bias of a weight [p, q], and what it explains.
  void judge(const Moments& moments, const at::Tensor& weight, Solution& solution) const;

  Products products_;
  Sums sums_;
};

/// A fitted cut; its tensors are on the CPU wherever it was fitted.
struct Fitted {
  graph::Splice splice;
  std::vector<double>
      residuals;  ///< per replacement: 1 - R2 on calibration frames, of its adapter or of the refit (the worst)
};

/// What calibration frames say about a cut: sums, whose size does not depend on the number of frames.
struct Gathered {
  struct Map {
    graph::ConvGeometry geometry;
    /// Of what the map sees, then of what a correction sees beside it: one part per stretch of the calibration frames
    /// until the ridges are chosen, then their sum.
    std::vector<NormalEquations> parts;
    std::int64_t channels = 0;                                   ///< that the map reads
    bool corrections = false;                                    ///< the sums hold what corrections need
    double ridge = kRidge, correction_ridge = kCorrectionRidge;  ///< by cross-validation over the parts
    /// The correction sees these combinations of the channels, float64 [count, channels]; undefined: the channels.
    at::Tensor projection;
    struct Beside {
      DonorLayer layer;
      graph::Resampling resampling;
      std::int64_t channels = 0;
    };
    std::vector<Beside> auxiliary_inputs = {};  ///< that the correction sees besides
  };
  graph::Splice splice;   ///< where the replacements' values come from and how they are brought to size; no map yet
  std::vector<Map> maps;  ///< one per refitted convolution, or per replacement
};

/// Sums of all parts.
[[nodiscard]] NormalEquations merged(std::span<const NormalEquations> parts);

/// Ridge regression on all parts but one, judged on that one, for each part and each of `ridges`: the strongest ridge
/// whose error is within a thousandth of the least. Parts are stretches of a video, so that near-copies of a frame do
/// not stand on both sides.
/// @return nothing where fewer than two parts have rows
[[nodiscard]] std::optional<double> best_ridge(std::span<const NormalEquations> parts, std::span<const double> ridges);
/// The same for corrections of rank 8 beside a map of ridge `ridge`. Every second part judges: what they cost is most
/// of what choosing costs.
[[nodiscard]] std::optional<double> best_correction_ridge(std::span<const NormalEquations> parts,
                                                          const at::Tensor& columns, const at::Tensor& more,
                                                          double ridge, std::span<const double> ridges);

/// Bytes of a constant matrix.
[[nodiscard]] inline std::int64_t matrix_bytes(const graph::ResampledAxis& axis) { return 4 * axis.elements(); }

/// Least squares with ridge of what the receiver computed itself on what it will be given: the receiver's own layer on
/// the donor's (adapter), or the output of the first convolutions on their input after replacement, jointly over all
/// replacements (refit, then joined with the batch normalisation behind it, which is exact), positions of all frames as
/// rows, without those whose centre lies where the replacement's donor (adapter) or one of the donors (refit) does not
/// see. Sums in float64, rows in the order of the frames: deterministic. With a rank, what the map leaves over is
/// regressed on a neighbourhood that is larger by a ring of one, and of that the directions of most explained variance
/// are kept (reduced-rank regression, Izenman 1975). Sides are regressors beside the neighbourhood.
/// @param shares  shares that are already part of the merged model: the donors' layers are what they make of them
/// @param weights  of the rows; residuals are weighted alike
/// @throws Error{kInterrupted}
[[nodiscard]] Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration,
                         std::span<const graph::Splice> shares, const Cut& cut, const Attachment& attachment,
                         const Options& options, Progress& progress, const SampleWeights& weights = {});

/// What the cuts of one run have in common on the same calibration frames: layers' values, and the sums of maps from
/// the same values to the same values. Kept while it fits into memory; results are the same without it.
class Reuse {
 public:
  /// @param value_bytes,sum_bytes  of what is kept at most
  Reuse(std::int64_t value_bytes, std::int64_t sum_bytes) : values(value_bytes), most_sum_bytes_(sum_bytes) {}

  capture::ValueCache values;

  [[nodiscard]] const Gathered::Map* find(const std::string& key);
  /// Drops what was used longest ago until it fits.
  void keep(const std::string& key, const Gathered::Map& map);

  /// The sums of a cut that was asked for before, as far as they are still kept: no graph needs to be put together to
  /// find them.
  /// @return per map; nothing where one is missing
  [[nodiscard]] std::optional<std::vector<const Gathered::Map*>> find_cut(const std::string& question);
  /// @param keys  of the sums that answer it, one per map
  void keep_cut(const std::string& question, std::vector<std::string> keys) { cuts_[question] = std::move(keys); }

 private:
  struct Entry {
    Gathered::Map map;
    std::int64_t bytes = 0;
    std::uint64_t used = 0;
  };
  std::int64_t most_sum_bytes_, sum_bytes_ = 0;
  std::uint64_t now_ = 0;
  std::map<std::string, Entry> sums_;
  std::map<std::string, std::vector<std::string>> cuts_;
};

/// Per receiver the weights of its rows; for one that is missing, all are alike.
using WeightsOf = std::map<int, SampleWeights>;

/// The first half of fit() for several cuts in one pass over the frames, in which every model runs once. Without what
/// corrections need.
/// @param attachments  one per cut
/// @param weights  always the same for a receiver where `reuse` is
/// @param reuse  of these frames; null: everything is computed
[[nodiscard]] std::vector<Gathered> gather(const capture::ModelSet& set, const capture::Stores& calibration,
                                           std::span<const graph::Splice> shares, std::span<const Cut> cuts,
                                           std::span<const Attachment> attachments, Progress& progress,
                                           const WeightsOf& weights = {}, Reuse* reuse = nullptr);
/// The most values of a neighbourhood that a correction is regressed on: one that is kept, and one that a search tries.
/// What a fit costs grows with their square.
inline constexpr std::int64_t kMostRegressors = 4096, kMostRegressorsTried = 768;

/// The same of one cut with what corrections of any rank need. A neighbourhood of so many channels that it has more
/// than `most_regressors` values is regressed on the principal directions of the channels only.
/// @param attachment  its sides are seen, its rank does not matter
/// @param plain  what gather() has of this cut
[[nodiscard]] Gathered gather_corrections(const capture::ModelSet& set, const capture::Stores& calibration,
                                          std::span<const graph::Splice> shares, const Cut& cut,
                                          const Attachment& attachment, const Gathered& plain, Progress& progress,
                                          const SampleWeights& weights = {}, Reuse* reuse = nullptr,
                                          std::int64_t most_regressors = kMostRegressors);
/// The layers, of `offered`, that corrections should read: of those left always the one that takes most off the error
/// per weight, as long as that is more than what the weakest channel of a correction of attachment.rank takes off per
/// weight. Fitted on the first three of the four stretches of the calibration frames, judged on the last; summed over
/// the cut's maps, each relative to the variance of what it returns.
/// @param attachment  of a rank above 0, without sides
/// @param plain  what gather() has of this cut
/// @param most  of them
/// @return in the order in which they were taken
[[nodiscard]] std::vector<DonorLayer> choose_auxiliary_inputs(const capture::ModelSet& set,
                                                              const capture::Stores& calibration,
                                                              std::span<const graph::Splice> shares, const Cut& cut,
                                                              const Attachment& attachment, const Gathered& plain,
                                                              const std::vector<DonorLayer>& offered, std::size_t most,
                                                              Progress& progress, const SampleWeights& weights = {});
/// Whether gather_corrections() of this cut depends on `most_regressors` between those two.
[[nodiscard]] bool sees_more(const Gathered& plain, std::int64_t most_regressors, std::int64_t more_regressors);
/// The second half.
/// @param attachment  of rank 0, or of any rank where corrections were gathered
[[nodiscard]] Fitted solve(const Gathered& gathered, const Attachment& attachment, const Options& options);
/// The same for attachments that differ in their rank alone, which is above 0.
[[nodiscard]] std::vector<Fitted> solve(const Gathered& gathered, std::span<const Attachment> attachments,
                                        const Options& options);

/// Some of the frames that fit a cut.
struct Part {
  const capture::Stores& frames;
  const SampleWeights& weights;  ///< of the rows of the cut's receiver on these frames
  Reuse* reuse = nullptr;        ///< of these frames
};
/// Each part is gathered by itself and the sums are added up: what is known of one is not computed again. Ridges are
/// chosen on the first part.
[[nodiscard]] Gathered gather(const capture::ModelSet& set, std::span<const Part> parts,
                              std::span<const graph::Splice> shares, const Cut& cut, const Attachment& attachment,
                              Progress& progress);
[[nodiscard]] Gathered gather_corrections(const capture::ModelSet& set, std::span<const Part> parts,
                                          std::span<const graph::Splice> shares, const Cut& cut,
                                          const Attachment& attachment, const Gathered& plain, Progress& progress,
                                          std::int64_t most_regressors = kMostRegressors);
[[nodiscard]] Fitted fit(const capture::ModelSet& set, std::span<const Part> parts,
                         std::span<const graph::Splice> shares, const Cut& cut, const Attachment& attachment,
                         const Options& options, Progress& progress);

/// Layers of two models.
struct LayerPair {
  LayerIndex receiver_layer = -1, donor_layer = -1;
};

/// What screen() is asked about two models.
struct Screening {
  ModelIndex receiver = -1, donor = -1;
  std::vector<LayerPair> pairs;  ///< layers of four dimensions
};

/// What models return is of use to others than screen(), which runs them all.
struct Outputs {
  std::set<int> models;  ///< whose
  /// What one of them returns for the next frames: all of them in order, in runs of set.batch() of that model alone.
  /// Not called for a model that is in no pair, or runs in other batches for the sake of its pairs.
  std::function<void(ModelIndex model, const c10::IValue& output, std::int64_t frames)> take;
};

/// R2 of the 1x1 ridge regression of each receiver layer on its donor layer, brought into the receiver's coordinates,
/// at 64 positions per frame (evenly spaced over what both see). One pass over the frames, in which every model runs
/// once; a second one for what cannot be run in batches.
/// @param most_bytes  of the sums and sampled rows that are in memory at a time, as far as one donor layer's need no
///        more: where all are more, there are several passes. The result is the same
/// @return per screening, per pair
[[nodiscard]] std::vector<std::vector<double>> screen(const capture::ModelSet& set, const capture::Stores& calibration,
                                                      std::span<const Screening> screenings, const Options& options,
                                                      Progress& progress, std::int64_t most_bytes = kUnlimited,
                                                      const Outputs& outputs = {});

}  // namespace repsim::fit
