#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "search.hpp"
#include "share_options.hpp"
#include "trials.hpp"

namespace repsim::pipeline {

inline constexpr double kEqual = 1e-9;  // savings and fidelities closer than this (relative) are one

/// "1.5 kB", "12000 FLOPs a frame"
std::string saving_text(std::int64_t saving, planner::Objective objective);

/// What a search knows: search.cpp decides what is measured next, search_trials.cpp measures it.
class Search::State {
 public:
  explicit State(const SearchInput& input);
  SearchResult run();
  void refuse(const planner::Candidate& share, double fidelity);
  void complete();

 private:
  /// A column behind the columns of its donors, their donors and so on, donors first: all that decides how it does.
  using Chain = std::vector<std::size_t>;

  struct Trial {
    bool holds = false;
    double fidelity = 0;
    std::size_t entry = 0;  // of candidates_
    std::shared_ptr<const FittedShare> accepted;
  };

  enum class Status { kOpen, kHolds, kOut };  // kOut: missed its target, or cannot be tried any more

  struct Combination {
    std::vector<std::size_t> options;  // donors first
    double value = 0;
    double worst = 1;  // fidelity
  };

  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  const std::string& name(ModelIndex model) const { return input_.work.models[model].prepared.name; }
  const planner::Candidate& candidate(std::size_t option) const { return candidates_[option]; }
  double target(std::size_t option) const { return input_.settings.min_fidelity_for(name(options_[option].receiver)); }
  /// With the least corrections that it is known to need.
  double saving(std::size_t option) const {
    const auto corrected = deferred_.find(option);
    return static_cast<double>(
        planner::saving_of(corrected == deferred_.end() ? candidate(option) : corrected->second, objective_));
  }
  /// What is tried, and learnt from, together: the candidates of an ordered pair, or a receiver's mixed ones (donor
  /// -1).
  using Group = std::pair<int, int>;
  Group group(std::size_t option) const {
    const planner::ShareOption& one = options_[option];
    return {one.receiver, one.supplied.size() == 1 ? one.supplied.front().donor : -1};
  }

  // What next
  void find_columns();
  void choose_by_prediction() const;
  void predict_others(std::size_t option);
  planner::Chosen choose(const std::function<double(std::size_t)>& value) const;
  double chance(std::size_t option) const;
  double estimate(std::size_t option) const;
  void save_most();
  void keep_most_fidelity();
  bool out_of_time();

  // Measuring
  void measure(const std::vector<std::size_t>& options);
  void offer(const Combination& combination);
  std::map<int, std::size_t> by_receiver(const std::vector<std::size_t>& options) const;
  Chain chain_of(const std::map<int, std::size_t>& of_receiver, std::size_t option) const;
  void drop(const Chain& chain);
  void drop_untried(const Chain& chain);
  bool trials_left(const Group& of);
  bool could_beat_the_best(std::size_t option, double saving) const;
  bool defer(std::size_t option, const Trials::Measured& measured);
  void gather_ahead(std::size_t option);
  void try_chain(const Chain& chain);
  bool complete(const Chain& chain);
  std::vector<graph::Splice> shares_before(const Chain& chain) const;
  void note(const Chain& chain, Trials::Measured measured, Trial& trial);

  // What became of all
  SearchResult result() const;
  void judge_predictions() const;
  std::string described(const planner::Candidate& one) const;
  std::string on_donors_that_take(const Chain& chain) const;
  std::string beaten_by(const planner::Candidate& one, const std::vector<FittedShare>& shares) const;

  const SearchInput input_;
  const planner::Objective objective_;
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  bool found_columns_ = false;
  std::vector<planner::Candidate> candidates_;  // the first ones are those of the columns, in their order
  std::vector<planner::ShareOption> options_;
  std::vector<Status> status_;                     // per column, on donors that take nothing
  std::vector<std::vector<std::size_t>> nogoods_;  // columns that do not hold on donors with those columns
  std::map<Chain, Trial> trials_;
  std::map<Group, std::int64_t> trials_of_, refused_of_;
  std::vector<std::size_t> untried_;  // columns that no trials were left for
  // Columns that miss their target without corrections, and what they are with those that come next: what held saves
  // more. They are open, and are tried on where that changes.
  std::map<std::size_t, planner::Candidate> deferred_;
  std::int64_t times_deferred_ = 0;
  Trials measuring_;
  Combination best_;
  bool fitting_ =
      false;  // the best combination is that of the best fidelity that fits, else that of the largest saving
  bool out_of_trials_ = false, timed_out_ = false;
};

}  // namespace repsim::pipeline
