#include "columns.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "repsim/base/log.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kMostTaps = 6;        // replaced layers of a cut along the depth: a pyramid has three to five
constexpr int kMostExactTaps = 12;  // of a minimum cut: their cost keeps them few, but a small saving may buy many
constexpr int kShortlist = 3;       // donor layers per receiver layer that a linear map is fitted for
constexpr int kMostBounds = 48;     // bounds on the worst replacement for which a cut is sought
constexpr int kFlowsBetween = 96;   // maximum flows spent between the corners of the hull
constexpr std::int64_t kMostWorth = std::int64_t{1} << 30;  // of a receiver in the flows' units: 1 byte up to 1 GiB

std::size_t at(int index) { return static_cast<std::size_t>(index); }

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return planner::glob_matches(glob, name); });
}

/// Layers that may take part: float feature maps of three dimensions that the user's globs allow.
std::vector<bool> usable(const Settings& settings, const graph::Program& program, bool as_receiver) {
  std::vector<bool> result;
  for (const graph::Layer& layer : program.layers) {
    const bool map = layer.shape.size() == 3 && layer.dtype == "Float";
    const bool wanted = !as_receiver || settings.layers.empty() || matches_any(settings.layers, layer.name);
    result.push_back(map && wanted && !matches_any(settings.exclude, layer.name));
  }
  return result;
}

/// Per parameter the bytes that are gone with it: none where another model holds the same values, since the bundle
/// stores them once.
std::vector<std::int64_t> bytes_of_its_own(const Workspace& work, int model) {
  std::set<std::string> elsewhere;
  for (std::size_t i = 0; i < work.prepared.size(); ++i) {
    if (i == at(model) || !work.prepared[i].transparent) continue;
    for (const graph::Parameter& parameter : work.prepared[i].program.parameters) elsewhere.insert(parameter.content);
  }
  std::vector<std::int64_t> bytes;
  for (const graph::Parameter& parameter : work.prepared[at(model)].program.parameters)
    bytes.push_back(elsewhere.count(parameter.content) > 0 ? 0 : parameter.bytes);
  return bytes;
}

std::int64_t sum_over(const std::vector<int>& indices, const std::vector<std::int64_t>& values) {
  std::int64_t sum = 0;
  for (const int index : indices) sum += values[at(index)];
  return sum;
}

/// One ordered pair on its way from similarities to candidates.
class Pair {
 public:
  Pair(const Settings& settings, const Workspace& work, int receiver, int donor)
      : settings_(settings),
        work_(work),
        options_(fit_options(settings)),
        objective_(objective_of(settings)),
        receiver_(receiver),
        donor_(donor),
        bytes_(bytes_of_its_own(work, receiver)) {}

  std::vector<planner::Candidate> run(const std::vector<similarity::Signatures>& signatures,
                                      const capture::Stores& calibration, Progress& progress) {
    matrix_ = similarity::cka(signatures[at(receiver_)], signatures[at(donor_)]);
    find_pairs();
    if (pairs_.empty()) return {};
    r2_ = fit::screen(work_.set, calibration, receiver_, donor_, pairs_, options_, progress);
    const planner::CutProblem problem = cut_problem();
    const std::vector<planner::ExactCut> corners = planner::supported_cuts(problem);
    for (const auto& cut : corners) add(cut.layers, cut.donor_layers, kMostExactTaps);
    for (const auto& cut : planner::cuts_by_worst_offer(problem, kMostBounds))
      add(cut.layers, cut.donor_layers, kMostExactTaps);
    for (const auto& cut : planner::cuts_between(problem, corners, kFlowsBetween))
      add(cut.layers, cut.donor_layers, kMostExactTaps);
    const std::size_t exact = candidates_.size();
    add_depth_cuts();
    std::vector<planner::Candidate> result;
    for (const std::size_t index : planner::pareto_front(candidates_, objective_)) {
      result.push_back(candidates_[index]);
      // What is not the objective is worked out for what stays.
      if (objective_ != planner::Objective::kLatency) add_latency(result.back());
      if (objective_ != planner::Objective::kPeakMemory) add_memory(result.back());
    }
    log::debug(name(receiver_) + "<-" + name(donor_) + ": " + std::to_string(pairs_.size()) + " layer pairs, " +
               std::to_string(corners.size()) + " corners, " + std::to_string(exact) + " minimum cuts, " +
               std::to_string(candidates_.size() - exact) + " more along the depth, " + std::to_string(result.size()) +
               " candidates on the fronts");
    return result;
  }

