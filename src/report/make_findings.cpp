#include "repsim/findings.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/verification.hpp"

namespace repsim::report {
namespace {

using Level = Finding::Level;

constexpr const char* kFidelity = "repsim_fidelity";
constexpr const char* kFidelityHelp = "Agreement of a merged model with its own original, 0 to 1.";

Level level_of(PlanChange::Status status, Level drift) {
  switch (status) {
    case PlanChange::Status::kDrift:
      return drift;
    case PlanChange::Status::kTolerated:
      return Level::kNotice;
    case PlanChange::Status::kSame:
    case PlanChange::Status::kNoted:
      break;
  }
  return Level::kPassed;
}

}  // namespace

std::vector<Finding> findings_of(const PlanDiff& diff, Level drift) {
  std::vector<Finding> findings;
  for (const PlanChange& change : diff.changes) {
    const bool is_same = change.status == PlanChange::Status::kSame;
    findings.push_back({level_of(change.status, drift),
                        change.subject + (change.what.empty() ? "" : ": " + change.what),
                        is_same ? std::string() : in_words(change)});
  }
  return findings;
}

std::vector<Finding> findings_of(const Verification& verification) {
  std::vector<Finding> findings;
  for (const Verification::Model& model : verification.models) {
    const Level level = model.is_broken()            ? Level::kError
                        : !model.fidelity.is_known() ? Level::kWarning
                                                     : Level::kPassed;
    const std::string engine = engine_in_words(model);
    findings.push_back({level, model.name + ": fidelity",
                        model.name + ": " + verdict_in_words(model) + (engine.empty() ? "" : "; " + engine)});
  }
  return findings;
}

std::vector<Metric> metrics_of(const Plan& plan) {
  std::vector<Metric> metrics;
  for (const ModelEntry& model : plan.models) {
    if (model.fidelity.value) metrics.push_back({kFidelity, kFidelityHelp, model.name, *model.fidelity.value});
  }
  metrics.push_back({"repsim_original_bytes", "Bytes of the parameters of the models as given.", "",
                     static_cast<double>(plan.before.bytes)});
  metrics.push_back({"repsim_bundle_bytes", "Bytes of the parameters of the merged bundle.", "",
                     static_cast<double>(plan.after.bytes)});
  return metrics;
}

std::vector<Metric> metrics_of(const Verification& verification) {
  std::vector<Metric> metrics;
  for (const Verification::Model& model : verification.models) {
    if (model.fidelity.value) metrics.push_back({kFidelity, kFidelityHelp, model.name, *model.fidelity.value});
  }
  return metrics;
}

}  // namespace repsim::report
