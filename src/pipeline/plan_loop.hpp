#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/bundle.hpp"
#include "repsim/judgement.hpp"
#include "repsim/search.hpp"
#include "repsim/trial.hpp"
#include "stopwatch.hpp"

/// The part of a plan that may repeat: search, judge, complete, write, verify.
namespace repsim::pipeline {

/// When the test frames support a plan.
struct Judging {
  planner::JudgingRule rule;
  std::int64_t most_judgements = 3;  ///< plans that are shown to the test frames
  std::vector<bool> accepted;        ///< per model: the user lets it share on less evidence
};

/// What the loop works with. All of it outlives the loop.
struct PlanLoopInput {
  const session::Session& session;
  const std::vector<double>& targets;  ///< per model: fidelity to keep
  const Judging& rule;
  planner::Search& search;
  const trial::Evaluator& evaluator;  ///< of the search
  trial::Measurer& test;              ///< measures in memory, on the test frames
  verify::BundleCheck& check;         ///< of the file, on the test frames; the loop sets its bundle
  Stopwatch& watch;
  Progress& progress;
};

/// What the loop ends with: a written bundle whose shares all hold on the test frames.
struct PlannedBundle {
  std::vector<trial::FittedShare> shares;         ///< donors' shares first
  std::vector<planner::CandidateRecord> records;  ///< of the search
  bundle::Written written;                        ///< without its bytes, which are in the file
  std::int64_t bytes = 0;                         ///< of the file
  std::string sha256;
  std::vector<verify::Verdict> verdicts;  ///< per model
  std::int64_t judgements = 0;            ///< plans that were measured on the test frames
};

/// Searches until a choice of shares, completely fitted, holds on the test frames: in memory first, then in the bundle
/// file that is written to check.bundle_path and read back. A share that does not hold there is refused, and the search
/// goes on without it. Once as many plans were shown to the test frames as the rule allows, the plan consists of the
/// shares that held.
/// @throws Error{kInput}, Error{kInterrupted}
[[nodiscard]] PlannedBundle search_until_it_holds(const PlanLoopInput& input);

}  // namespace repsim::pipeline
