#pragma once

#include <torch/script.h>

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/replacement.hpp"

/// Weights that a receiver takes from a donor, with differences of low rank (docs/internals/fitting.md).
namespace repsim::fit {

/// Whether two layers differ in nothing but their weights and biases: weight shape, stride, padding, dilation and
/// groups are equal.
[[nodiscard]] bool same_structure(const graph::StoredWeight& a, const graph::StoredWeight& b);

/// Pairs the stored weights of two models by structure: both of a pair have the same_structure(), and pairs keep
/// the execution order of both models. Of all such pairings, the one of most elements of weights. Only weights of the
/// receiver that nothing else of it reads take part.
/// @return rank 0; ascending in the receiver's execution order
/// Cost: products of the numbers of weights. Source: longest common subsequence with weights.
[[nodiscard]] std::vector<graph::SharedWeight> paired_weights(const capture::ModelSet& set, ModelIndex receiver,
                                                              ModelIndex donor);

/// By how much a layer's result would change if it ran with a donor's weight: sums over all positions of all
/// frames, on the inputs that the layer has in its own model.
struct WeightDifference {
  graph::SharedWeight weight;  ///< its rank means nothing
  std::int64_t samples = 0;    ///< positions
  /// Sums of the products of differences, float64 [C_out, C_out]. Grouped convolutions: of their squares, [C_out].
  at::Tensor products;
  at::Tensor outputs, squares;  ///< float64 [C_out]: sums of the results with the own weight, and of their squares

  /// Adds the sums over other frames.
  void add(const WeightDifference& more);
  /// Total variance of the layer's own results.
  [[nodiscard]] double variance() const;
  /// Per rank 0, 1, ... which part of the output variance the best difference of that rank leaves. Not ascending; the
  /// last one is 0, except of grouped convolutions, which have rank 0 alone. Infinite if the results are constant and
  /// the difference is not.
  [[nodiscard]] std::vector<double> left_over() const;
  [[nodiscard]] std::int64_t bytes() const;  ///< of the sums
};

/// Adds up the differences of some weights of one receiver, in one pass over the frames.
/// @param weights  of one or several donors
/// @return in the order of `weights`. The sums of one do not depend on which others are asked for
/// @throws Error{kInput} where the receiver fails on a frame; Error{kInterrupted}
[[nodiscard]] std::vector<WeightDifference> gather_differences(const capture::ModelSet& set,
                                                               const capture::Stores& frames, ModelIndex receiver,
                                                               std::span<const graph::SharedWeight> weights,
                                                               Progress& progress);

/// A fitted shared weight.
struct SolvedWeight {
  graph::FittedWeight fitted;
  double output_variance = 0;  ///< 0 or more: the part of the output variance that differs
};
/// The difference of a given rank that changes the layer's results least: for D = W_receiver - W_donor the
/// factors U, V that minimise E|(D - UV) x|^2. With C = E[x x'] these are the truncated singular vectors of D C^(1/2)
/// (Eckart and Young 1936): U are the first eigenvectors of D C D' = E[(Dx)(Dx)'], and V = U' D.
/// @param rank  0 to C_out; grouped convolutions: 0
[[nodiscard]] SolvedWeight solve_weight(const capture::ModelSet& set, ModelIndex receiver,
                                        const WeightDifference& difference, int rank);

/// Differences of all paired weights of pairs of models, on one list of frames. Gathers them when they are asked for,
/// and keeps them while they fit into memory. Keeping changes no result.
class WeightDifferences {
 public:
  /// @param max_bytes  of the sums that are kept; those of the last request are kept however large they are
  /// set, frames and progress outlive the object.
  WeightDifferences(const capture::ModelSet& set, const capture::Stores& frames, std::int64_t max_bytes,
                    Progress& progress)
      : set_(set), frames_(frames), max_bytes_(max_bytes), progress_(progress) {}

  /// The differences of paired_weights(). Valid until the next call.
  const std::vector<WeightDifference>& between(ModelIndex receiver, ModelIndex donor);
  /// Gathers the differences of a receiver from as many of the first donors as fit into memory together, at least from
  /// one, in one pass. between() then finds them.
  /// @param donors  at least one
  /// @return how many donors
  std::size_t prepare(ModelIndex receiver, std::span<const ModelIndex> donors);

 private:
  using Pair = std::pair<ModelIndex, ModelIndex>;  ///< receiver, donor
  struct Entry {
    std::vector<WeightDifference> differences;
    std::int64_t bytes = 0;
    std::uint64_t used = 0;
  };
  void keep(const Pair& pair, std::vector<WeightDifference> differences);

  const capture::ModelSet& set_;
  const capture::Stores& frames_;
  const std::int64_t max_bytes_;
  Progress& progress_;
  std::int64_t bytes_ = 0;
  std::uint64_t now_ = 0;
  std::map<Pair, Entry> kept_;
};

}  // namespace repsim::fit
