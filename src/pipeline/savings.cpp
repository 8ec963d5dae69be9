#include "savings.hpp"

#include <algorithm>

namespace repsim::pipeline {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// The taps of a cut as ops between plain programs, which stand at these places of a list.
template <typename PlaceOf>
graph::JoinedShare joined_share(const Workspace& work, const fit::Cut& cut, const fit::Options& options,
                                PlaceOf place_of) {
  const fit::Joint joint = fit::plan_joint(work.set, cut, options);
  graph::JoinedShare share{place_of(cut.receiver), {}};
  for (const auto& normalisation : joint.normalisations) {
    if (normalisation) share.taken_in.push_back(normalisation->op);
  }
  for (std::size_t i = 0; i < cut.taps.size(); ++i) {
    const bool columns = joint.resample[i] && !joint.columns.empty(), rows = joint.resample[i] && !joint.rows.empty();
    share.taps.push_back({cut.taps[i].receiver_layer, place_of(cut.taps[i].donor), cut.taps[i].donor_layer, columns,
                          rows, joint.resize[i], joint.linear[i]});
  }
  return share;
}

/// The receiver of a cut, its donors, and what the bundle of these alone would run.
struct Involved {
  std::vector<const graph::Program*> programs;
  graph::Program joined;
};
Involved involved(const Workspace& work, const fit::Cut& cut, const fit::Options& options) {
  std::vector<int> models{cut.receiver};
  for (const int donor : cut.donors()) models.push_back(donor);
  Involved result;
  for (const int model : models) result.programs.push_back(&work.prepared[at(model)].program);
  const auto place_of = [&](int model) {
    return static_cast<int>(std::find(models.begin(), models.end(), model) - models.begin());
  };
  result.joined = graph::joined(result.programs, {joined_share(work, cut, options, place_of)});
  return result;
}

}  // namespace

std::int64_t latency_added_ns(const Workspace& work, int receiver, const fit::Tap& tap, const fit::Options& options) {
  const graph::Program& program = work.prepared[at(receiver)].program;
  const std::vector<bool> live = graph::live_ops(program, {tap.receiver_layer});
  const std::vector<std::int64_t> latencies = graph::op_latencies_ns(program);
  std::int64_t stays = graph::total_latency_ns(work.prepared[at(tap.donor)].program);
  for (std::size_t op = 0; op < live.size(); ++op) stays += live[op] ? latencies[op] : 0;
  return graph::total_latency_ns(involved(work, {receiver, {tap}}, options).joined) - stays;
}

std::int64_t latency_saved_ns(const Workspace& work, const fit::Cut& cut, const fit::Options& options) {
  const Involved all = involved(work, cut, options);
  std::int64_t before = 0;
  for (const graph::Program* program : all.programs) before += graph::total_latency_ns(*program);
  return before - graph::total_latency_ns(all.joined);
}

std::int64_t corrections_ns(const fit::Joint& plain, const fit::Joint& corrected) {
  if (corrected.rank == plain.rank) return 0;
  // Two convolutions and a sum; per side input at most a resize, a convolution and a sum.
  const auto maps = static_cast<std::int64_t>(std::max(corrected.refit_nodes.size(), corrected.linear.size()));
  const auto operations = 3 * (1 + static_cast<std::int64_t>(corrected.sides.size()));
  return (corrected.flops_added - plain.flops_added) / graph::kFlopsPerNanosecond +
         operations * maps * graph::kOverheadNanoseconds;
}

std::int64_t peak_of_all(const Workspace& work, const std::vector<fit::Cut>& cuts, const fit::Options& options) {
  std::vector<const graph::Program*> programs;
  for (const graph::Prepared& model : work.prepared) programs.push_back(&model.program);
  std::vector<graph::JoinedShare> shares;
  for (const fit::Cut& cut : cuts) shares.push_back(joined_share(work, cut, options, [](int model) { return model; }));
  return graph::peak_activation_bytes(graph::joined(programs, shares));
}

}  // namespace repsim::pipeline
