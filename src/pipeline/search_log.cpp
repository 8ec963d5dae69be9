#include "search_log.hpp"

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

SearchLog::SearchLog(const Settings& settings, const session::Session& session)
    : settings_(settings), session_(session) {
  for (const session::Model& model : session.models) model_names_.push_back(model.name());
}

void SearchLog::chosen_by_prediction(std::size_t candidates, const planner::Chosen& chosen) const {
  log::info(std::to_string(candidates) + " candidates; by prediction alone " + std::to_string(chosen.options.size()) +
            " shares save " + saving_text(std::llround(chosen.value), settings_.objective) + ", " +
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
  if (reason.kind == Kind::kDeferred || reason.kind == Kind::kNotComputable) {
    log::info(models + ": " + report::reason_text(record, model_names_));
    return;
  }
  std::vector<std::string> layers;
  for (const LayerIndex layer : one.cut.receiver_layers())
    layers.push_back(session_.models[one.cut.receiver].prepared.program.layers[layer].name);
  const std::string verdict = reason.kind == Kind::kHolds  ? "holds"
                              : reason.kind == Kind::kNear ? "near " + fixed3(reason.target)
                                                           : "below " + fixed3(reason.target);
  log::info(models + " at " + join(layers, ", ") + report::taking_donors_text(reason, model_names_) + ": saves " +
            saving_text(one.savings.of(settings_.objective), settings_.objective) + ", predicted " +
            predicted_text(one) + ", measured " + report::measured_text(reason) + ": " + verdict);
}

void SearchLog::nothing_within_budget() {
  log::info("nothing found keeps the fidelity within the budget: saving what can be");
}

void SearchLog::out_of_time() {
  log::info("the search ends here: --max-minutes " + std::to_string(settings_.max_minutes));
}

void SearchLog::no_other_choice_saves_more() { log::debug("the search is complete: no other choice saves more"); }

void SearchLog::predictions_compared(std::size_t trials, std::size_t within_interval, double mean_error) {
  log::info(std::to_string(trials) + " trials were predicted from others of the same pair: " +
            std::to_string(within_interval) + " within their interval, mean error " + fixed3(mean_error));
}

}  // namespace repsim::pipeline
