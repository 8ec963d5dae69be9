#include "share_options.hpp"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "repsim/base/log.hpp"
#include "savings.hpp"

namespace repsim::candidates {
namespace {

constexpr int kMostReplacements = 6;  // replaced layers of a cut along the depth: a pyramid has three to five
constexpr int kMostExactReplacements =
    12;                            // of a minimum cut: their cost keeps them few, but a small saving may buy many
constexpr int kMostBounds = 48;    // bounds on the worst replacement for which a cut is sought
constexpr int kFlowsBetween = 96;  // maximum flows spent between the corners of the hull
constexpr std::int64_t kMostWorth = std::int64_t{1} << 30;  // of a receiver in the flows' units: 1 byte up to 1 GiB

std::int64_t sum_over(const std::vector<int>& indices, const std::vector<std::int64_t>& values) {
  std::int64_t sum = 0;
  for (const int index : indices) sum += values[index];
  return sum;
}

/// A receiver with what may replace its layers, of one donor or of several, on the way to candidates.
class Cuts {
 public:
  Cuts(const Options& options, const session::Session& session, ModelIndex receiver,
       const std::vector<RatedReplacement>& replacements)
      : options_(options),
        session_(session),
        objective_(options.objective),
        receiver_(receiver),
        bytes_(bytes_of_its_own(session, receiver)),
        offers_(program().layers.size()) {
    for (const RatedReplacement& one : replacements) {
      offers_[one.replacement.receiver_layer].push_back(&one);
      donors_.insert(one.replacement.donor);
    }
  }

  std::vector<planner::Candidate> run() {
    if (donors_.empty()) return {};
    const planner::CutProblem problem = cut_problem();
    const std::vector<planner::ExactCut> corners = planner::supported_cuts(problem);
    for (const auto& cut : corners) add(cut);
    for (const auto& cut : planner::cuts_by_worst_offer(problem, kMostBounds)) add(cut);
    for (const auto& cut : planner::cuts_between(problem, corners, kFlowsBetween)) add(cut);
    const std::size_t exact = candidates_.size();
    add_depth_cuts();
    std::vector<planner::Candidate> result;
    for (const std::size_t index : planner::pareto_front(candidates_, objective_)) {
      result.push_back(candidates_[index]);
      // What is not the objective is worked out for what stays.
      if (objective_ != planner::Objective::kLatency) add_latency(result.back());
      if (objective_ != planner::Objective::kPeakMemory) add_memory(result.back());
    }
    log::debug(session_.models[receiver_].prepared.name + "<-" + names_of(session_, {donors_.begin(), donors_.end()}) +
               ": " + std::to_string(corners.size()) + " corners, " + std::to_string(exact) + " minimum cuts, " +
               std::to_string(candidates_.size() - exact) + " more along the depth, " + std::to_string(result.size()) +
               " candidates on the fronts");
    return result;
  }

 private:
  const graph::Program& program() const { return session_.models[receiver_].prepared.program; }

  /// What a single replaced layer adds in the units of the objective.
  std::int64_t added(const RatedReplacement& one) const {
    switch (objective_) {
      case planner::Objective::kFlops:
        return one.flops_added + guest_flops(session_, {receiver_, {one.replacement}});
      case planner::Objective::kLatency:
        return latency_added_ns(session_, receiver_, one.replacement, options_.attachment);
      case planner::Objective::kBytes:
      case planner::Objective::kPeakMemory:
        break;
    }
    return one.bytes_added;
  }

  void add_latency(planner::Candidate& candidate) const {
    candidate.savings.latency_ns = latency_saved_ns(session_, candidate.cut, options_.attachment);
  }

  /// Against the bundle of all models without shares, whose peak another model may decide.
  void add_memory(planner::Candidate& candidate) {
    const auto peak_with = [&](const std::vector<fit::Cut>& cuts) {
      return std::max(options_.peak_elsewhere, peak_of_all(session_, cuts, options_.attachment));
    };
    if (!peak_before_) peak_before_ = peak_with({});
    candidate.savings.memory = candidate.savings.bytes + *peak_before_ - peak_with({candidate.cut});
  }

