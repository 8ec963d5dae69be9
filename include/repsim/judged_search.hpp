#pragma once

#include <cstdint>
#include <vector>

#include "repsim/judgement.hpp"
#include "repsim/search.hpp"

/// From a search to a plan that the test frames support. Plain code: it sees the test frames only through a PlanJudge.
namespace repsim::planner {

/// When the test frames support a plan.
struct Judging {
  JudgingRule rule;
  std::int64_t most_judgements = 3;  ///< plans that are shown to the test frames; see search_until_it_holds()
  std::vector<double> targets;       ///< per model: fidelity to keep, 0..1
  std::vector<bool> accepted;        ///< per model: the user lets it share on less evidence

  [[nodiscard]] double supported(ModelIndex receiver, const Judged& judged) const {
    return rule.supported(judged, accepted[receiver]);
  }
  [[nodiscard]] bool holds(ModelIndex receiver, const Judged& judged) const {
    return rule.holds(judged, targets[receiver], accepted[receiver]);
  }
};

/// Shows a plan to the test frames. It decides nothing.
class PlanJudge {
 public:
  virtual ~PlanJudge() = default;
  /// The plan that the functions below are about from now on.
  virtual void take(const SearchResult& plan) = 0;
  /// What the test frames say of a receiver of the plan, in memory. @throws Error{kInput}, Error{kInterrupted}
  [[nodiscard]] virtual Judged in_memory(ModelIndex receiver) = 0;
  /// Writes the plan's bundle, reads it back and measures it. @throws Error{kInput}, Error{kInterrupted}
  virtual void write() = 0;
  /// What the test frames say of a receiver in the file that write() wrote last.
  [[nodiscard]] virtual Judged in_file(ModelIndex receiver) = 0;

  // Told, and may be left out.
  virtual void refused(ModelIndex /*receiver*/, const Judged& /*judged*/) {}
  /// No plan is shown to the test frames any more: the next one consists of the shares that held.
  virtual void out_of_judgements(std::int64_t /*judgements*/) {}
};

/// Searches until a choice of shares, completely fitted, holds on the test frames: in memory first, then in the written
/// file. A share that does not hold there is refused, and the search goes on without it. Once as many plans were shown
/// to the test frames as `judging` allows, or the file refuses a share, the plan consists of the shares that held. The
/// judge's last plan is the result: it was written, and all of its shares hold in the file.
/// Where some candidates share weights and others layers, the search first finds the best choice of the former alone,
/// and shows one plan of it, then the best of all. If `judging` allows one plan alone, it is one of all.
/// @return how many plans were shown to the test frames
[[nodiscard]] std::int64_t search_until_it_holds(Search& search, const Judging& judging, PlanJudge& judge);

}  // namespace repsim::planner
