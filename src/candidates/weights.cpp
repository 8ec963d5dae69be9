#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "repsim/candidates.hpp"
#include "savings.hpp"
#include "share_options.hpp"

namespace repsim::candidates {
namespace {

constexpr double kTolerances[] = {0.001, 0.003, 0.01, 0.03, 0.1};  // parts of a layer's output variance
constexpr double kLeastSaving = 0.01;                              // of the receiver's bytes
constexpr std::size_t kMostCombined = 8;  // candidates of a direction that share weights beside layers

/// A weight that may be shared, and what a difference of each rank leaves.
struct RatedWeight {
  graph::SharedWeight weight;
  std::vector<double> left_over;  ///< per rank
  std::int64_t bytes = 0;         ///< that are gone with it
  std::int64_t channels = 0, taps = 0;
};

/// A weight at a tolerance.
struct SizedWeight {
  int rank = 0;
  std::int64_t bytes_saved = 0;
};

/// The smallest rank that leaves no more than the tolerance; nothing if that saves no bytes.
std::optional<SizedWeight> at_tolerance(const RatedWeight& rated, double tolerance) {
  const auto enough =
      std::find_if(rated.left_over.begin(), rated.left_over.end(), [&](double left) { return left <= tolerance; });
  if (enough == rated.left_over.end()) return std::nullopt;
  const auto rank = static_cast<int>(enough - rated.left_over.begin());
  const std::int64_t added = 4 * graph::difference_cost(rank, rated.channels, rated.taps, 0).elements;
  if (rated.bytes <= added) return std::nullopt;
  return SizedWeight{rank, rated.bytes - added};
}

/// The candidates that no other one beats in bytes saved and in predicted fidelity, largest saving first; a few of
/// them, evenly spread, where there are many.
std::vector<planner::Candidate> front_of(std::vector<planner::Candidate> all) {
  std::stable_sort(all.begin(), all.end(), [](const planner::Candidate& a, const planner::Candidate& b) {
    if (a.savings.bytes != b.savings.bytes) return a.savings.bytes > b.savings.bytes;
    return a.predicted_fidelity > b.predicted_fidelity;
  });
  std::vector<planner::Candidate> front;
  for (planner::Candidate& one : all) {
    if (front.empty() || one.predicted_fidelity > front.back().predicted_fidelity) front.push_back(std::move(one));
  }
  if (front.size() <= kMostCombined) return front;
  std::vector<planner::Candidate> some;
  for (std::size_t i = 0; i < kMostCombined; ++i)
    some.push_back(std::move(front[i * (front.size() - 1) / (kMostCombined - 1)]));
  return some;
}

/// One receiver and one donor.
class WeightCandidates {
 public:
  WeightCandidates(const Options& options, const session::Session& session, ModelIndex receiver)
      : options_(options),
        session_(session),
        receiver_(receiver),
        prepared_(session.models[receiver].prepared),
        bytes_(bytes_of_its_own(session, receiver)),
        weights_(graph::stored_weights(prepared_)) {}

  std::vector<planner::Candidate> of(const std::vector<fit::WeightDifference>& differences) const {
    const std::vector<RatedWeight> rated = rate_all(differences);
    planner::Candidate nothing;
    nothing.cut.receiver = receiver_;
    nothing.similarity = std::numeric_limits<double>::quiet_NaN();  // its layers stay
    nothing.r2 = nothing.predicted_fidelity = 1;
    std::vector<planner::Candidate> result;
    for (const double tolerance : kTolerances) {
      planner::Candidate candidate = with_weights(nothing, rated, tolerance);
      if (!saves_enough(candidate.savings.bytes)) continue;
      if (!result.empty() && result.back().cut == candidate.cut) continue;
      add_costs(candidate);
      if (candidate.savings.of(options_.objective) > 0) result.push_back(std::move(candidate));
    }
    return result;
  }