 private:
  const graph::Program& program(int model) const { return work_.prepared[at(model)].program; }
  const std::string& name(int model) const { return work_.prepared[at(model)].name; }

  void find_pairs() {
    replaceable_ = usable(settings_, program(receiver_), true);
    const std::vector<bool> givable = usable(settings_, program(donor_), false);
    const bool fitted = options_.linear || options_.refit;
    pairs_of_.resize(replaceable_.size());
    for (std::size_t layer = 0; layer < replaceable_.size(); ++layer) {
      if (!replaceable_[layer]) continue;
      for (const int given : planner::shortlist(matrix_, program(receiver_), program(donor_), static_cast<int>(layer),
                                                givable, kShortlist)) {
        if (!fitted && program(receiver_).layers[layer].shape[0] != program(donor_).layers[at(given)].shape[0])
          continue;
        pairs_of_[layer].push_back(pairs_.size());
        pairs_.push_back({static_cast<int>(layer), given});
      }
    }
  }

  double similarity_of(std::size_t pair) const {
    return matrix_.at(at(pairs_[pair].receiver_layer), at(pairs_[pair].donor_layer));
  }

  /// What a single replaced layer adds in the units of the objective.
  std::int64_t added(const fit::Tap& tap, const fit::Joint& joint) const {
    switch (objective_) {
      case planner::Objective::kFlops:
        return joint.flops_added;
      case planner::Objective::kLatency:
        return latency_added(tap, joint);
      case planner::Objective::kBytes:
      case planner::Objective::kPeakMemory:
        break;
    }
    return joint.bytes_added;
  }

  /// The estimated time of the ops that bring a donor's layer to the receiver's.
  std::int64_t latency_added(const fit::Tap& tap, const fit::Joint& joint) const {
    const graph::Program& receiver = program(receiver_);
    const std::vector<bool> live = graph::live_ops(receiver, {tap.receiver_layer});
    const std::vector<std::int64_t> latencies = graph::op_latencies_ns(receiver);
    std::int64_t stays = graph::total_latency_ns(program(donor_));
    for (std::size_t op = 0; op < live.size(); ++op) stays += live[op] ? latencies[op] : 0;
    const std::vector<const graph::Program*> pair{&receiver, &program(donor_)};
    return graph::total_latency_ns(graph::joined(pair, {joined_share({tap}, joint, 0, 1)})) - stays;
  }

  /// The taps of a joint as ops between plain programs, under these indices.
  static graph::JoinedShare joined_share(const std::vector<fit::Tap>& taps, const fit::Joint& joint, int receiver,
                                         int donor) {
    graph::JoinedShare share{receiver, {}};
    for (std::size_t i = 0; i < taps.size(); ++i) {
      const bool columns = joint.resample[i] && !joint.columns.empty(), rows = joint.resample[i] && !joint.rows.empty();
      share.taps.push_back(
          {taps[i].receiver_layer, donor, taps[i].donor_layer, columns, rows, joint.resize[i], joint.linear[i]});
    }
    return share;
  }

  void add_latency(planner::Candidate& candidate) const {
    const fit::Cut cut = cut_of(candidate);
    const fit::Joint joint = fit::plan_joint(work_.set, cut, options_);
    const std::vector<const graph::Program*> pair{&program(receiver_), &program(donor_)};
    candidate.latency_saved_ns = graph::total_latency_ns(*pair[0]) + graph::total_latency_ns(*pair[1]) -
                                 graph::total_latency_ns(graph::joined(pair, {joined_share(cut.taps, joint, 0, 1)}));
  }

  /// Against the bundle of all models without shares, whose peak another model may decide.
  void add_memory(planner::Candidate& candidate) {
    std::vector<const graph::Program*> all;
    for (const graph::Prepared& model : work_.prepared) all.push_back(&model.program);
    if (!peak_before_) peak_before_ = graph::peak_activation_bytes(graph::joined(all, {}));
    const fit::Cut cut = cut_of(candidate);
    const fit::Joint joint = fit::plan_joint(work_.set, cut, options_);
    const graph::Program after = graph::joined(all, {joined_share(cut.taps, joint, receiver_, donor_)});
    candidate.memory_saved = candidate.bytes_saved + *peak_before_ - graph::peak_activation_bytes(after);
  }

