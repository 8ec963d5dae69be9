#include <algorithm>
#include <limits>
#include <set>

#include "repsim/planner.hpp"

namespace repsim::planner {
namespace {

/// Per layer: the layers that read it, and `layers.size()` where the results read it without another layer between.
std::vector<std::set<int>> readers(const graph::Program& program) {
  std::vector<std::set<int>> result(program.layers.size());
  for (std::size_t i = 0; i < program.layers.size(); ++i) {
    for (const int input : program.layers[i].inputs) result[input].insert(static_cast<int>(i));
  }
  const auto read = graph::layers_read(program);
  const int results = static_cast<int>(program.layers.size());
  for (const OpIndex op : program.results) {
    const auto at = static_cast<std::size_t>(op);
    const LayerIndex layer = program.ops[at].layer;
    if (layer >= 0 && program.layers[layer].op == op) {
      result[layer].insert(results);
    } else {
      for (const int source : read[at]) result[source].insert(results);
    }
  }
  return result;
}

}  // namespace

std::vector<DepthCut> depth_cuts(const graph::Program& program, const std::vector<bool>& replaceable,
                                 int most_replacements) {
  const auto read_by = readers(program);
  std::vector<DepthCut> cuts;
  std::set<std::vector<int>> seen;
  for (int prefix = 1; prefix <= static_cast<int>(program.layers.size()); ++prefix) {
    DepthCut cut;
    bool allowed = true;
    for (LayerIndex layer = 0; layer < prefix && allowed; ++layer) {
      const auto& users = read_by[layer];
      if (users.empty() || *users.rbegin() < prefix) continue;
      cut.layers.push_back(layer);
      allowed = replaceable[layer] && static_cast<int>(cut.layers.size()) <= most_replacements;
    }
    if (!allowed || cut.layers.empty()) continue;
    cut.removal = graph::removed_by(program, cut.layers);
    if (cut.removal.parameters.empty() || !seen.insert(cut.removal.ops).second) continue;
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

std::vector<int> shortlist(const similarity::MatrixView& receiver_by_donor, const graph::Program& receiver,
                           const graph::Program& donor, LayerIndex receiver_layer, const std::vector<bool>& givable,
                           int most) {
  const auto& wanted = receiver.layers[receiver_layer].shape;
  std::vector<int> same, other;
  for (LayerIndex layer = 0; layer < static_cast<int>(donor.layers.size()); ++layer) {
    const double similarity = receiver_by_donor.at(receiver_layer, layer);
    const auto& shape = donor.layers[layer].shape;
    if (!givable[layer] || similarity != similarity || shape.size() != 3) continue;
    (shape[1] == wanted[1] && shape[2] == wanted[2] ? same : other).push_back(layer);
  }
  const auto better = [&](LayerIndex a, LayerIndex b) {
    return receiver_by_donor.at(receiver_layer, a) > receiver_by_donor.at(receiver_layer, b);
  };
  std::stable_sort(same.begin(), same.end(), better);
  std::stable_sort(other.begin(), other.end(), better);
  same.resize(std::min(same.size(), static_cast<std::size_t>(most)));
  if (!other.empty()) same.push_back(other.front());
  return same;
}

std::vector<Candidate> worth_mixing(std::vector<Candidate> mixed, const std::vector<Candidate>& alone,
                                    Objective objective) {
  std::erase_if(mixed, [&](const Candidate& one) {
    const std::vector<ModelIndex> donors = one.cut.donors();
    return std::any_of(alone.begin(), alone.end(), [&](const Candidate& other) {
      return other.cut.receiver == one.cut.receiver &&
             std::binary_search(donors.begin(), donors.end(), other.cut.replacements.front().donor) &&
             other.savings.of(objective) >= one.savings.of(objective) &&
             other.predicted_fidelity >= one.predicted_fidelity && other.cost <= one.cost;
    });
  });
  return mixed;
}

std::vector<std::size_t> pareto_front(const std::vector<Candidate>& candidates, Objective objective) {
  const auto saving = [&](std::size_t index) { return candidates[index].savings.of(objective); };
  std::vector<std::size_t> order(candidates.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::set<std::size_t> front;
  // Largest saving first, the harmless ones of equal saving first: on the front is what harms less than all before it.
  const auto sweep = [&](auto&& harm) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return saving(a) != saving(b) ? saving(a) > saving(b) : harm(candidates[a]) < harm(candidates[b]);
    });
    double least = std::numeric_limits<double>::infinity();
    for (const std::size_t index : order) {
      if (harm(candidates[index]) >= least) continue;
      least = harm(candidates[index]);
      front.insert(index);
    }
    std::sort(order.begin(), order.end());
  };
  sweep([](const Candidate& candidate) { return -candidate.predicted_fidelity; });
  sweep([](const Candidate& candidate) { return candidate.cost; });
  std::vector<std::size_t> result(front.begin(), front.end());
  std::stable_sort(result.begin(), result.end(), [&](std::size_t a, std::size_t b) { return saving(a) > saving(b); });
  return result;
}

}  // namespace repsim::planner
