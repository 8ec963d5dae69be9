#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "repsim/fit/fitting.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/search.hpp"
#include "repsim/similarity.hpp"
#include "workspace.hpp"

namespace repsim::pipeline {

/// A share that was fitted and kept its receiver above the asked fidelity, or may do so.
struct FittedShare {
  planner::Candidate candidate;
  fit::Fitted fitted;
  fit::Attachment attachment;
  /// Fidelity that it may gain at most by being fitted on all that it may see, as what is kept is
  /// (Trials::completed()); 0: it was.
  double reach = 0;
};

struct SearchResult {
  std::vector<FittedShare> shares;                ///< donors' shares first
  std::vector<planner::CandidateRecord> records;  ///< as planner::SearchResult has them
};

/// The splices of accepted shares, in order.
std::vector<graph::Splice> splices_of(const std::vector<FittedShare>& shares);

/// Pairs of models that may share: all ordered pairs of rewritable models, or the directions that the user forces,
/// without the models that are kept and those that may not give.
std::vector<Direction> directions(const Settings& settings, std::span<const session::Model> models);

/// What a search works on. All of it outlives the search.
struct SearchInput {
  const Settings& settings;
  const Workspace& work;
  const std::vector<similarity::Signatures>& signatures;
  const capture::Stores& calibration;  ///< frames that fit
  const capture::Stores& selection;    ///< frames on which candidates are measured
  std::int64_t bytes_to_save = 0;      ///< with a budget: how much must go; 0 or less: the models fit as they are
  const MemoryBudget& memory_budget;
  Progress& progress;
};

/// planner::Search with real models: finds the candidates of all directions first.
class Search {
 public:
  explicit Search(const SearchInput& input);
  ~Search();
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  /// Finds the best combination; after refuse() the next best. What was measured before is not measured again.
  /// @throws Error{kInterrupted}
  [[nodiscard]] SearchResult run();

  /// Fits the shares of what run() returned last that may gain by it on all that they may see, and measures them again.
  /// What run() returns now has them, as far as they hold.
  /// @throws Error{kInterrupted}
  void complete();

  /// A share of what run() returned last fell below its target on the frames that judge.
  void refuse(const planner::Candidate& share, double fidelity);

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace repsim::pipeline
