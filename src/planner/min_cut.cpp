#include "min_cut.hpp"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <limits>
#include <map>
#include <optional>

#include "repsim/base/error.hpp"

namespace repsim::planner {
namespace {

constexpr std::int64_t kRange = std::int64_t{1} << 60;  // of all capacities together: sums of two such still fit

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;
struct Arc {
  std::int64_t capacity = 0, residual = 0;
  Traits::edge_descriptor reverse;
};
using Flow = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Arc>;

std::int64_t weighted(const Offer& offer, std::int64_t cost_weight, std::int64_t saving_weight) {
  return cost_weight * offer.cost + saving_weight * offer.added;
}

/// The cheapest offer of a layer at these weights; of equals the one of least cost, then the first. Null: none.
const Offer* cheapest(const std::vector<Offer>& offers, std::int64_t cost_weight, std::int64_t saving_weight,
                      std::int64_t most_cost) {
  const Offer* best = nullptr;
  for (const Offer& offer : offers) {
    if (most_cost >= 0 && offer.cost > most_cost) continue;
    const auto price = [&](const Offer& one) { return std::pair(weighted(one, cost_weight, saving_weight), one.cost); };
    if (best == nullptr || price(offer) < price(*best)) best = &offer;
  }
  return best;
}

/// The vertices on the source's side of a minimum cut at the graph's capacities: the smallest such side, of what the
/// source still reaches. It keeps least, so it removes most.
std::vector<bool> source_side(Flow& graph, std::size_t source, std::size_t sink) {
  std::vector<boost::default_color_type> colors(boost::num_vertices(graph));
  std::vector<std::int64_t> distances(boost::num_vertices(graph));
  std::vector<Traits::edge_descriptor> predecessors(boost::num_vertices(graph));
  const auto index = boost::get(boost::vertex_index, graph);
  const auto by_vertex = [&](auto& values) { return boost::make_iterator_property_map(values.begin(), index); };
  boost::boykov_kolmogorov_max_flow(graph, boost::get(&Arc::capacity, graph), boost::get(&Arc::residual, graph),
                                    boost::get(&Arc::reverse, graph), by_vertex(predecessors), by_vertex(colors),
                                    by_vertex(distances), index, source, sink);
  std::vector<bool> reached(boost::num_vertices(graph), false);
  std::vector<std::size_t> open{source};
  reached[source] = true;
  while (!open.empty()) {
    const std::size_t node = open.back();
    open.pop_back();
    for (auto [arc, end] = boost::out_edges(node, graph); arc != end; ++arc) {
      const std::size_t next = boost::target(*arc, graph);
      if (graph[*arc].residual <= 0 || reached[next]) continue;
      reached[next] = true;
      open.push_back(next);
    }
  }
  return reached;
}

}  // namespace

struct CutSolver::Network {
  Flow graph;
  std::size_t source = 0, sink = 0;
  std::vector<std::size_t> needed, computed;  // per op; the same node where no layer ends
  struct Paid {                               // arcs whose capacity depends on the weights
    Traits::edge_descriptor arc;
    std::int64_t worth = 0;  // of an op or a parameter
    OpIndex op = -1;         // whose layers may be replaced; -1: a worth
  };
  std::vector<Paid> paid;
  std::vector<Traits::edge_descriptor> fixed;  // never cut

  Traits::edge_descriptor connect(std::size_t from, std::size_t to) {
    const auto there = boost::add_edge(from, to, graph).first, back = boost::add_edge(to, from, graph).first;
    graph[there].reverse = back;
    graph[back].reverse = there;
    return there;
  }
};

CutSolver::CutSolver(const CutProblem& problem) : problem_(problem), network_(std::make_unique<Network>()) { build(); }
CutSolver::~CutSolver() = default;

void CutSolver::build() {
  const graph::Program& program = *problem_.program;
  const std::vector<bool> live = graph::live_ops(program, {});
  Network& network = *network_;
  layers_of_op_.resize(program.ops.size());
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    layers_of_op_[program.layers[layer].op].push_back(static_cast<int>(layer));
    std::int64_t dearest = 0, added = 0;
    for (const Offer& offer : problem_.offers.at(layer)) {
      if (offer.cost < 0 || offer.added < 0) throw Error(ErrorKind::kInternal, "an offer is worth something itself");
      dearest = std::max(dearest, offer.cost);
      added = std::max(added, offer.added);
    }
    total_cost_ += dearest;
    total_added_ += added;
  }

