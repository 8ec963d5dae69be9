#include "settings_json.hpp"

namespace repsim::pipeline {

Json settings_to_json(const Settings& settings) {
  Json share = Json::array();
  for (const Direction& direction : settings.share) share.push_back(direction.receiver + "<-" + direction.donor);
  Json json;
  json["frames"] = {{"count", settings.frames}, {"holdout", settings.holdout}};
  json["merge"] = {{"min_fidelity", settings.min_fidelity},
                   {"adapters", settings.adapters},
                   {"refit", settings.refit},
                   {"share", share},
                   {"layers", settings.layers},
                   {"exclude", settings.exclude},
                   {"max_trials", settings.max_trials}};
  json["seed"] = settings.seed;
  return json;
}

}  // namespace repsim::pipeline