  /// What an offer adds is what it would add as the only replaced layer. A refit on fewer channels saves a little; in
  /// the flow it adds nothing.
  planner::CutProblem cut_problem() const {
    const graph::Program& receiver = program(receiver_);
    planner::CutProblem problem;
    problem.program = &receiver;
    // Of the peak of activations only the parameters' part can be added up; the candidates' savings are exact.
    const bool bytes = objective_ == planner::Objective::kBytes || objective_ == planner::Objective::kPeakMemory;
    problem.parameter_worth = bytes ? bytes_ : std::vector<std::int64_t>(bytes_.size(), 0);
    if (objective_ == planner::Objective::kLatency) {
      problem.op_worth = graph::op_latencies_ns(receiver);
    } else {
      for (const graph::Op& op : receiver.ops) problem.op_worth.push_back(bytes ? 0 : op.flops);
    }
    const auto sum = [](const std::vector<std::int64_t>& values) {
      return std::accumulate(values.begin(), values.end(), std::int64_t{0});
    };
    const std::int64_t unit = 1 + (sum(problem.op_worth) + sum(problem.parameter_worth)) / kMostWorth;
    for (std::int64_t& worth : problem.op_worth) worth /= unit;
    for (std::int64_t& worth : problem.parameter_worth) worth /= unit;
    for (const auto& list : pairs_of_) {
      std::vector<planner::Offer> offers;
      for (const std::size_t pair : list) {
        const fit::Joint joint = fit::plan_joint(work_.set, {receiver_, donor_, {pairs_[pair]}}, options_);
        if (!joint.possible) continue;
        planner::Offer offer;
        offer.donor_layer = pairs_[pair].donor_layer;
        const double lost = 1 - std::clamp(r2_[pair], 0.0, 1.0);
        // One unit at least, so that of equally good cuts the one of fewer layers is best.
        offer.cost = 1 + static_cast<std::int64_t>(lost * static_cast<double>(planner::kCostUnits - 1));
        offer.added = (std::max<std::int64_t>(0, added(pairs_[pair], joint)) + unit - 1) / unit;
        offers.push_back(offer);
      }
      problem.offers.push_back(std::move(offers));
    }
    return problem;
  }

  /// Cuts along the depth, each layer from the donor layer that explains it best.
  void add_depth_cuts() {
    for (const planner::DepthCut& cut : planner::depth_cuts(program(receiver_), replaceable_, kMostTaps)) {
      std::vector<int> donor_layers;
      for (const int layer : cut.layers) {
        const auto& list = pairs_of_[at(layer)];
        if (list.empty()) break;
        const std::size_t best =
            *std::max_element(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return r2_[a] < r2_[b]; });
        donor_layers.push_back(pairs_[best].donor_layer);
      }
      if (donor_layers.size() == cut.layers.size()) add(cut.layers, donor_layers, kMostTaps);
    }
  }

  void add(const std::vector<int>& layers, const std::vector<int>& donor_layers, int most_taps) {
    if (layers.empty() || static_cast<int>(layers.size()) > most_taps) return;
    if (!seen_.insert({layers, donor_layers}).second) return;
    planner::Candidate candidate;
    candidate.receiver = receiver_;
    candidate.donor = donor_;
    candidate.receiver_layers = layers;
    candidate.donor_layers = donor_layers;
    candidate.similarity = 1;
    candidate.predicted_fidelity = 1;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto& list = pairs_of_[at(layers[i])];
      const auto pair = *std::find_if(list.begin(), list.end(),
                                      [&](std::size_t one) { return pairs_[one].donor_layer == donor_layers[i]; });
      const double r2 = std::clamp(r2_[pair], 0.0, 1.0);
      candidate.similarity = std::min(candidate.similarity, similarity_of(pair));
      candidate.predicted_fidelity = std::min(candidate.predicted_fidelity, r2);
      candidate.cost += 1 - r2;
    }
    const fit::Joint joint = fit::plan_joint(work_.set, cut_of(candidate), options_);
    if (!joint.possible) return;
    const graph::Removal removal = graph::removed_by(program(receiver_), layers);
    candidate.bytes_saved = sum_over(removal.parameters, bytes_) - joint.bytes_added;
    candidate.flops_saved = removal.flops - joint.flops_added;
    if (objective_ == planner::Objective::kLatency) add_latency(candidate);
    if (objective_ == planner::Objective::kPeakMemory) add_memory(candidate);
    if (planner::saving_of(candidate, objective_) > 0) candidates_.push_back(std::move(candidate));
  }

  const Settings& settings_;
  const Workspace& work_;
  const fit::Options options_;
  const planner::Objective objective_;
  const int receiver_, donor_;
  const std::vector<std::int64_t> bytes_;  // per parameter of the receiver
  similarity::Matrix matrix_;
  std::vector<bool> replaceable_;
  std::vector<fit::Tap> pairs_;
  std::vector<std::vector<std::size_t>> pairs_of_;  // per receiver layer
  std::vector<double> r2_;                          // per pair
  std::set<std::pair<std::vector<int>, std::vector<int>>> seen_;
  std::vector<planner::Candidate> candidates_;
  std::optional<std::int64_t> peak_before_;  // of all models without shares
};

