#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/candidate.hpp"
#include "repsim/config.hpp"
#include "repsim/fit/attachment.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/report.hpp"
#include "repsim/session.hpp"

/// A plan.json that a person may have changed: its shares are checked as strictly as if a stranger had written them.
namespace repsim::rebuild {

using config::Settings;

/// How a share says that a layer is to be replaced; what it does not say is as the plan's settings allow.
struct AttachmentRequest {
  std::optional<std::string> adapter;
  std::optional<bool> refit;
};

struct EditedPlan {
  std::filesystem::path file;
  report::Plan plan;
  Settings settings;                                     ///< of plan.settings: goals, adapters, refit
  std::vector<std::vector<AttachmentRequest>> requests;  ///< per share and replaced layer

  /// "plan.json: shares[0].replaced[1].donor_layer"
  [[nodiscard]] std::string where(const std::string& field) const { return file.string() + ": " + field; }
};

/// Reads plan.json. A share needs receiver, donor and, per replaced layer, receiver_layer and donor_layer: the rest
/// follows from the models. @throws Error{kInput}
EditedPlan read_edited_plan(const std::filesystem::path& given);

/// All that needs no model: frames in order, shares between models of the plan, one per receiver, no cycles.
/// @throws Error{kInput} naming the field, with 'did you mean'
void check_shares(const EditedPlan& edited);

/// A share of the plan in terms of the models.
struct PlannedShare {
  planner::Candidate candidate;
  fit::AttachmentOptions options;
  fit::Attachment attachment;
};

/// The plan's shares in its order, checked against the models: their layers exist and are feature maps, donors still
/// compute what they give, the adapters that are asked for can be joined.
/// @param streams  of the plan: a share is attached as its receiver's stream sees the models
/// @throws Error{kInput} naming the field, with 'did you mean'
std::vector<PlannedShare> planned_shares(const EditedPlan& edited, const std::vector<OpenStream>& streams);

/// The shares of a share's donor, of its donor and so on, in their order: what it has to be fitted on.
std::vector<std::size_t> shares_before(const std::vector<PlannedShare>& shares, std::size_t share);

}  // namespace repsim::rebuild
