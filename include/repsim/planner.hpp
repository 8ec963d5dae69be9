#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/candidate.hpp"
#include "repsim/program.hpp"
#include "repsim/replacement.hpp"
#include "repsim/similarity.hpp"

/// Which cuts are worth measuring, in which order. No torch: programs, similarities and numbers in, numbers out.
namespace repsim::planner {

/// Layers of a receiver that are replaced together, and what disappears.
struct DepthCut {
  std::vector<LayerIndex> layers;  ///< ascending; everything upstream of them that nothing else needs goes
  graph::Removal removal;
};

/// Cuts swept along the depth: for every prefix of the layers in execution order, the layers of the prefix that
/// something behind it still reads. A backbone that feeds three pyramid levels is one cut with three replaced layers.
/// @param replaceable  per layer: may be replaced (dtype, rank, the user's globs)
/// @param most_replacements    cuts with more replaced layers are left out
/// Only cuts that remove parameters; one per set of removed ops.
[[nodiscard]] std::vector<DepthCut> depth_cuts(const graph::Program& program, const std::vector<bool>& replaceable,
                                               int most_replacements);

/// One donor layer that could stand in for a receiver layer. The offers of a layer may come from several donors.
struct Offer {
  graph::DonorLayer from;
  std::int64_t cost = 0;   ///< expected harm of the replacement, in units of 1 / kCostUnits
  std::int64_t added = 0;  ///< what the replacement adds itself, in the units of CutProblem's worths; 0 or more
};

/// Costs are whole numbers: this many units are a cost of 1 (a representation that is lost altogether).
inline constexpr std::int64_t kCostUnits = 100'000;

/// What replacing layers of a receiver costs, and what its operations and parameters are worth when they disappear.
struct CutProblem {
  const graph::Program* program = nullptr;
  std::vector<std::vector<Offer>> offers;     ///< per layer; none: the layer is never replaced
  std::vector<std::int64_t> op_worth;         ///< per op, 0 or more: its FLOPs or nanoseconds, or 0 where bytes count
  std::vector<std::int64_t> parameter_worth;  ///< per parameter, 0 or more: its bytes, or 0 where ops count
};

/// A set of replaced layers, each with one of its offers.
struct ExactCut {
  /// Ascending by receiver layer; something that stays still reads each of these layers.
  std::vector<graph::Replacement> replacements;
  std::int64_t cost = 0;    ///< sum over the offers taken
  std::int64_t saving = 0;  ///< worth of what disappears minus what the offers add