  /// Of these cuts of one donor's layers, those with weights of its other layers beside that are on the front.
  std::vector<planner::Candidate> beside(const std::vector<planner::Candidate>& cuts,
                                         const std::vector<fit::WeightDifference>& differences) const {
    const std::vector<RatedWeight> rated_all = rate_all(differences);  // eigenvalues: once, not for every cut
    std::vector<planner::Candidate> all;
    for (const planner::Candidate& cut : cuts) {
      const std::vector<int> gone = share_option_of(session_, cut.cut, options_.attachment).gone_parameters;
      const std::vector<RatedWeight> rated = without(rated_all, gone);
      for (const double tolerance : kTolerances) {
        planner::Candidate candidate = with_weights(cut, rated, tolerance);
        if (saves_enough(candidate.savings.bytes - cut.savings.bytes)) all.push_back(std::move(candidate));
      }
    }
    std::vector<planner::Candidate> result;
    for (planner::Candidate& one : front_of(std::move(all))) {
      add_costs(one);
      if (one.savings.of(options_.objective) > 0) result.push_back(std::move(one));
    }
    return result;
  }

 private:
  const graph::StoredWeight& stored(int parameter) const {
    return *std::find_if(weights_.begin(), weights_.end(),
                         [&](const graph::StoredWeight& one) { return one.parameter == parameter; });
  }

  /// Whether the user's globs of layers allow both weights.
  bool may_take_part(const graph::SharedWeight& weight) const {
    const auto layer_of = [](const graph::Program& program, int parameter) {
      for (const graph::Op& op : program.ops) {
        const bool reads = std::binary_search(op.parameters.begin(), op.parameters.end(), parameter);
        if (reads && op.layer >= 0) return program.layers[op.layer].name;
      }
      return graph::layer_of_weight(program.parameters[parameter]);
    };
    return names_allow(options_, layer_of(prepared_.program, weight.parameter), /*as_receiver=*/true) &&
           names_allow(options_, layer_of(session_.models[weight.donor].prepared.program, weight.donor_parameter),
                       /*as_receiver=*/false);
  }

  RatedWeight rate(const fit::WeightDifference& difference) const {
    const graph::StoredWeight& one = stored(difference.weight.parameter);
    return {difference.weight, difference.left_over(), bytes_[one.parameter], one.channels(), one.taps()};
  }

  std::vector<RatedWeight> rate_all(const std::vector<fit::WeightDifference>& differences) const {
    std::vector<RatedWeight> rated;
    for (const fit::WeightDifference& one : differences) {
      if (bytes_[one.weight.parameter] > 0 && may_take_part(one.weight)) rated.push_back(rate(one));
    }
    return rated;
  }

  /// @param gone  parameters that the receiver does not hold, ascending
  static std::vector<RatedWeight> without(const std::vector<RatedWeight>& all, const std::vector<int>& gone) {
    std::vector<RatedWeight> rest;
    std::copy_if(all.begin(), all.end(), std::back_inserter(rest), [&](const RatedWeight& one) {
      return !std::binary_search(gone.begin(), gone.end(), one.weight.parameter);
    });
    return rest;
  }

  [[nodiscard]] bool saves_enough(std::int64_t bytes) const {
    return bytes > 0 && static_cast<double>(bytes) >= kLeastSaving * static_cast<double>(prepared_.model_bytes);
  }

  /// A candidate with these weights at a tolerance beside what it takes already. Of its savings only the bytes count
  /// them.
  planner::Candidate with_weights(planner::Candidate candidate, const std::vector<RatedWeight>& rated,
                                  double tolerance) const {
    for (const RatedWeight& one : rated) {
      const std::optional<SizedWeight> sized = at_tolerance(one, tolerance);
      if (!sized) continue;
      graph::SharedWeight weight = one.weight;
      weight.rank = sized->rank;
      candidate.cut.weights.push_back(weight);
      candidate.savings.bytes += sized->bytes_saved;
      candidate.cost += one.left_over[sized->rank];
      candidate.output_variance = std::max(candidate.output_variance, one.left_over[sized->rank]);
    }
    std::sort(candidate.cut.weights.begin(), candidate.cut.weights.end());
    candidate.r2 = candidate.predicted_fidelity = std::min(candidate.r2, 1 - candidate.output_variance);
    return candidate;
  }

