#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "repsim/capture.hpp"
#include "repsim/model_failure.hpp"

/// Running models over stored frames so that a failure names the model and the frame.
namespace repsim::capture {

/// A model, and the frames that it runs on.
struct FrameRun {
  const std::string& model;                 ///< name
  const std::vector<std::int64_t>& frames;  ///< per position the number in the playlist
};

/// Finds out on which frame a model fails, by running the frames one by one. For use in a handler of `error`.
/// @param run_again  runs the frames at some positions
/// @throws graph::ModelFailure of scope kFrame or kBatch; `error` itself if it is no failure of a model, or names the
///         frame already
[[noreturn]] void explain(const FrameRun& of, std::span<const std::int64_t> positions, const std::exception& error,
                          const std::function<void(std::span<const std::int64_t>)>& run_again);

/// What `run` returns for the frames at `positions`. `run` may run again for some of them if it fails.
/// @throws as explain() does
template <typename Run>
auto on_frames(const FrameRun& of, std::span<const std::int64_t> positions, const Run& run) {
  try {
    return run(positions);
  } catch (const std::exception& error) {
    explain(of, positions, error, [&](std::span<const std::int64_t> some) { (void)run(some); });
  }
}

/// Finds out which model failed in a merged graph, by running the models alone.
/// @param positions  of the run that failed
/// @throws graph::ModelFailure of scope kFrame, kBatch, or, if no model fails alone, kMerged
[[noreturn]] void explain_merged(const ModelSet& set, const Stores& stores, std::span<const std::int64_t> positions,
                                 const graph::ModelFailure& failure);

/// What `run`, which runs a merged graph on the frames at `positions`, returns. @throws as explain_merged() does
template <typename Run>
auto on_merged_frames(const ModelSet& set, const Stores& stores, std::span<const std::int64_t> positions,
                      const Run& run) {
  try {
    return run();
  } catch (const graph::ModelFailure& failure) {
    if (failure.scope() != graph::ModelFailure::Scope::kRun) throw;
    explain_merged(set, stores, positions, failure);
  }
}

}  // namespace repsim::capture