  [[nodiscard]] bool operator==(const ExactCut&) const = default;
};

/// The best cut at one exchange rate: the largest saving_weight * saving - cost_weight * cost over all sets of layers.
/// It is a minimum cut of the graph of ops: a needed value is computed, or its layer is replaced at its price; an op
/// that is computed needs its inputs and its parameters, so a parameter goes when all that read it have gone (project
/// selection, Picard 1976). An op that makes several layers goes when all of them are replaced, as in
/// graph::removed_by. Of equally good cuts the one that removes most.
/// @param cost_weight,saving_weight  0 or more, not both 0
/// @param allowed  per layer; empty: all
/// @throws Error{kInternal} where numbers are out of range: a sum of worths or costs, times its weight, beyond 2^60
[[nodiscard]] ExactCut best_cut(const CutProblem& problem, std::int64_t cost_weight, std::int64_t saving_weight,
                                const std::vector<bool>& allowed = {});

/// All corners of the convex hull of (cost, saving) over all sets of layers, so the best cut for every exchange rate:
/// ascending cost and saving, from the largest saving that costs nothing (nothing replaced, as a rule) to the largest
/// saving of all. Found by bisection between known corners (Eisner and Severance 1976): at most two flows per corner.
[[nodiscard]] std::vector<ExactCut> supported_cuts(const CutProblem& problem);

/// For each bound on the cost of a single replacement the largest saving, the least total cost among these: the exact
/// front of worst replacement against saving. Bounds are taken evenly from the costs that occur, at most `most`.
/// Without empty cuts and repetitions.
[[nodiscard]] std::vector<ExactCut> cuts_by_worst_offer(const CutProblem& problem, int most);

/// Cuts between the corners: at the exchange rate of each pair of neighbouring corners the best cuts that leave out one
/// more and one more of the layers found before (best first, after Lawler 1972), at most `most_flows` in all. Some lie
/// on the front inside the hull, which no exchange rate finds.
[[nodiscard]] std::vector<ExactCut> cuts_between(const CutProblem& problem, const std::vector<ExactCut>& corners,
                                                 int most_flows);

/// Donor layers worth a closer look for one receiver layer: the `most` of highest S among those of the same height and
/// width, and the one of highest S of any other size. Layers without a defined S are left out. Ties by layer order.
[[nodiscard]] std::vector<int> shortlist(const similarity::MatrixView& receiver_by_donor,
                                         const graph::Program& receiver, const graph::Program& donor,
                                         LayerIndex receiver_layer, const std::vector<bool>& givable, int most);

/// Of the mixed candidates those that no candidate of one of their donors alone equals or beats in saving, predicted
/// fidelity and cost at once: what mixing is for.
[[nodiscard]] std::vector<Candidate> worth_mixing(std::vector<Candidate> mixed, const std::vector<Candidate>& alone,
                                                  Objective objective);

/// Indices of the candidates that no other one beats in both predicted fidelity and saving, or in both cost and saving:
/// the two fronts as one list, largest saving first. Of equals, the first stays.
[[nodiscard]] std::vector<std::size_t> pareto_front(const std::vector<Candidate>& candidates,
                                                    Objective objective = Objective::kBytes);

/// What one donor gives to a share option.
struct Supplied {
  ModelIndex donor = -1;
  std::vector<LayerIndex> layers;    ///< ascending
  std::vector<int> parameters = {};  ///< weights, as indices into the donor's Program::parameters; ascending
};

/// One possible share in the choice of shares for many models.
struct ShareOption {
  ModelIndex receiver = -1;
  double value = 0;                       ///< what it is worth; only options of value above 0 are chosen
  std::vector<Supplied> supplied;         ///< what it takes: at least one donor, each once
  std::vector<LayerIndex> unavailable;    ///< layers that the receiver cannot give any more, ascending
  std::vector<int> gone_parameters = {};  ///< weights that the receiver does not hold any more, ascending
};

/// The question which share options to take, at most one per receiver. A donor that is a receiver itself gives only
/// the layers and weights that its own option leaves it. No model takes from itself, directly or through other models.
struct Choice {
  int models = 0;
  std::vector<ShareOption> options;
  /// Sets of options of which not all may be chosen: an option, and options of models that it takes from, directly or
  /// through other models.
  std::vector<std::vector<std::size_t>> nogoods;
  int max_shares = -1;                    ///< -1: any number
  std::int64_t most_steps = 400'000'000;  ///< of the search, of a few ns each: no time, so that equal runs agree
};

struct Chosen {
  std::vector<std::size_t> options;  ///< ascending by receiver
  double value = 0;                  ///< their sum
  double bound = 0;                  ///< no choice is worth more; equals value (up to rounding) unless out of steps
  bool proven = true;                ///< false: most_steps was reached
};

/// The choice of largest value. Options that another one of their receiver beats in worth and conflicts are left out;
/// then branch and bound over the receivers. The bound: receivers two by two have options that may stand side by side,
/// at most max_shares take, and one less than there are models (without cycles somebody takes nothing), in the dual of
/// a linear relaxation.
/// @throws Error{kInternal} when an option names no model, or none that it takes from
[[nodiscard]] Chosen choose(const Choice& choice);

/// True when `text` matches the glob (`*`, `?`, `[abc]`).
[[nodiscard]] bool glob_matches(const std::string& glob, const std::string& text);

}  // namespace repsim::planner
