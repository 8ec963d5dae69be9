#include "search_log.hpp"

#include <algorithm>
#include <cmath>

#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "repsim/candidates.hpp"
#include "repsim/reason_text.hpp"

namespace repsim::pipeline {
namespace {

/// "0.831", "0.831 (0.652 to 0.907)"
std::string predicted_text(const planner::Candidate& one) {
  std::string text = fixed3(one.predicted_fidelity);
  if (one.predicted_interval)
    text += " (" + fixed3(one.predicted_interval->low) + " to " + fixed3(one.predicted_interval->high) + ")";
  return text;
}

const char* verdict_of(planner::Reason::Kind kind) {
  using Kind = planner::Reason::Kind;
  if (kind == Kind::kHolds) return "holds";
  if (kind == Kind::kNear) return "near ";
  return kind == Kind::kLikelyRefused ? "too near " : "below ";
}

std::string verdict_text(const planner::Reason& reason) {
  const char* verdict = verdict_of(reason.kind);
  return reason.kind == planner::Reason::Kind::kHolds ? verdict : verdict + fixed3(reason.target);
}

double gap_percent(const planner::Chosen& chosen) { return 100 * (chosen.bound - chosen.value) / chosen.bound; }

}  // namespace

std::string saving_text(std::int64_t saving, planner::Objective objective) {
  switch (objective) {
    case planner::Objective::kFlops:
      return std::to_string(saving) + " FLOPs a frame";
    case planner::Objective::kLatency:
      return std::to_string(saving / 1000) + " us a frame of the estimate";
    case planner::Objective::kPeakMemory:
      return report::human_bytes(saving) + " of parameters and activations";
    case planner::Objective::kBytes:
      break;
  }
  return report::human_bytes(saving);
}

SearchLog::SearchLog(const session::Session& session, planner::Objective objective, double max_minutes)
    : session_(session), objective_(objective), max_minutes_(max_minutes) {
  for (const session::Model& model : session.models) model_names_.push_back(model.name());
}

void SearchLog::chosen_by_prediction(std::size_t candidates, const planner::Chosen& chosen) const {
  log::info(std::to_string(candidates) + " candidates; by prediction alone " + std::to_string(chosen.options.size()) +
            " shares save " + saving_text(std::llround(chosen.value), objective_) + ", " +
            (chosen.proven ? "the best choice"
                           : "within " + fixed3(chosen.bound > 0 ? gap_percent(chosen) : 0) + " % of the bound"));
}

void SearchLog::choice_not_proven(const planner::Choice& choice, const planner::Chosen& chosen) {
  log::info("choice of shares stopped after " + std::to_string(choice.most_steps) + " steps: the best is within " +
            fixed3(gap_percent(chosen)) + " % of the bound");
}

void SearchLog::measured(const planner::CandidateRecord& record) {
  using Kind = planner::Reason::Kind;
  const planner::Candidate& one = record.candidate;
  const planner::Reason& reason = record.reason;
  const std::string models = model_names_[one.cut.receiver] + "<-" + candidates::names_of(session_, one.cut.donors());
  if (reason.kind == Kind::kDeferred || reason.kind == Kind::kNotComputable || reason.kind == Kind::kNotMeasured) {
    log::info(models + ": " + report::reason_text(record, model_names_));
    return;
  }
  log::info(models + " at " + layers_text(one.cut) + report::taking_donors_text(reason, model_names_) + ": saves " +
            saving_text(one.savings.of(objective_), objective_) + ", predicted " + predicted_text(one) + ", measured " +
            report::measured_text(reason) + ": " + verdict_text(reason));
}

/// The first layers by name, so that the line fits a terminal.
std::string SearchLog::layers_text(const graph::Cut& cut) const {
  std::string weights = cut.weights.empty() ? "" : std::to_string(cut.weights.size()) + " weights";
  if (cut.replacements.empty()) return weights;
  constexpr std::size_t kShown = 2;
  const std::vector<LayerIndex> layers = cut.receiver_layers();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kShown, layers.size()); ++i)
    names.push_back(session_.models[cut.receiver].prepared.program.layers[layers[i]].name);
  return join(names, ", ") +
         (layers.size() > kShown ? " and " + std::to_string(layers.size() - kShown) + " more" : "") +
         (weights.empty() ? "" : " with " + weights);
}

void SearchLog::progress(const planner::SearchProgress& progress) {
  constexpr double kSecondsBetween = 10;
  const auto now = std::chrono::steady_clock::now();
  if (std::chrono::duration<double>(now - last_progress_).count() < kSecondsBetween) return;
  last_progress_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double left = seconds * static_cast<double>(progress.left_at_most) /
                      static_cast<double>(std::max<std::int64_t>(1, progress.trials));
  log::info("search: " + std::to_string(progress.trials) + " candidates measured, at most " +
            std::to_string(progress.left_at_most) + " left (" + std::to_string(std::llround(left)) +
            " s or less), best so far saves " + saving_text(std::llround(progress.best_saving), objective_));
}

void SearchLog::nothing_within_budget() {
  log::info("nothing found keeps the fidelity within the budget: saving what can be");
}

void SearchLog::out_of_time() { log::info("the search ends here: --max-minutes " + std::to_string(max_minutes_)); }

void SearchLog::no_other_choice_saves_more() { log::debug("the search is complete: no other choice saves more"); }

void SearchLog::predictions_compared(std::size_t trials, std::size_t within_interval, double mean_error) {
  log::info(std::to_string(trials) + " trials were predicted from others of the same pair: " +
            std::to_string(within_interval) + " within their interval, mean error " + fixed3(mean_error));
}

}  // namespace repsim::pipeline
