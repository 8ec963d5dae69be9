#pragma once

#include <torch/script.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/resample.hpp"

/// Adapters and refits in closed form, on unlabelled calibration frames.
namespace repsim::fit {

/// A receiver layer and the donor layer that is to replace it.
struct Tap {
  int receiver_layer = -1;
  int donor = -1;  ///< a model; may differ from tap to tap
  int donor_layer = -1;
};

/// A cut of one receiver, fed by one donor or by several.
struct Cut {
  int receiver = -1;
  std::vector<Tap> taps;

  [[nodiscard]] std::vector<int> donors() const;  ///< each once, ascending
};

struct Options {
  bool linear =
      true;  ///< 1x1 adapters may be fitted; else layers are at most resized or resampled (channels must agree)
  bool refit = true;    ///< the first convolutions after the cut may be solved again instead
  double ridge = 1e-4;  ///< strength relative to the mean variance of the regressors
};

/// How a cut would be joined, before anything is fitted.
struct Joint {
  bool possible = false;         ///< false: channels differ and neither adapters nor a refit are allowed or possible
  std::vector<int> refit_nodes;  ///< convolutions to solve again; empty: adapters in place
  std::vector<bool> linear;      ///< per tap: a 1x1 convolution is added
  std::vector<bool> resize;  ///< per tap: the maps have different sizes, and both models see the same part of the frame
  std::vector<bool> resample;  ///< per tap: receiver and donor see different parts; constant matrices line the maps up
  std::set<graph::Axis> rows,
      columns;                   ///< the distinct matrices of the resampled taps; some may be in the bundle already
  std::int64_t bytes_added = 0;  ///< adapters, matrices; refitted convolutions beyond what they had
  std::int64_t elements_added = 0;
  std::int64_t flops_added = 0;  ///< per frame
};
/// @throws Error{kInternal} when set.views is neither empty nor one per group
[[nodiscard]] Joint plan_joint(const capture::ModelSet& set, const Cut& cut, const Options& options);

/// A fitted cut.
struct Fitted {
  graph::Splice splice;
  std::vector<double> residuals;  ///< per tap: 1 - R2 on calibration frames, of its adapter or of the refit (the worst)
};

/// Bytes of a constant matrix.
[[nodiscard]] inline std::int64_t matrix_bytes(const graph::Axis& axis) { return 4 * axis.elements(); }

/// Least squares with ridge of what the receiver computed itself on what it will be given: the receiver's own layer on
/// the donor's (adapter), or the output of the first convolutions on their input after replacement, jointly over all
/// taps (refit), positions of all frames as rows, without those whose centre lies where the tap's donor (adapter) or
/// one of the donors (refit) does not see. Sums in float64, rows in the order of the frames: deterministic.
/// @param shares  shares that are already part of the merged model: the donors' layers are what they make of them
/// @throws Error{kInterrupted}
[[nodiscard]] Fitted fit(const capture::ModelSet& set, const capture::Stores& calibration,
                         std::span<const graph::Splice> shares, const Cut& cut, const Joint& joint,
                         const Options& options, Progress& progress);

/// Layers of two models.
struct LayerPair {
  int receiver_layer = -1, donor_layer = -1;
};

/// R2 of the 1x1 ridge regression of each receiver layer on its donor layer, brought into the receiver's coordinates,
/// at 64 positions per frame (evenly spaced over what both see).
/// @param pairs  layers of four dimensions
[[nodiscard]] std::vector<double> screen(const capture::ModelSet& set, const capture::Stores& calibration, int receiver,
                                         int donor, const std::vector<LayerPair>& pairs, const Options& options,
                                         Progress& progress);

/// Running sums of a linear regression y ~ W x + b in float64, about a fixed shift so that no digits are lost.
class NormalEquations {
 public:
  /// @param x  [rows, p], @param y  [rows, q]; any floating dtype
  void add(const at::Tensor& x, const at::Tensor& y);

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
  /// R2 of y ~ x itself, nothing fitted; x and y have the same width.
  [[nodiscard]] double r2_unchanged() const;
  [[nodiscard]] std::int64_t rows() const { return rows_; }

 private:
  std::int64_t rows_ = 0;
  at::Tensor shift_x_, shift_y_, sum_x_, sum_y_, xx_, xy_, yy_;
};

}  // namespace repsim::fit
