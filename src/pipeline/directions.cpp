#include <algorithm>
#include <iterator>

#include "candidates.hpp"
#include "repsim/planner.hpp"

namespace repsim::pipeline {

std::vector<Direction> directions(const Settings& settings, std::span<const session::Model> models) {
  const auto rewritable = [&](const std::string& name) {
    const ModelIndex model = session::find_model(models, name);
    return model >= 0 && models[model].prepared.rewritable;
  };
  const auto wanted = [&](const Direction& direction) {
    const bool gives = settings.donors.empty() ||
                       std::any_of(settings.donors.begin(), settings.donors.end(), [&](const std::string& glob) {
                         return planner::glob_matches(glob, direction.donor);
                       });
    const bool takes = std::find(settings.keep.begin(), settings.keep.end(), direction.receiver) == settings.keep.end();
    return gives && takes && rewritable(direction.receiver) && rewritable(direction.donor);
  };
  std::vector<Direction> all = settings.share;
  if (all.empty()) {
    for (const session::Model& receiver : models) {
      for (const session::Model& donor : models) {
        if (&receiver != &donor) all.push_back({receiver.name(), donor.name()});
      }
    }
  }
  std::vector<Direction> result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result), wanted);
  return result;
}

}  // namespace repsim::pipeline