  /// What it costs beside bytes.
  void add_costs(planner::Candidate& candidate) const {
    graph::Cut layers = candidate.cut;
    layers.weights.clear();
    const auto attached = [&](const graph::Cut& cut) {
      return fit::plan_attachment(session_.set, cut, options_.attachment).value().flops_added;
    };
    candidate.savings.flops -= attached(candidate.cut) - attached(layers);
    candidate.savings.latency_ns = latency_saved_ns(session_, candidate.cut, options_.attachment);
    candidate.savings.memory = candidate.savings.bytes + peak_of_all(session_, {}, options_.attachment) -
                               peak_of_all(session_, {candidate.cut}, options_.attachment);
  }

  const Options& options_;
  const session::Session& session_;
  const ModelIndex receiver_;
  const graph::Prepared& prepared_;
  const std::vector<std::int64_t> bytes_;  // per parameter of the receiver
  const std::vector<graph::StoredWeight> weights_;
};

/// Whether the two models have so many weights in common that sharing could save enough at best.
bool is_related(const session::Session& session, ModelIndex receiver, ModelIndex donor) {
  const graph::Prepared& prepared = session.models[receiver].prepared;
  std::int64_t bytes = 0;
  for (const graph::SharedWeight& one : fit::paired_weights(session.set, receiver, donor))
    bytes += prepared.program.parameters[one.parameter].bytes;
  return static_cast<double>(bytes) >= kLeastSaving * static_cast<double>(prepared.model_bytes);
}

/// Whether shared weights save anything of it.
bool counts_bytes(planner::Objective objective) {
  return objective == planner::Objective::kBytes || objective == planner::Objective::kPeakMemory;
}

}  // namespace

std::vector<planner::Candidate> find_weight_candidates(const Options& options, const session::Session& session,
                                                       const std::vector<Direction>& directions,
                                                       fit::WeightDifferences& differences) {
  std::vector<planner::Candidate> result;
  if (!counts_bytes(options.objective)) return result;
  for (ModelIndex receiver = 0; receiver < static_cast<ModelIndex>(session.models.size()); ++receiver) {
    std::vector<ModelIndex> donors;
    for (const Direction& direction : directions) {
      const ModelIndex donor = session::find_model(session.models, direction.donor);
      if (session::find_model(session.models, direction.receiver) == receiver && is_related(session, receiver, donor))
        donors.push_back(donor);
    }
    if (donors.empty()) continue;
    const WeightCandidates candidates(options, session, receiver);
    std::size_t prepared = 0;
    for (std::size_t i = 0; i < donors.size(); ++i) {
      const ModelIndex donor = donors[i];
      if (i == prepared) prepared += differences.prepare(receiver, std::span(donors).subspan(i));
      const std::vector<planner::Candidate> found = candidates.of(differences.between(receiver, donor));
      log::debug("weights of " + names_of(session, {receiver}) + "<-" + names_of(session, {donor}) + ": " +
                 std::to_string(found.size()) + " candidates");
      result.insert(result.end(), found.begin(), found.end());
    }
  }
  return result;
}

std::vector<planner::Candidate> find_combined_candidates(const Options& options, const session::Session& session,
                                                         std::span<const planner::Candidate> layers,
                                                         fit::WeightDifferences& differences) {
  std::vector<planner::Candidate> result;
  if (!counts_bytes(options.objective)) return result;
  std::map<std::pair<ModelIndex, ModelIndex>, std::vector<planner::Candidate>> of_pair;  // receiver, donor
  for (const planner::Candidate& one : layers) {
    const std::vector<ModelIndex> donors = one.cut.donors();
    if (donors.size() == 1) of_pair[{one.cut.receiver, donors.front()}].push_back(one);
  }
  for (const auto& [pair, cuts] : of_pair) {
    const auto& [receiver, donor] = pair;
    if (!is_related(session, receiver, donor)) continue;
    const std::vector<planner::Candidate> found =
        WeightCandidates(options, session, receiver).beside(cuts, differences.between(receiver, donor));
    log::debug("layers and weights of " + names_of(session, {receiver}) + "<-" + names_of(session, {donor}) + ": " +
               std::to_string(found.size()) + " candidates");
    result.insert(result.end(), found.begin(), found.end());
  }
  return result;
}

}  // namespace repsim::candidates
