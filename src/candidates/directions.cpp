#include <algorithm>
#include <iterator>
#include <set>

#include "repsim/candidates.hpp"

namespace repsim::candidates {

std::string names_of(const session::Session& session, const std::vector<ModelIndex>& models) {
  std::string names;
  for (const ModelIndex model : models) names += (names.empty() ? "" : "+") + session.models[model].prepared.name;
  return names;
}

DonorNames donor_names(const session::Session& session, const graph::Cut& cut) {
  DonorNames result;
  std::ptrdiff_t most = 0;
  for (const ModelIndex donor : cut.donors()) {
    const std::string& name = session.models[donor].prepared.name;
    const auto of_donor = [&](const auto& one) { return one.donor == donor; };
    const auto given = std::count_if(cut.replacements.begin(), cut.replacements.end(), of_donor) +
                       std::count_if(cut.weights.begin(), cut.weights.end(), of_donor);
    if (given > most) result.most = name;
    most = std::max(most, given);
    result.all.push_back(name);
  }
  return result;
}

std::vector<ModelIndex> guests_of(const session::Session& session, const graph::Cut& cut,
                                  std::span<const graph::Splice> before) {
  std::set<ModelIndex> seen;
  std::vector<ModelIndex> open;  // donors of layers: a model that gives weights does not run
  for (const graph::Replacement& one : cut.replacements) open.push_back(one.donor);
  while (!open.empty()) {
    const ModelIndex model = open.back();
    open.pop_back();
    if (!seen.insert(model).second) continue;
    for (const graph::Splice& splice : before) {
      if (splice.receiver != model) continue;
      for (const graph::DonorLayer& layer : splice.donor_layers()) open.push_back(layer.donor);
    }
  }
  std::vector<ModelIndex> guests;
  std::copy_if(seen.begin(), seen.end(), std::back_inserter(guests),
               [&](ModelIndex model) { return session.is_guest(model); });
  return guests;
}

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

std::vector<ModelIndex> receivers_of(std::span<const Direction> directions, std::span<const session::Model> models) {
  std::vector<ModelIndex> receivers;
  for (const Direction& direction : directions) receivers.push_back(session::find_model(models, direction.receiver));
  return receivers;
}

}  // namespace repsim::candidates
