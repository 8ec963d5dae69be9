#pragma once

#include <cstdint>
#include <vector>

#include "subproblem.hpp"

namespace repsim::planner {

/// One variable of a pair, per class: the largest price, without what this pair moved.
struct PairSide {
  std::vector<double> best;
  std::vector<int> present;  ///< classes with a value left
  std::vector<double> sums;  ///< scratch
};

/// How much a part of all choices can be worth: the relaxation in which every two variables agree (the local polytope),
/// bounded from above by its dual. A pair of variables may move worth between its classes of values and those of the
/// other one (Subproblem); what is moved is chosen so that the largest prices become small.
class Bounds {
 public:
  explicit Bounds(const ChoiceProblem& problem) : problem_(problem) {}

  /// No choice of the part is worth more. kImpossible: there is none.
  [[nodiscard]] static double bound(const Subproblem& part);

  /// Moves worth pair by pair, exactly and without ever raising the bound, until it is at most `least`, gains little,
  /// or `most_rounds` are over (the handshake of Tourani et al., MPLP++, ECCV 2018).
  void tighten(Subproblem& part, double least, int most_rounds);

  /// Moves worth where no single pair can gain, so that tighten() gets further: maxima are smoothed by a temperature
  /// that falls (log-sum-exp, after Globerson and Jaakkola, NIPS 2007). An exact round comes last.
  void anneal(Subproblem& part);

  /// Leaves out values with which nothing is worth more than `least`.
  static void prune(Subproblem& part, double least);

  /// Work done so far: the same for equal calls on any machine.
  [[nodiscard]] std::int64_t steps() const { return steps_; }

 private:
  void round(Subproblem& part, bool forward, double temperature);
  void handshake(const Pair& pair, std::vector<double>& to_a, std::vector<double>& to_b);
  void soft_handshake(const Pair& pair, double temperature, std::vector<double>& to_a, std::vector<double>& to_b);

  const ChoiceProblem& problem_;
  PairSide a_, b_;
  std::vector<double> rest_;  // per class
  std::int64_t steps_ = 0;
};

}  // namespace repsim::planner
