#include "repsim/frame_runs.hpp"

#include <algorithm>

#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"

namespace repsim::capture {
namespace {

using graph::ModelFailure;

/// The text of a failure, and a remedy where it has one that does not depend on the frame.
struct FailureText {
  std::string text, remedy;
};

/// @throws the error itself if it is no failure of a model, or is explained already
FailureText text_of(const std::exception& error) {
  // Memory that runs out says nothing of the model: what does not fit now may fit in the next run.
  rethrow_out_of_memory(error);
  if (const auto* failure = dynamic_cast<const ModelFailure*>(&error)) {
    if (failure->scope() != ModelFailure::Scope::kRun) throw;
    return {failure->text(), {}};
  }
  if (const auto* own = dynamic_cast<const Error*>(&error)) {
    if (own->kind() != ErrorKind::kInput) throw;
    return {own->problem(), own->remedy()};
  }
  log::debug(error.what());
  return {error.what(), {}};
}

}  // namespace

void explain(const FrameRun& of, std::span<const std::int64_t> positions, const std::exception& error,
             const std::function<void(std::span<const std::int64_t>)>& run_again) {
  const FailureText failure = text_of(error);
  if (positions.size() == 1)
    throw graph::failure_on_frame(of.model, of.frames[positions.front()], failure.text, failure.remedy);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::span<const std::int64_t> one = positions.subspan(i, 1);
    try {
      run_again(one);
    } catch (const std::exception& alone) {
      explain(of, one, alone, run_again);
    }
  }
  throw graph::failure_in_batch(of.model, failure.text);
}

void explain_merged(const ModelSet& set, const Stores& stores, std::span<const std::int64_t> positions,
                    const ModelFailure& failure) {
  for (std::size_t i = 0; i < set.models.size(); ++i) {
    const graph::Prepared& model = *set.models[i];
    if (!model.rewritable) continue;
    const int group = set.groups[i];
    const graph::Runner runner(*model.graph, model.parameters, {}, /*keep_output=*/true, model.device);
    // A model that never runs several frames at once cannot have failed for that reason.
    const std::size_t most = model.batchable ? positions.size() : 1;
    for (std::size_t begin = 0; begin < positions.size(); begin += most) {
      on_frames(
          {model.name, stores[group].frames()}, positions.subspan(begin, std::min(most, positions.size() - begin)),
          [&](std::span<const std::int64_t> some) { return runner.run(group_inputs(set, stores, {&group, 1}, some)); });
    }
  }
  throw graph::failure_of_merged(stores.front().frames()[positions.front()], failure.text());
}

}  // namespace repsim::capture
