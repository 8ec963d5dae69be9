#include "repsim/candidates.hpp"

#include <algorithm>
#include <map>

#include "replacements.hpp"
#include "share_options.hpp"

namespace repsim::candidates {
namespace {

bool is_mixed(const std::vector<RatedReplacement>& replacements) {
  return std::any_of(replacements.begin(), replacements.end(), [&](const RatedReplacement& one) {
    return one.replacement.donor != replacements.front().replacement.donor;
  });
}

}  // namespace

std::vector<planner::Candidate> find_candidates(const CandidateInputs& inputs, Progress& progress) {
  const Settings& settings = inputs.settings;
  const session::Session& session = inputs.session;
  const std::vector<ModelIndex> receivers = receivers_of(inputs.directions, session.models);
  const std::vector<std::vector<RatedReplacement>> replacements = replacements_of(inputs, progress);
  std::vector<planner::Candidate> candidates;
  std::map<ModelIndex, std::vector<RatedReplacement>> by_receiver;
  progress.begin("candidates", static_cast<std::int64_t>(replacements.size()));
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    for (planner::Candidate& one : candidates_of(settings, session, receivers[i], replacements[i]))
      candidates.push_back(std::move(one));
    std::vector<RatedReplacement>& of_receiver = by_receiver[receivers[i]];
    of_receiver.insert(of_receiver.end(), replacements[i].begin(), replacements[i].end());
    progress.step();
  }
  progress.end();
  const std::vector<planner::Candidate> alone = candidates;
  for (const auto& [receiver, found] : by_receiver) {
    if (!is_mixed(found)) continue;
    for (planner::Candidate& one :
         planner::worth_mixing(candidates_of(settings, session, receiver, found), alone, settings.objective))
      candidates.push_back(std::move(one));
  }
  return candidates;
}

planner::SearchInput search_input(const Settings& settings, const session::Session& session,
                                  std::vector<planner::Candidate> candidates) {
  planner::SearchInput input;
  for (const planner::Candidate& one : candidates) input.options.push_back(share_option_of(settings, session, one.cut));
  input.candidates = std::move(candidates);
  for (const session::Model& model : session.models) input.targets.push_back(settings.min_fidelity_for(model.name()));
  return input;
}

planner::SearchOptions search_options(const Settings& settings, std::int64_t bytes_to_save,
                                      std::size_t prepare_together) {
  planner::SearchOptions options;
  options.objective = settings.objective;
  if (settings.budget) options.bytes_to_save = bytes_to_save;
  options.max_trials = settings.max_trials;
  options.max_shares = settings.max_shares;
  options.prepare_together = prepare_together;
  return options;
}

}  // namespace repsim::candidates
