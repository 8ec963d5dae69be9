#include "repsim/candidates.hpp"

#include <algorithm>
#include <map>
#include <utility>

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
  const Options& options = inputs.options;
  const session::Session& session = inputs.session;
  const std::vector<ModelIndex> receivers = receivers_of(inputs.directions, session.models);
  const std::vector<std::vector<RatedReplacement>> replacements = replacements_of(inputs, progress);
  std::vector<planner::Candidate> candidates;
  std::map<ModelIndex, std::vector<RatedReplacement>> by_receiver;
  progress.begin("candidates", static_cast<std::int64_t>(replacements.size()));
  for (std::size_t i = 0; i < replacements.size(); ++i) {
    for (planner::Candidate& one : candidates_of(options, session, receivers[i], replacements[i]))
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
         planner::worth_mixing(candidates_of(options, session, receiver, found), alone, options.objective))
      candidates.push_back(std::move(one));
  }
  return candidates;
}

planner::SearchInput search_input(const session::Session& session, std::vector<planner::Candidate> candidates,
                                  std::vector<double> targets, const fit::AttachmentOptions& options) {
  planner::SearchInput input;
  for (const planner::Candidate& one : candidates) input.options.push_back(share_option_of(session, one.cut, options));
  input.candidates = std::move(candidates);
  input.targets = std::move(targets);
  return input;
}

}  // namespace repsim::candidates
