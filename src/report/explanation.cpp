#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/objective.hpp"
#include "repsim/report.hpp"
#include "text_table.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

/// A member of settings.merge; null where it is not there.
Json merge_setting(const Plan& plan, const char* key) {
  const auto merge = plan.settings.find("merge");
  if (merge == plan.settings.end() || !merge->is_object() || !merge->contains(key)) return {};
  return (*merge)[key];
}

std::vector<std::string> merge_list(const Plan& plan, const char* key) {
  std::vector<std::string> list;
  const Json value = merge_setting(plan, key);
  if (!value.is_array()) return list;
  for (const Json& one : value) {
    if (one.is_string()) list.push_back(one.get<std::string>());
  }
  return list;
}

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

planner::Objective objective(const Plan& plan) {
  const Json value = merge_setting(plan, "objective");
  if (!value.is_string()) return planner::Objective::kBytes;
  return planner::parse_objective(value.get<std::string>()).value_or(planner::Objective::kBytes);
}

/// The saving that the plan maximises: bytes, FLOPs or nanoseconds.
std::int64_t saving(const Candidate& candidate, planner::Objective objective) {
  if (objective == planner::Objective::kFlops) return candidate.flops_saved;
  if (objective == planner::Objective::kLatency) return candidate.latency_saved_ns.value_or(0);
  if (objective == planner::Objective::kPeakMemory) return candidate.memory_saved.value_or(candidate.bytes_saved);
  return candidate.bytes_saved;
}

std::string saving_text(std::int64_t value, planner::Objective objective) {
  if (objective == planner::Objective::kFlops) return human_count(value);
  if (objective == planner::Objective::kLatency)
    return fixed(static_cast<double>(value) / kNanosecondsPerMillisecond, 3) + " ms";
  return human_bytes(value);
}

/// The title of a column of savings.
std::string saving_title(planner::Objective objective) {
  if (objective == planner::Objective::kFlops) return "FLOPs saved";
  if (objective == planner::Objective::kLatency) return "Latency saved";
  if (objective == planner::Objective::kPeakMemory) return "Memory saved";
  return "Bytes saved";
}

std::string measured_text(const Candidate& candidate) {
  return candidate.measured_fidelity ? fidelity_text(*candidate.measured_fidelity) : "-";
}

/// The candidates that no other one beats in both saving and prediction, largest saving first.
std::vector<const Candidate*> front(std::vector<const Candidate*> candidates, planner::Objective objective) {
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate* a, const Candidate* b) {
    const std::int64_t first = saving(*a, objective), second = saving(*b, objective);
    return first != second ? first > second : a->predicted_fidelity > b->predicted_fidelity;
  });
  std::vector<const Candidate*> result;
  for (const Candidate* one : candidates) {
    if (result.empty() || one->predicted_fidelity > result.back()->predicted_fidelity) result.push_back(one);
  }
  return result;
}

std::string layer_pairs(const Candidate& candidate) {
  std::string weights;
  if (candidate.weights) {
    weights = "weights of " + counted(candidate.weights->layers, "layer") + ", differences of " +
              grouped(candidate.weights->ranks) + " channels in all; at most " +
              fixed(100 * candidate.weights->output_variance, 2) + " % of a layer's output variance differs";
    if (candidate.receiver_layers.empty()) return weights;
  }
  std::string text;
  for (std::size_t i = 0; i < candidate.receiver_layers.size(); ++i) {
    const std::string given = i < candidate.donor_layers.size() ? candidate.donor_layers[i] : "";
    text += (i == 0 ? "" : ", ") + candidate.receiver_layers[i] + " <- " + given;
  }
  return text + (weights.empty() ? "" : "; " + weights);
}

// ---- What binds a model ----

