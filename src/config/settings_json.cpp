#include "repsim/config.hpp"

namespace repsim::config {

Json settings_to_json(const Settings& settings) {
  Json share = Json::array();
  for (const Direction& direction : settings.share) share.push_back(direction.receiver + "<-" + direction.donor);
  Json json;
  json["frames"] = {{"count", settings.frames}, {"holdout", settings.holdout}};
  Json min_fidelity = settings.min_fidelity;
  if (!settings.min_fidelity_of.empty()) {
    min_fidelity = {{"default", settings.min_fidelity}};
    for (const auto& [name, value] : settings.min_fidelity_of) min_fidelity[name] = value;
  }
  json["merge"] = {{"min_fidelity", min_fidelity},
                   {"objective", settings.objective},
                   {"budget", settings.budget ? Json(*settings.budget) : Json()},
                   {"max_shares", settings.max_shares ? Json(*settings.max_shares) : Json()},
                   {"donors", settings.donors},
                   {"keep", settings.keep},
                   {"adapters", settings.adapters},
                   {"refit", settings.refit},
                   {"max_rank", settings.max_rank},
                   {"max_side_inputs", settings.max_side_inputs},
                   {"share", share},
                   {"layers", settings.layers},
                   {"exclude", settings.exclude},
                   {"max_trials", settings.max_trials},
                   {"confidence", settings.confidence},
                   {"max_minutes", settings.max_minutes}};
  json["seed"] = settings.seed;
  return json;
}

}  // namespace repsim::config
