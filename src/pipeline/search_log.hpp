#pragma once

#include "repsim/pipeline.hpp"
#include "repsim/search.hpp"
#include "repsim/session.hpp"

namespace repsim::pipeline {

/// "1.5 kB", "12000 FLOPs a frame"
std::string saving_text(std::int64_t saving, planner::Objective objective);

/// Writes what a search does to the log.
class SearchLog : public planner::SearchObserver {
 public:
  /// @param session  outlives the log
  /// @param max_minutes  as in Settings
  SearchLog(const session::Session& session, planner::Objective objective, double max_minutes);

  /// What would be chosen if predictions were fidelities, and how far from the bound: planning without measuring.
  void chosen_by_prediction(std::size_t candidates, const planner::Chosen& chosen) const;

  void choice_not_proven(const planner::Choice& choice, const planner::Chosen& chosen) override;
  void measured(const planner::CandidateRecord& record) override;
  void progress(const planner::SearchProgress& progress) override;
  void nothing_within_budget() override;
  void out_of_time() override;
  void no_other_choice_saves_more() override;
  void predictions_compared(std::size_t trials, std::size_t within_interval, double mean_error) override;

 private:
  [[nodiscard]] std::string layers_text(const graph::Cut& cut) const;

  const session::Session& session_;
  const planner::Objective objective_;
  const double max_minutes_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_progress_ = start_;
  std::vector<std::string> model_names_;
};

}  // namespace repsim::pipeline