void add_role(const Plan& plan, const ModelEntry& model, std::vector<std::string>& lines) {
  bool takes = false;
  for (const Share& share : plan.shares) {
    if (share.receiver != model.name) continue;
    takes = true;
    const auto weights = static_cast<std::int64_t>(share.weights.size());
    std::vector<std::string> taken;
    if (!share.replaced.empty()) taken.push_back(counted(static_cast<std::int64_t>(share.replaced.size()), "layer"));
    if (weights > 0) taken.push_back("weights of " + counted(weights, "layer"));
    lines.push_back("takes " + join(taken, " and ") + " from " + share.donor + ": " + human_bytes(share.bytes_removed) +
                    " of parameters go, " + human_bytes(share.bytes_added) + " come; predicted " +
                    fidelity_text(share.predicted_fidelity) + ", measured " + fidelity_text(share.measured_fidelity));
  }
  if (!takes) lines.emplace_back("takes no layers");
  for (const Share& share : plan.shares) {
    std::vector<std::string> given;
    for (const Replaced& one : share.replaced) {
      if (donor_of(share, one) == model.name && !contains(given, one.donor_layer)) given.push_back(one.donor_layer);
    }
    if (!given.empty())
      lines.push_back("gives layers to " + share.receiver + ", so it has to compute them: " + join(given, ", "));
    const auto weights = std::count_if(share.weights.begin(), share.weights.end(),
                                       [&](const SharedWeight& one) { return one.donor == model.name; });
    if (weights > 0)
      lines.push_back("gives weights of " + counted(weights, "layer") + " to " + share.receiver +
                      ", so it has to keep them");
  }
}

void add_limits(const Plan& plan, const ModelEntry& model, std::vector<std::string>& lines) {
  if (!model.rewritable)
    lines.push_back("is opaque, nothing of it can be taken or replaced: it " + model.opaque_reason);
  if (contains(merge_list(plan, "keep"), model.name)) lines.emplace_back("is never changed: --keep " + model.name);
  const std::vector<std::string> donors = merge_list(plan, "donors");
  const bool gives = donors.empty() || std::any_of(donors.begin(), donors.end(), [&](const std::string& glob) {
                       return fnmatch(glob.c_str(), model.name.c_str(), 0) == 0;
                     });
  if (!gives) lines.push_back("gives nothing: --donors " + join(donors, ", "));
  const std::vector<std::string> directions = merge_list(plan, "share");
  if (!directions.empty()) lines.push_back("only these directions were considered: --share " + join(directions, ", "));
  for (const auto& [key, text] : std::map<std::string, std::string>{{"layers", "only such layers may be replaced"},
                                                                    {"exclude", "no such layer takes part"}}) {
    if (const auto globs = merge_list(plan, key.c_str()); !globs.empty())
      lines.push_back(text + ": --" + key + " " + join(globs, ", "));
  }
  if (merge_setting(plan, "sharing") == "representations")
    lines.emplace_back("no weights are shared, except equal ones: --sharing representations");
  if (merge_setting(plan, "sharing") == "weights") lines.emplace_back("no layers are replaced: --sharing weights");
  if (merge_setting(plan, "adapters") == "none") lines.emplace_back("no adapter is fitted: --adapters none");
  if (merge_setting(plan, "refit") == false) lines.emplace_back("no convolution is solved again: --refit off");
  if (const auto target = min_fidelity(plan, model.name))
    lines.push_back("has to keep fidelity " + shortest(*target) + " (--min-fidelity)");
  if (const Json most = merge_setting(plan, "max_shares"); most.is_number_integer())
    lines.push_back("at most " + counted(most.get<std::int64_t>(), "model") + " may take layers (--max-shares)");
  if (const Json budget = merge_setting(plan, "budget"); budget.is_number_integer())
    lines.push_back("the plan seeks the best fidelity within " + human_bytes(budget.get<std::int64_t>()) +
                    " of parameters (--budget)");
}

std::string role_section(const Plan& plan, const ModelEntry& model) {
  std::vector<std::string> lines;
  add_role(plan, model, lines);
  add_limits(plan, model, lines);
  std::string text;
  for (const std::string& line : lines) text += wrapped(line, "  ");
  return text;
}

// ---- Its candidates ----

/// "3", "weights", or "3 + weights"
std::string replaced_text(const Candidate& candidate) {
  std::string layers = grouped(static_cast<std::int64_t>(candidate.receiver_layers.size()));
  if (!candidate.weights) return layers;
  return candidate.receiver_layers.empty() ? "weights" : layers + " + weights";
}