/// Layers whose block holds a convolution.
std::vector<bool> convolutions(const graph::Program& program) {
  std::vector<bool> result(program.layers.size(), false);
  for (const graph::Op& op : program.ops) {
    if (op.layer >= 0 && op.kind.find("conv") != std::string::npos) result[at(op.layer)] = true;
  }
  return result;
}

}  // namespace

fit::Options fit_options(const Settings& settings) {
  fit::Options options;
  options.linear = settings.adapters == "linear";
  options.refit = settings.refit;
  return options;
}

planner::Objective objective_of(const Settings& settings) {
  if (settings.objective == "flops") return planner::Objective::kFlops;
  if (settings.objective == "latency") return planner::Objective::kLatency;
  if (settings.objective == "peak-memory") return planner::Objective::kPeakMemory;
  return planner::Objective::kBytes;
}

fit::Cut cut_of(const planner::Candidate& candidate) {
  fit::Cut cut{candidate.receiver, candidate.donor, {}};
  for (std::size_t i = 0; i < candidate.receiver_layers.size(); ++i)
    cut.taps.push_back({candidate.receiver_layers[i], candidate.donor_layers[i]});
  return cut;
}

std::vector<planner::Candidate> candidates_of(const Settings& settings, const Workspace& work,
                                              const std::vector<similarity::Signatures>& signatures,
                                              const capture::Stores& calibration, int receiver, int donor,
                                              Progress& progress) {
  return Pair(settings, work, receiver, donor).run(signatures, calibration, progress);
}

planner::Column column_of(const Settings& settings, const Workspace& work, const planner::Candidate& candidate) {
  const graph::Program& program = work.prepared[at(candidate.receiver)].program;
  planner::Column column;
  column.receiver = candidate.receiver;
  column.donor = candidate.donor;
  const std::set<int> given(candidate.donor_layers.begin(), candidate.donor_layers.end());
  column.given.assign(given.begin(), given.end());
  const graph::Removal removal = graph::removed_by(program, candidate.receiver_layers);
  std::set<int> lost(removal.layers.begin(), removal.layers.end());
  lost.insert(candidate.receiver_layers.begin(), candidate.receiver_layers.end());
  // What nothing needed in the first place is not computed either.
  const std::vector<bool> live = graph::live_ops(program, candidate.receiver_layers);
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    if (!live[at(program.layers[layer].op)]) lost.insert(static_cast<int>(layer));
  }
  const fit::Joint joint = fit::plan_joint(work.set, cut_of(candidate), fit_options(settings));
  if (!joint.refit_nodes.empty()) {
    const std::vector<bool> convolution = convolutions(program);
    std::set<int> between(candidate.receiver_layers.begin(), candidate.receiver_layers.end());
    for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
      const auto& inputs = program.layers[layer].inputs;
      const bool reads = std::any_of(inputs.begin(), inputs.end(), [&](int one) { return between.count(one) > 0; });
      if (reads && !convolution[layer]) between.insert(static_cast<int>(layer));
    }
    lost.insert(between.begin(), between.end());
  }
  column.lost.assign(lost.begin(), lost.end());
  return column;
}

}  // namespace repsim::pipeline
