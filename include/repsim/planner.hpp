#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/program.hpp"
#include "repsim/similarity.hpp"

/// Which cuts are worth measuring, in which order. No torch: programs, similarities and numbers in, numbers out.
namespace repsim::planner {

/// Layers of a receiver that are replaced together, and what disappears.
struct DepthCut {
  std::vector<int> layers;  ///< ascending; everything upstream of them that nothing else needs goes
  graph::Removal removal;
};

/// Cuts swept along the depth: for every prefix of the layers in execution order, the layers of the prefix that
/// something behind it still reads. A backbone that feeds three pyramid levels is one cut with three replaced layers.
/// @param replaceable  per layer: may be replaced (dtype, rank, the user's globs)
/// @param most_taps    cuts with more replaced layers are left out
/// Only cuts that remove parameters; one per set of removed ops.
[[nodiscard]] std::vector<DepthCut> depth_cuts(const graph::Program& program, const std::vector<bool>& replaceable,
                                               int most_taps);

/// Donor layers worth a closer look for one receiver layer: the `most` of highest S among those of the same height and
/// width, and the one of highest S of any other size. Layers without a defined S are left out. Ties by layer order.
[[nodiscard]] std::vector<int> shortlist(const similarity::Matrix& receiver_by_donor, const graph::Program& receiver,
                                         const graph::Program& donor, int receiver_layer,
                                         const std::vector<bool>& givable, int most);

/// A cut with its donor layers, before or after it was measured.
struct Candidate {
  int receiver = -1, donor = -1;
  std::vector<int> receiver_layers, donor_layers;  ///< pairwise
  double similarity = 0;                           ///< smallest S over the pairs
  double predicted_fidelity = 0;                   ///< 0..1
  std::int64_t bytes_saved = 0;                    ///< removed minus added
  std::optional<double> measured_fidelity;
  bool chosen = false;
  std::string reason;
};

/// Indices of the candidates that no other one beats in both predicted fidelity and bytes saved, most bytes first.
/// Of equals in both, the first stays.
[[nodiscard]] std::vector<std::size_t> pareto_front(const std::vector<Candidate>& candidates);

/// True when `text` matches the glob (`*`, `?`, `[abc]`).
[[nodiscard]] bool glob_matches(const std::string& glob, const std::string& text);

}  // namespace repsim::planner