std::string front_section(const std::vector<const Candidate*>& candidates, planner::Objective objective) {
  TextTable table({"Pareto front (donor)", "Replaced", saving_title(objective), "Predicted", "Measured", "Chosen"});
  for (const Candidate* one : front(candidates, objective)) {
    table.add_row({one->donor, replaced_text(*one), saving_text(saving(*one, objective), objective),
                   fidelity_text(one->predicted_fidelity), measured_text(*one), one->chosen ? "yes" : ""});
  }
  return table.text();
}

std::string tried_section(const std::vector<const Candidate*>& candidates, planner::Objective objective) {
  TextTable table({"Tried (donor)", "Replaced", saving_title(objective), "Predicted", "Measured"});
  bool any = false;
  for (const Candidate* one : candidates) {
    if (!one->measured_fidelity) continue;
    any = true;
    table.add_row({one->donor, replaced_text(*one), saving_text(saving(*one, objective), objective),
                   fidelity_text(one->predicted_fidelity), measured_text(*one)});
    table.add_note(layer_pairs(*one));
    table.add_note((one->chosen ? "chosen: " : "rejected: ") + one->reason);
  }
  return any ? table.text() : "Tried: none of its candidates was measured.\n";
}

/// Candidates that were never measured, by reason.
std::string untried_section(const std::vector<const Candidate*>& candidates, planner::Objective objective) {
  std::map<std::string, std::vector<const Candidate*>> by_reason;
  std::vector<std::string> order;
  for (const Candidate* one : candidates) {
    if (one->measured_fidelity) continue;
    if (by_reason[one->reason].empty()) order.push_back(one->reason);
    by_reason[one->reason].push_back(one);
  }
  if (order.empty()) return "Not tried: nothing, every candidate was measured.\n";
  std::string text = "Not tried:\n";
  for (const std::string& reason : order) {
    const std::vector<const Candidate*>& list = by_reason[reason];
    std::int64_t least = saving(*list.front(), objective), most = least;
    double best = 0;
    for (const Candidate* one : list) {
      least = std::min(least, saving(*one, objective));
      most = std::max(most, saving(*one, objective));
      best = std::max(best, one->predicted_fidelity);
    }
    const std::string range = least == most ? saving_text(most, objective)
                                            : saving_text(least, objective) + " to " + saving_text(most, objective);
    constexpr std::string_view kKnown = "not tried: ";  // the heading says so
    const std::string why = reason.starts_with(kKnown) ? reason.substr(kKnown.size()) : reason;
    text += wrapped(counted(static_cast<std::int64_t>(list.size()), "candidate") + " (saving " + range +
                        ", predicted up to " + fidelity_text(best) + "): " + why,
                    "  ");
  }
  return text;
}

/// Why a model has no candidate at all.
std::string no_candidates(const Plan& plan, const ModelEntry& model) {
  if (!model.rewritable) return "No candidates: it is opaque.\n";
  if (contains(merge_list(plan, "keep"), model.name)) return "No candidates: it is never changed.\n";
  const bool alone = std::none_of(plan.models.begin(), plan.models.end(), [&](const ModelEntry& other) {
    return other.name != model.name && other.rewritable;
  });
  if (alone) return "No candidates: every other model is opaque, so none can give it layers.\n";
  return wrapped(
      "No candidates: no layer of a model that may give stands in for one of its layers and saves something.", "");
}

}  // namespace

std::string explanation(const Plan& plan, const std::string& model) {
  const auto entry =
      std::find_if(plan.models.begin(), plan.models.end(), [&](const ModelEntry& one) { return one.name == model; });
  if (entry == plan.models.end()) return wrapped("The plan has no model '" + model + "'.", "");
  std::string text = wrapped("Why " + model + " is what it is in this plan", "") + role_section(plan, *entry) + "\n";
  std::vector<const Candidate*> candidates;
  for (const Candidate& one : plan.candidates) {
    if (one.receiver == model) candidates.push_back(&one);
  }
  if (candidates.empty()) return text + no_candidates(plan, *entry);
  const planner::Objective goal = objective(plan);
  return text + front_section(candidates, goal) + "\n" + tried_section(candidates, goal) + "\n" +
         untried_section(candidates, goal);
}

}  // namespace repsim::report
