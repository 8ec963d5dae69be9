#include "search.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "search_log.hpp"
#include "share_options.hpp"
#include "trial_evaluator.hpp"

namespace repsim::pipeline {

class Search::State {
 public:
  explicit State(const SearchInput& input)
      : input_(input),
        measuring_(input.settings, input.work, input.calibration, input.selection, input.signatures,
                   input.memory_budget, input.progress),
        evaluator_(measuring_, input.settings),
        log_(input.settings, input.work) {}

  SearchResult run() {
    if (!search_) start();
    const planner::SearchResult found = search_->run();
    SearchResult result;
    result.records = found.records;
    for (const planner::SelectedShare& share : found.shares) {
      FittedShare fitted = evaluator_.share(share.share);
      fitted.candidate = found.records[share.record].candidate;
      result.shares.push_back(std::move(fitted));
    }
    return result;
  }
  void complete() { search_->complete(); }
  void refuse(ModelIndex receiver, double fidelity) { search_->refuse(receiver, fidelity); }

 private:
  void start() {
    planner::SearchInput problem;
    problem.candidates = candidates();
    for (const planner::Candidate& one : problem.candidates)
      problem.options.push_back(share_option_of(input_.settings, input_.work, one.cut));
    for (const session::Model& model : input_.work.models)
      problem.targets.push_back(input_.settings.min_fidelity_for(model.name()));
    const std::size_t count = problem.candidates.size();
    search_.emplace(std::move(problem), options(), evaluator_, log_);
    input_.progress.begin("choose", 0);
    const planner::Chosen chosen = search_->choose_by_prediction();
    input_.progress.end();
    log_.chosen_by_prediction(count, chosen);
  }

  [[nodiscard]] planner::SearchOptions options() const {
    planner::SearchOptions options;
    options.objective = objective_of(input_.settings);
    if (input_.settings.budget) options.bytes_to_save = input_.bytes_to_save;
    options.max_trials = input_.settings.max_trials;
    options.max_shares = input_.settings.max_shares;
    options.prepare_together = input_.memory_budget.together;
    if (input_.settings.max_minutes > 0) {
      const std::chrono::duration<double, std::ratio<60>> minutes(input_.settings.max_minutes);
      options.deadline = begin_ + std::chrono::ceil<planner::SearchOptions::Clock::duration>(minutes);
    }
    return options;
  }

  std::vector<planner::Candidate> candidates() {
    std::map<ModelIndex, std::vector<RatedReplacement>> by_receiver;
    const std::vector<Direction> considered = directions(input_.settings, input_.work.models);
    const std::vector<std::vector<RatedReplacement>> replacements =
        replacements_of(input_.settings, input_.work, input_.signatures, measuring_.tried(), considered,
                        input_.memory_budget.screening, measuring_.wanted_of(considered), input_.progress);
    std::vector<planner::Candidate> all;
    input_.progress.begin("candidates", static_cast<std::int64_t>(considered.size()));
    for (std::size_t i = 0; i < considered.size(); ++i) {
      const ModelIndex receiver = index_of(input_.work, considered[i].receiver);
      const std::vector<RatedReplacement>& found = replacements[i];
      for (planner::Candidate& one : candidates_of(input_.settings, input_.work, receiver, found))
        all.push_back(std::move(one));
      by_receiver[receiver].insert(by_receiver[receiver].end(), found.begin(), found.end());
      input_.progress.step();
    }
    input_.progress.end();
    const std::vector<planner::Candidate> alone = all;
    for (const auto& [receiver, found] : by_receiver) {
      const bool one_donor = std::all_of(found.begin(), found.end(), [&](const RatedReplacement& one) {
        return one.replacement.donor == found.front().replacement.donor;
      });
      if (one_donor) continue;
      for (planner::Candidate& one : planner::worth_mixing(candidates_of(input_.settings, input_.work, receiver, found),
                                                           alone, objective_of(input_.settings)))
        all.push_back(std::move(one));
    }
    return all;
  }

  const SearchInput input_;
  const planner::SearchOptions::Clock::time_point begin_ = planner::SearchOptions::Clock::now();
  Trials measuring_;
  TrialEvaluator evaluator_;
  SearchLog log_;
  std::optional<planner::Search> search_;
};

Search::Search(const SearchInput& input) : state_(std::make_unique<State>(input)) {}
Search::~Search() = default;
SearchResult Search::run() { return state_->run(); }
void Search::refuse(const planner::Candidate& share, double fidelity) { state_->refuse(share.cut.receiver, fidelity); }
void Search::complete() { state_->complete(); }

std::vector<graph::Splice> splices_of(const std::vector<FittedShare>& shares) {
  std::vector<graph::Splice> splices;
  for (const FittedShare& share : shares) splices.push_back(share.fitted.splice);
  return splices;
}

}  // namespace repsim::pipeline