  /// What an offer adds is what it would add as the only replaced layer. A refit on fewer channels saves a little; in
  /// the flow it adds nothing.
  planner::CutProblem cut_problem() const {
    planner::CutProblem problem;
    problem.program = &program();
    // Of the peak of activations only the parameters' part can be added up; the candidates' savings are exact.
    const bool bytes = objective_ == planner::Objective::kBytes || objective_ == planner::Objective::kPeakMemory;
    problem.parameter_worth = bytes ? bytes_ : std::vector<std::int64_t>(bytes_.size(), 0);
    if (objective_ == planner::Objective::kLatency) {
      problem.op_worth = graph::op_latencies_ns(program());
    } else {
      for (const graph::Op& op : program().ops) problem.op_worth.push_back(bytes ? 0 : op.flops);
    }
    const auto sum = [](const std::vector<std::int64_t>& values) {
      return std::accumulate(values.begin(), values.end(), std::int64_t{0});
    };
    const std::int64_t unit = 1 + (sum(problem.op_worth) + sum(problem.parameter_worth)) / kMostWorth;
    for (std::int64_t& worth : problem.op_worth) worth /= unit;
    for (std::int64_t& worth : problem.parameter_worth) worth /= unit;
    for (const auto& list : offers_) {
      std::vector<planner::Offer> offers;
      for (const RatedReplacement* one : list) {
        if (!one->possible_alone) continue;
        // One unit at least, so that of equally good cuts the one of fewer layers is best.
        const auto lost = static_cast<std::int64_t>((1 - one->r2) * static_cast<double>(planner::kCostUnits - 1));
        const std::int64_t adds = std::max<std::int64_t>(0, added(*one));
        offers.push_back({{one->replacement.donor, one->replacement.donor_layer}, 1 + lost, (adds + unit - 1) / unit});
      }
      problem.offers.push_back(std::move(offers));
    }
    return problem;
  }

  void add(const planner::ExactCut& cut) {
    std::vector<const RatedReplacement*> taken;
    for (const graph::Replacement& replacement : cut.replacements) {
      const auto& list = offers_[replacement.receiver_layer];
      taken.push_back(*std::find_if(list.begin(), list.end(),
                                    [&](const RatedReplacement* one) { return one->replacement == replacement; }));
    }
    add(taken, kMostExactReplacements);
  }

  /// Cuts along the depth, each layer from the donor layer that explains it best.
  void add_depth_cuts() {
    const std::vector<bool> replaceable = usable_layers(options_, program(), true);
    for (const planner::DepthCut& cut : planner::depth_cuts(program(), replaceable, kMostReplacements)) {
      std::vector<const RatedReplacement*> taken;
      for (const LayerIndex layer : cut.layers) {
        const auto& list = offers_[layer];
        if (list.empty()) break;
        taken.push_back(*std::max_element(list.begin(), list.end(), [](auto* a, auto* b) { return a->r2 < b->r2; }));
      }
      if (taken.size() == cut.layers.size()) add(taken, kMostReplacements);
    }
  }

  void add(const std::vector<const RatedReplacement*>& taken, int most_replacements) {
    if (taken.empty() || static_cast<int>(taken.size()) > most_replacements || !seen_.insert(taken).second) return;
    planner::Candidate candidate;
    candidate.cut.receiver = receiver_;
    candidate.similarity = 1;
    candidate.r2 = 1;
    for (const RatedReplacement* one : taken) {
      candidate.cut.replacements.push_back(one->replacement);
      candidate.similarity = std::min(candidate.similarity, one->similarity);
      candidate.r2 = std::min(candidate.r2, one->r2);
      candidate.cost += 1 - one->r2;
    }
    candidate.predicted_fidelity = candidate.r2;
    // With several donors to choose from, what takes from one of them alone is a candidate of that pair.
    if (donors_.size() > 1 && candidate.cut.donors().size() == 1) return;
    const std::optional<fit::Attachment> attachment =
        fit::plan_attachment(session_.set, candidate.cut, options_.attachment);
    if (!attachment) return;
    const graph::Removal removal = graph::removed_by(program(), candidate.cut.receiver_layers());
    candidate.savings.bytes = sum_over(removal.parameters, bytes_) - attachment->bytes_added;
    for (const graph::Normalisation& folded : attachment->folded())
      candidate.savings.bytes += sum_over(folded.parameters, bytes_);
    candidate.savings.flops =
        removal.flops + attachment->flops_folded - attachment->flops_added - guest_flops(session_, candidate.cut);
    if (objective_ == planner::Objective::kLatency) add_latency(candidate);
    if (objective_ == planner::Objective::kPeakMemory) add_memory(candidate);
    if (candidate.savings.of(objective_) > 0) candidates_.push_back(std::move(candidate));
  }

