#include "repsim/base/log.hpp"
#include "repsim/model_failure.hpp"
#include "repsim/trial.hpp"

namespace repsim::trial {
namespace {

std::int64_t sure_targets(std::span<const verify::Target> targets) {
  std::int64_t count = 0;
  for (const verify::Target& target : targets) count += static_cast<std::int64_t>(target.sure.size());
  return count;
}

}  // namespace

Measurer::Measurer(const session::Session& session, const capture::Stores& frames, MeasuringOptions options,
                   Progress& progress)
    : session_(session),
      frames_(frames),
      options_(std::move(options)),
      progress_(progress),
      values_(options_.max_bytes) {}

Agreement Measurer::agreement(ModelIndex receiver, std::span<const graph::Splice> splices,
                              const std::optional<EarlyEnd>& early) {
  const verify::Measured merged = measure(receiver, splices, early);
  const verify::Reference& own = reference(receiver);
  const double confidence = options_.confidence;
  Agreement agreement{merged.fidelity, merged.fidelity.value_or(0), own.own_detections, own.targets.empty()};
  const std::span<const verify::Target> targets(own.targets.data(), std::min(merged.found.size(), own.targets.size()));
  if (targets.size() < own.targets.size()) {
    agreement.detections = sure_targets(targets);
    agreement.decided_after = static_cast<std::int64_t>(targets.size());
  }
  if (confidence > 0 && merged.raw && merged.fidelity)
    agreement.low = merged.raw->interval(confidence, verify::kDraws, options_.seed).low;
  // Without detections of its own there is nothing to draw from.
  if (confidence > 0 && own.own_detections > 0) agreement.low = lower_end(merged.found, targets, merged.per_video);
  return agreement;
}

bool Measurer::is_decided(std::span<const verify::Detections> found, const verify::Reference& own,
                          const EarlyEnd& early) const {
  if (verify::best_possible_precision(found, own.targets) < early.misses_below) return true;
  if (!early.holds_from || !options_.holds_early || options_.confidence <= 0) return false;
  const std::span<const verify::Target> targets = std::span(own.targets).first(found.size());
  constexpr std::int64_t kFewestDetections = 30;  // as many as a judgement wants by default
  return sure_targets(targets) >= kFewestDetections && lower_end(found, targets, {}) >= *early.holds_from;
}

Agreement Measurer::agreement_with(Measurer& earlier, ModelIndex receiver, std::span<const graph::Splice> splices) {
  const verify::Reference& own = reference(receiver);
  if (options_.confidence <= 0 || own.own_detections == 0) return agreement(receiver, splices);
  const verify::Measured merged = measure(receiver, splices);
  const verify::Measured before = earlier.measure(receiver, splices);
  std::vector<verify::Detections> found = before.found;
  std::vector<verify::Target> targets = earlier.reference(receiver).targets;
  found.insert(found.end(), merged.found.begin(), merged.found.end());
  targets.insert(targets.end(), own.targets.begin(), own.targets.end());
  // Of several videos, each has a part before and one of its own here.
  std::vector<std::int64_t> per_video = before.per_video;
  per_video.insert(per_video.end(), merged.per_video.begin(), merged.per_video.end());
  return {merged.fidelity, lower_end(found, targets, per_video), own.own_detections, false, true};
}

double Measurer::lower_end(std::span<const verify::Detections> found, std::span<const verify::Target> targets,
                           std::span<const std::int64_t> per_video) const {
  return verify::bootstrap_interval(found, targets, options_.confidence, verify::kDraws, options_.seed, per_video).low;
}

planner::Judged judged(const Agreement& agreement) {
  return {.fidelity = agreement.fidelity,
          .low = agreement.low,
          .detections = agreement.detections,
          .is_raw = agreement.is_raw,
          .is_pooled = agreement.is_pooled};
}

verify::Measured Measurer::measure(ModelIndex receiver, std::span<const graph::Splice> splices,
                                   const std::optional<EarlyEnd>& early) {
  std::vector<ModelIndex> involved{receiver};
  for (const graph::Splice& splice : splices) {
    for (const graph::DonorLayer& layer : splice.donor_layers()) involved.push_back(layer.donor);
  }
  verify::Head head = session_.models[receiver].head;
  head.batchable = session_.set.batch(involved) > 1;
  const std::vector<ModelIndex> wanted{receiver};
  const graph::Assembly assembly = graph::assemble(session_.set.models, session_.set.groups, splices, wanted);
  const std::int64_t frames = frames_.front().size();
  capture::MergedPass pass(assembly, session_.set, frames_, frames, head.batch(), &values_);
  const verify::Forward merged = [&](std::span<const std::int64_t>) {
    return progress_.spend("forward", [&] { return pass.results(); });
  };
  const verify::Reference& own = reference(receiver);
  const std::vector<std::int64_t>& numbers = frames_.front().frames();
  const video::Playlist& videos = session_.playlist;
  verify::FrameList list(numbers, videos.has_several() ? videos.counts_of(numbers) : std::vector<std::int64_t>{});
  if (early && own.own_detections > 0)
    list.is_enough = [&](std::span<const verify::Detections> found) { return is_decided(found, own, *early); };
  try {
    return verify::measure(head, own, original(receiver), merged, list, progress_);
  } catch (const graph::ModelFailure& failure) {
    if (failure.scope() != graph::ModelFailure::Scope::kMerged) throw;
    // A model that raises an exception where its original does not keeps nothing.
    log::debug(head.name + ": " + failure.problem());
    verify::Measured nothing;
    nothing.fidelity = 0;
    nothing.per_video = list.per_video;
    if (!own.targets.empty()) nothing.found.resize(static_cast<std::size_t>(frames));
    return nothing;
  }
}

const verify::Reference& Measurer::reference(ModelIndex receiver) {
  const auto known = references_.find(receiver);
  if (known != references_.end()) return known->second;
  verify::Reference reference =
      verify::reference(session_.models[receiver].head, original(receiver), frames_.front().frames(), progress_);
  return references_.emplace(receiver, std::move(reference)).first->second;
}

verify::Forward Measurer::original(ModelIndex receiver) const {
  if (!options_.originals.empty()) return options_.originals[receiver];
  const session::Model& model = session_.models[receiver];
  return verify::prepared_forward(model.loaded, model.prepared, session_.set, frames_, model.group);
}

void Measurer::compute_ahead(std::vector<graph::Splice> splices) {
  if (values_.most_bytes() == 0 || splices.size() < 2) return;
  // One graph has a copy of the receiver per splice.
  std::vector<const graph::Prepared*> models = session_.set.models;
  std::vector<int> groups = session_.set.groups, copies, involved;
  for (graph::Splice& splice : splices) {
    const ModelIndex receiver = splice.receiver;
    involved.push_back(receiver);
    for (const graph::DonorLayer& layer : splice.donor_layers()) involved.push_back(layer.donor);
    copies.push_back(static_cast<ModelIndex>(models.size()));
    splice.receiver = copies.back();
    models.push_back(session_.set.models[receiver]);
    groups.push_back(session_.set.groups[receiver]);
  }
  const graph::Assembly assembly = graph::assemble(models, groups, splices, copies);
  progress_.begin("measure " + std::to_string(splices.size()) + " cuts: what they share", 0);
  try {
    progress_.spend("forward", [&] {
      capture::MergedPass(assembly, session_.set, frames_, frames_.front().size(), session_.set.batch(involved),
                          &values_)
          .fill_cache();
    });
  } catch (const graph::ModelFailure& failure) {
    if (failure.scope() != graph::ModelFailure::Scope::kMerged) throw;
    log::debug(failure.problem());  // measure() finds out which cut it is
  }
  progress_.end();
}

}  // namespace repsim::trial
