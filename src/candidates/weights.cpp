#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "repsim/candidates.hpp"
#include "savings.hpp"
#include "share_options.hpp"

namespace repsim::candidates {
namespace {

constexpr double kTolerances[] = {0.001, 0.003, 0.01, 0.03, 0.1};  // parts of a layer's output variance
constexpr double kLeastSaving = 0.01;                              // of the receiver's bytes

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
    std::vector<RatedWeight> rated;
    for (const fit::WeightDifference& one : differences) {
      if (bytes_[one.weight.parameter] > 0 && may_take_part(one.weight)) rated.push_back(rate(one));
    }
    std::vector<planner::Candidate> result;
    for (const double tolerance : kTolerances) {
      std::optional<planner::Candidate> candidate = at(rated, tolerance);
      if (!candidate || (!result.empty() && result.back().cut == candidate->cut)) continue;
      result.push_back(std::move(*candidate));
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

  std::optional<planner::Candidate> at(const std::vector<RatedWeight>& rated, double tolerance) const {
    planner::Candidate candidate;
    candidate.cut.receiver = receiver_;
    double worst = 0;
    for (const RatedWeight& one : rated) {
      const std::optional<SizedWeight> sized = at_tolerance(one, tolerance);
      if (!sized) continue;
      graph::SharedWeight weight = one.weight;
      weight.rank = sized->rank;
      candidate.cut.weights.push_back(weight);
      candidate.savings.bytes += sized->bytes_saved;
      candidate.cost += one.left_over[sized->rank];
      worst = std::max(worst, one.left_over[sized->rank]);
    }
    if (static_cast<double>(candidate.savings.bytes) < kLeastSaving * static_cast<double>(prepared_.model_bytes) ||
        candidate.savings.bytes == 0)
      return std::nullopt;
    std::sort(candidate.cut.weights.begin(), candidate.cut.weights.end());
    candidate.similarity = std::numeric_limits<double>::quiet_NaN();  // its layers stay
    candidate.r2 = candidate.predicted_fidelity = 1 - worst;
    add_costs(candidate);
    if (candidate.savings.of(options_.objective) <= 0) return std::nullopt;
    return candidate;
  }

  /// What the differences cost beside bytes.
  void add_costs(planner::Candidate& candidate) const {
    const fit::Attachment attachment = fit::plan_attachment(session_.set, candidate.cut, options_.attachment).value();
    candidate.savings.flops = -attachment.flops_added;
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

}  // namespace

std::vector<planner::Candidate> find_weight_candidates(const Options& options, const session::Session& session,
                                                       const std::vector<Direction>& directions,
                                                       fit::WeightDifferences& differences) {
  std::vector<planner::Candidate> result;
  // Neither falls by shared weights.
  if (options.objective == planner::Objective::kFlops || options.objective == planner::Objective::kLatency)
    return result;
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

}  // namespace repsim::candidates