  const Options& options_;
  const session::Session& session_;
  const planner::Objective objective_;
  const int receiver_;
  const std::vector<std::int64_t> bytes_;                     // per parameter of the receiver
  std::vector<std::vector<const RatedReplacement*>> offers_;  // per receiver layer
  std::set<int> donors_;
  std::set<std::vector<const RatedReplacement*>> seen_;  // for lookup only
  std::vector<planner::Candidate> candidates_;
  std::optional<std::int64_t> peak_before_;  // of all models without shares
};

/// Layers whose block holds a convolution.
std::vector<bool> convolutions(const graph::Program& program) {
  std::vector<bool> result(program.layers.size(), false);
  for (const graph::Op& op : program.ops) {
    if (op.layer >= 0 && op.kind.find("conv") != std::string::npos) result[op.layer] = true;
  }
  return result;
}

/// The parameters that the receiver does not hold any more: of removed layers, of refitted convolutions and of what was
/// folded into them, and weights in whose place a donor's are.
std::vector<int> gone_parameters(const session::Session& session, const graph::Cut& cut, const graph::Removal& removal,
                                 const std::optional<fit::Attachment>& attachment) {
  std::set<int> gone(removal.parameters.begin(), removal.parameters.end());
  for (const graph::SharedWeight& weight : cut.weights) gone.insert(weight.parameter);
  const auto* const refit = attachment ? std::get_if<fit::Refit>(&attachment->method) : nullptr;
  if (refit != nullptr) {
    for (const fit::RefitConvolution& one : refit->convolutions) {
      const graph::ConvGeometry geometry = graph::convolution_geometry(*session.set.models[cut.receiver], one.node);
      gone.insert({geometry.weight_parameter, geometry.bias_parameter});
      if (one.normalisation) gone.insert(one.normalisation->parameters.begin(), one.normalisation->parameters.end());
    }
  }
  gone.erase(-1);
  return {gone.begin(), gone.end()};
}

}  // namespace

std::vector<std::int64_t> bytes_of_its_own(const session::Session& session, ModelIndex model) {
  std::set<std::string> elsewhere;
  for (std::size_t i = 0; i < session.models.size(); ++i) {
    if (static_cast<ModelIndex>(i) == model || !session.models[i].prepared.rewritable) continue;
    for (const graph::Parameter& parameter : session.models[i].prepared.program.parameters)
      elsewhere.insert(parameter.content);
  }
  std::vector<std::int64_t> bytes;
  for (const graph::Parameter& parameter : session.models[model].prepared.program.parameters)
    bytes.push_back(elsewhere.count(parameter.content) > 0 ? 0 : parameter.bytes);
  return bytes;
}

std::vector<planner::Candidate> candidates_of(const Options& options, const session::Session& session,
                                              ModelIndex receiver, const std::vector<RatedReplacement>& replacements) {
  return Cuts(options, session, receiver, replacements).run();
}

planner::ShareOption share_option_of(const session::Session& session, const graph::Cut& cut,
                                     const fit::AttachmentOptions& options) {
  const graph::Program& program = session.models[cut.receiver].prepared.program;
  const std::vector<LayerIndex> replaced = cut.receiver_layers();
  planner::ShareOption option;
  option.receiver = cut.receiver;
  for (const ModelIndex donor : cut.donors()) {
    std::set<LayerIndex> layers;
    std::set<int> parameters;
    for (const graph::Replacement& one : cut.replacements) {
      if (one.donor == donor) layers.insert(one.donor_layer);
    }
    for (const graph::SharedWeight& one : cut.weights) {
      if (one.donor == donor) parameters.insert(one.donor_parameter);
    }
    option.supplied.push_back({donor, {layers.begin(), layers.end()}, {parameters.begin(), parameters.end()}});
  }
  const graph::Removal removal = graph::removed_by(program, replaced);
  std::set<LayerIndex> unavailable(removal.layers.begin(), removal.layers.end());
  unavailable.insert(replaced.begin(), replaced.end());
  // Layers that nothing needed in the first place are not computed either.
  const std::vector<bool> live = graph::live_ops(program, replaced);
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    if (!live[program.layers[layer].op]) unavailable.insert(static_cast<LayerIndex>(layer));
  }
  const std::optional<fit::Attachment> attachment = fit::plan_attachment(session.set, cut, options);
  if (attachment && attachment->is_refit()) {
    const std::vector<bool> convolution = convolutions(program);
    std::set<LayerIndex> between(replaced.begin(), replaced.end());
    for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
      const auto& inputs = program.layers[layer].inputs;
      const bool reads = std::any_of(inputs.begin(), inputs.end(), [&](int one) { return between.count(one) > 0; });
      if (reads && !convolution[layer]) between.insert(static_cast<LayerIndex>(layer));
    }
    unavailable.insert(between.begin(), between.end());
  }
  option.unavailable.assign(unavailable.begin(), unavailable.end());
  option.gone_parameters = gone_parameters(session, cut, removal, attachment);
  return option;
}

}  // namespace repsim::candidates