  network.source = boost::add_vertex(network.graph);
  network.sink = boost::add_vertex(network.graph);
  network.needed.assign(program.ops.size(), network.source);
  network.computed.assign(program.ops.size(), network.source);
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (!live[op]) continue;
    network.needed[op] = network.computed[op] = boost::add_vertex(network.graph);
    if (!layers_of_op_[op].empty()) {
      network.computed[op] = boost::add_vertex(network.graph);
      network.paid.push_back({network.connect(network.needed[op], network.computed[op]), 0, static_cast<int>(op)});
    }
  }
  const auto worth = [&](std::size_t node, std::int64_t value) {
    if (value < 0) throw Error(ErrorKind::kInternal, "what disappears is worth less than nothing");
    if (value == 0) return;
    total_worth_ += value;
    network.paid.push_back({network.connect(node, network.sink), value, -1});
  };
  std::vector<std::optional<std::size_t>> parameters(program.parameters.size());
  for (std::size_t op = 0; op < program.ops.size(); ++op) {
    if (!live[op]) continue;
    for (const int input : program.ops[op].inputs)
      network.fixed.push_back(network.connect(network.computed[op], network.needed[input]));
    for (const int parameter : program.ops[op].parameters) {
      auto& node = parameters[parameter];
      if (problem_.parameter_worth.at(parameter) == 0) continue;
      if (!node) {
        node = boost::add_vertex(network.graph);
        worth(*node, problem_.parameter_worth[parameter]);
      }
      network.fixed.push_back(network.connect(network.computed[op], *node));
    }
    worth(network.computed[op], problem_.op_worth.at(op));
  }
  for (const OpIndex op : program.results) network.fixed.push_back(network.connect(network.source, network.needed[op]));
}

void CutSolver::check_range(std::int64_t cost_weight, std::int64_t saving_weight) const {
  std::int64_t cost = 0, worth = 0, all = 0;
  if (cost_weight < 0 || saving_weight < 0 || __builtin_mul_overflow(cost_weight, total_cost_, &cost) ||
      __builtin_add_overflow(total_worth_, total_added_, &worth) ||
      __builtin_mul_overflow(saving_weight, worth, &worth) || __builtin_add_overflow(cost, worth, &all) ||
      all >= kRange) {
    throw Error(ErrorKind::kInternal, "costs and savings of a cut are out of range");
  }
}

ExactCut CutSolver::solve(std::int64_t cost_weight, std::int64_t saving_weight, const std::vector<bool>& allowed,
                          std::int64_t most_cost) {
  check_range(cost_weight, saving_weight);
  const graph::Program& program = *problem_.program;
  Flow& graph = network_->graph;
  const auto set = [&](Traits::edge_descriptor arc, std::int64_t capacity) {
    graph[arc].capacity = capacity;
    graph[graph[arc].reverse].capacity = 0;
  };
  for (const auto& arc : network_->fixed) set(arc, kRange);
  for (const Network::Paid& paid : network_->paid) {
    std::int64_t capacity = saving_weight * paid.worth;
    if (paid.op >= 0) {
      capacity = 0;
      for (const LayerIndex layer : layers_of_op_[paid.op]) {
        const Offer* offer = allowed.empty() || allowed[layer]
                                 ? cheapest(problem_.offers[layer], cost_weight, saving_weight, most_cost)
                                 : nullptr;
        capacity =
            offer == nullptr ? kRange : std::min(kRange, capacity + weighted(*offer, cost_weight, saving_weight));
      }
    }
    set(paid.arc, capacity);
  }
  const std::vector<bool> reached = source_side(graph, network_->source, network_->sink);
  ExactCut cut;
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    const OpIndex op = program.layers[layer].op;
    if (!reached[network_->needed[op]] || reached[network_->computed[op]]) continue;
    const Offer* offer = cheapest(problem_.offers[layer], cost_weight, saving_weight, most_cost);
    cut.replacements.push_back({static_cast<LayerIndex>(layer), offer->from.donor, offer->from.donor_layer});
    cut.cost += offer->cost;
    cut.saving -= offer->added;
  }
  for (const Network::Paid& paid : network_->paid) {
    if (paid.op < 0 && !reached[boost::source(paid.arc, graph)]) cut.saving += paid.worth;
  }
  return cut;
}

ExactCut best_cut(const CutProblem& problem, std::int64_t cost_weight, std::int64_t saving_weight,
                  const std::vector<bool>& allowed) {
  return CutSolver(problem).solve(cost_weight, saving_weight, allowed);
}

}  // namespace repsim::planner
