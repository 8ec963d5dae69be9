#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "repsim/bundle.hpp"
#include "repsim/judged_search.hpp"
#include "repsim/trial.hpp"
#include "stopwatch.hpp"
#include "stream_work.hpp"

/// The part of a plan that may repeat: search, judge, complete, write, verify.
namespace repsim::pipeline {

/// What the loop works with. All of it outlives the loop.
struct PlanLoopInput {
  const PlanInputs& inputs;
  std::vector<std::unique_ptr<StreamTrials>>& trials;  ///< per stream
  const planner::Judging& judging;
  planner::Search& search;
  const trial::Evaluator& evaluator;  ///< of the search
  const std::string& bundle_path;
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

/// Searches until a plan holds on the test frames (planner::search_until_it_holds()), and writes its bundle to
/// bundle_path.
/// @throws Error{kInput}, Error{kInterrupted}
[[nodiscard]] PlannedBundle find_and_write(const PlanLoopInput& input);

}  // namespace repsim::pipeline
