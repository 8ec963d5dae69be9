#include "edited_plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/open_plan.hpp"

namespace repsim::rebuild {
namespace {

namespace fs = std::filesystem;

std::string share_field(std::size_t share) { return "shares[" + std::to_string(share) + "]"; }

/// What a share has to say beside its models and layers when plan() writes it; a person who adds one leaves it out.
void fill_in(Json& share) {
  if (!share.is_object()) return;
  const auto add = [](Json& object, const char* key, Json value) {
    if (!object.contains(key)) object[key] = std::move(value);
  };
  add(share, "removed_layers", Json::array());
  for (const char* key : {"bytes_removed", "bytes_added", "flops_removed", "flops_added"}) add(share, key, 0);
  for (const char* key : {"predicted_fidelity", "measured_fidelity"}) add(share, key, 0.0);
  if (share.contains("weights") && share["weights"].is_array()) {
    add(share, "replaced", Json::array());
    for (Json& one : share["weights"]) {
      if (one.is_object()) add(one, "output_variance", 0.0);
    }
  }
  const auto replaced = share.find("replaced");
  if (replaced == share.end() || !replaced->is_array()) return;
  for (Json& one : *replaced) {
    if (!one.is_object()) continue;
    add(one, "similarity", Json());
    add(one, "adapter", "none");
    add(one, "refit", false);
    add(one, "residual", 0.0);
  }
}

/// @param count  of the videos' frames
void check_frames(const EditedPlan& edited, const std::vector<std::int64_t>& frames, std::int64_t count,
                  const std::string& field) {
  const std::string where = edited.where(field);
  if (frames.empty()) throw input_error("the plan has no such frames", where, "run repsim plan again");
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (i > 0 && frames[i] <= frames[i - 1])
      throw input_error("frame " + std::to_string(frames[i]) + " does not come after the one before it", where,
                        "frame indices in ascending order");
    if (frames[i] >= count)
      throw input_error("there is no frame " + std::to_string(frames[i]), where,
                        "the video has " + std::to_string(count) + " frames, from 0");
  }
}

std::vector<std::string> names_of(const report::Plan& plan) {
  std::vector<std::string> names;
  for (const report::ModelEntry& model : plan.models) names.push_back(model.name);
  return names;
}

void check_cycles(const EditedPlan& edited) {
  std::map<std::string, std::set<std::string>> donors;
  for (const report::Share& share : edited.plan.shares) {
    for (const report::Replaced& one : share.replaced) donors[share.receiver].insert(report::donor_of(share, one));
    for (const report::SharedWeight& one : share.weights) donors[share.receiver].insert(one.donor);
  }
  for (std::size_t i = 0; i < edited.plan.shares.size(); ++i) {
    const std::string& receiver = edited.plan.shares[i].receiver;
    std::vector<std::string> open(donors[receiver].begin(), donors[receiver].end());
    std::set<std::string> seen(open.begin(), open.end());
    while (!open.empty()) {
      const std::string model = open.back();
      open.pop_back();
      if (model == receiver) {
        throw input_error("'" + receiver + "' takes from itself over other models",
                          edited.where(share_field(i) + ".donor"), "remove one of these shares");
      }
      const auto next = donors.find(model);
      if (next == donors.end()) continue;
      for (const std::string& donor : next->second) {
        if (seen.insert(donor).second) open.push_back(donor);
      }
    }
  }
}

}  // namespace

EditedPlan read_edited_plan(const fs::path& given) {
  EditedPlan edited;
  edited.file = plan_file(given);
  Json json = read_json(edited.file);
  if (json.is_object() && json.contains("shares") && json["shares"].is_array()) {
    for (Json& share : json["shares"]) {
      std::vector<AttachmentRequest>& requests = edited.requests.emplace_back();
      if (share.is_object() && share.contains("replaced") && share["replaced"].is_array()) {
        for (const Json& one : share["replaced"]) {
          AttachmentRequest& said = requests.emplace_back();
          if (!one.is_object()) continue;
          if (one.contains("adapter") && one["adapter"].is_string()) said.adapter = one["adapter"].get<std::string>();
          if (one.contains("refit") && one["refit"].is_boolean()) said.refit = one["refit"].get<bool>();
        }
      }
      fill_in(share);
    }
  }
  edited.plan = report::plan_from_json(json, edited.file.string());
  edited.settings = config::settings_from_json(recorded_settings(edited.plan), edited.file.string() + ": settings", {});
  return edited;
}

void check_shares(const EditedPlan& edited) {
  const report::Plan& plan = edited.plan;
  const std::vector<report::PlanStream> streams = report::streams_of(plan);
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const std::string field = plan.streams.empty() ? "frames." : "streams[" + std::to_string(i) + "].frames.";
    check_frames(edited, streams[i].calibration_frames, streams[i].video_frames, field + "calibration");
    check_frames(edited, streams[i].holdout_frames, streams[i].video_frames, field + "holdout");
  }
  const std::vector<std::string> names = names_of(plan);
  const auto known = [&](const std::string& name, const std::string& field) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    throw input_error("there is no model named '" + name + "'", edited.where(field), did_you_mean(name, names));
  };
  std::set<std::string> receivers;
  for (std::size_t i = 0; i < plan.shares.size(); ++i) {
    const report::Share& share = plan.shares[i];
    const std::string field = share_field(i);
    known(share.receiver, field + ".receiver");
    known(share.donor, field + ".donor");
    if (!receivers.insert(share.receiver).second) {
      throw input_error("'" + share.receiver + "' has a share already", edited.where(field + ".receiver"),
                        "put all its replaced layers into one share");
    }
    if (share.replaced.empty() && share.weights.empty()) {
      throw input_error("the share replaces no layer", edited.where(field + ".replaced"), "remove the share");
    }
    const auto other_than_receiver = [&](const std::string& donor, const std::string& at) {
      known(donor, at + ".donor");
      if (donor == share.receiver)
        throw input_error("a model cannot take representations from itself", edited.where(at + ".donor"),
                          "name another model");
    };
    other_than_receiver(share.donor, field);
    bool gives = false;
    for (std::size_t j = 0; j < share.replaced.size(); ++j) {
      const std::string& donor = report::donor_of(share, share.replaced[j]);
      other_than_receiver(donor, field + ".replaced[" + std::to_string(j) + "]");
      gives = gives || donor == share.donor;
    }
    for (std::size_t j = 0; j < share.weights.size(); ++j) {
      other_than_receiver(share.weights[j].donor, field + ".weights[" + std::to_string(j) + "]");
      gives = gives || share.weights[j].donor == share.donor;
    }
    if (!gives) {
      throw input_error("no layer of this share comes from '" + share.donor + "'", edited.where(field + ".donor"),
                        "name it as the donor of replaced layers too, or leave their donors out");
    }
  }
  check_cycles(edited);
}

std::vector<std::size_t> shares_before(const std::vector<PlannedShare>& shares, std::size_t share) {
  const auto donors_of = [&](std::size_t one) { return shares[one].candidate.cut.donors(); };
  const std::vector<ModelIndex> own = donors_of(share);
  std::set<ModelIndex> needed(own.begin(), own.end());
  std::set<std::size_t> before;
  for (bool grew = true; grew;) {
    grew = false;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      if (needed.count(shares[i].candidate.cut.receiver) == 0 || !before.insert(i).second) continue;
      const std::vector<ModelIndex> donors = donors_of(i);
      needed.insert(donors.begin(), donors.end());
      grew = true;
    }
  }
  return {before.begin(), before.end()};
}

}  // namespace repsim::rebuild
