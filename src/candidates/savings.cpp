#include "savings.hpp"

#include <algorithm>

namespace repsim::candidates {
namespace {

/// The replacements of a cut as ops between plain programs, which stand at these places of a list.
template <typename PlaceOf>
graph::MergedShare merged_share(const session::Session& session, const fit::Cut& cut,
                                const fit::AttachmentOptions& options, PlaceOf place_of) {
  const fit::Attachment attachment = fit::plan_attachment(session.set, cut, options).value();
  graph::MergedShare share{place_of(cut.receiver), {}};
  for (const graph::Normalisation& folded : attachment.folded()) share.folded.push_back(folded.op);
  for (std::size_t i = 0; i < cut.replacements.size(); ++i) {
    fit::Replacement replacement = cut.replacements[i];
    replacement.donor = place_of(replacement.donor);
    const fit::SizeChange change = attachment.size_changes[i];
    const bool resampled = change == fit::SizeChange::kResample;
    share.replacements.push_back({replacement, resampled && !attachment.horizontal.empty(),
                                  resampled && !attachment.vertical.empty(), change == fit::SizeChange::kResize,
                                  attachment.adds_linear()});
  }
  if (cut.weights.empty()) return share;
  for (const graph::StoredWeight& one : graph::stored_weights(*session.set.models[cut.receiver])) {
    for (graph::SharedWeight weight : cut.weights) {
      if (weight.parameter != one.parameter) continue;
      weight.donor = place_of(weight.donor);
      share.weights.push_back({weight, one.op, one.channels(), one.taps()});
    }
  }
  return share;
}

/// The receiver of a cut, its donors, and what the bundle of these alone would run.
struct Involved {
  std::vector<const graph::Program*> programs;
  std::vector<bool> guests;  ///< per program
  graph::Program merged;
};
Involved involved(const session::Session& session, const fit::Cut& cut, const fit::AttachmentOptions& options) {
  std::vector<ModelIndex> models{cut.receiver};
  for (const ModelIndex donor : cut.donors()) models.push_back(donor);
  Involved result;
  for (const ModelIndex model : models) {
    result.programs.push_back(&session.models[model].prepared.program);
    result.guests.push_back(model != cut.receiver && session.is_guest(model));
  }
  const auto place_of = [&](ModelIndex model) {
    return static_cast<int>(std::find(models.begin(), models.end(), model) - models.begin());
  };
  result.merged =
      graph::merged_program(result.programs, {merged_share(session, cut, options, place_of)}, result.guests);
  return result;
}

}  // namespace

std::vector<OpIndex> given_ops(const graph::Program& program, const graph::Cut& cut, ModelIndex donor) {
  std::vector<OpIndex> ops;
  for (const graph::Replacement& one : cut.replacements)
    if (one.donor == donor) ops.push_back(program.layers[one.donor_layer].op);
  return ops;
}

std::int64_t guest_flops(const session::Session& session, const fit::Cut& cut) {
  std::int64_t flops = 0;
  for (const ModelIndex donor : cut.donors()) {
    if (!session.is_guest(donor)) continue;
    const graph::Program& program = session.models[donor].prepared.program;
    const std::vector<bool> live = graph::live_ops(program, {}, given_ops(program, cut, donor));
    for (std::size_t op = 0; op < live.size(); ++op) flops += live[op] ? program.ops[op].flops : 0;
  }
  return flops;
}

std::int64_t latency_added_ns(const session::Session& session, ModelIndex receiver, const fit::Replacement& replacement,
                              const fit::AttachmentOptions& options) {
  const graph::Program& program = session.models[receiver].prepared.program;
  const std::vector<bool> live = graph::live_ops(program, {replacement.receiver_layer});
  const std::vector<std::int64_t> latencies = graph::op_latencies_ns(program);
  std::int64_t stays = 0;
  if (!session.is_guest(replacement.donor))
    stays = graph::total_latency_ns(session.models[replacement.donor].prepared.program);
  for (std::size_t op = 0; op < live.size(); ++op) stays += live[op] ? latencies[op] : 0;
  return graph::total_latency_ns(involved(session, {receiver, {replacement}}, options).merged) - stays;
}

std::int64_t latency_saved_ns(const session::Session& session, const fit::Cut& cut,
                              const fit::AttachmentOptions& options) {
  const Involved all = involved(session, cut, options);
  std::int64_t before = 0;
  for (std::size_t i = 0; i < all.programs.size(); ++i)
    before += all.guests[i] ? 0 : graph::total_latency_ns(*all.programs[i]);
  return before - graph::total_latency_ns(all.merged);
}

std::int64_t peak_of_all(const session::Session& session, const std::vector<fit::Cut>& cuts,
                         const fit::AttachmentOptions& options) {
  std::vector<const graph::Program*> programs;
  std::vector<bool> guests;
  for (std::size_t i = 0; i < session.models.size(); ++i) {
    programs.push_back(&session.models[i].prepared.program);
    guests.push_back(session.is_guest(static_cast<ModelIndex>(i)));
  }
  std::vector<graph::MergedShare> shares;
  for (const fit::Cut& cut : cuts)
    shares.push_back(merged_share(session, cut, options, [](ModelIndex model) { return model; }));
  return graph::peak_activation_bytes(graph::merged_program(programs, shares, guests));
}

std::int64_t peak_without_shares(const session::Session& session) { return peak_of_all(session, {}, {}); }

}  // namespace repsim::candidates
