#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "repsim/base/log.hpp"
#include "repsim/failure_text.hpp"
#include "repsim/model_failure.hpp"
#include "repsim/session.hpp"

namespace repsim::session {

/// Names of models that run on one frame at a time, whatever they take.
using SingleFrames = std::vector<std::string>;

/// Marks the models of these names, too.
inline std::vector<ModelSource> marked(std::vector<ModelSource> sources, const SingleFrames& names) {
  for (ModelSource& source : sources) {
    if (std::find(names.begin(), names.end(), source.spec.name) != names.end()) source.frame_by_frame = true;
  }
  return sources;
}

/// Runs a job. Whether a model takes several frames at once is tried on example pictures. If real frames then show that
/// it does not (the lists that it makes of two pictures have different lengths, or memory ends), the job starts again,
/// and gives this model one frame at a time.
/// @param job  gets the SingleFrames
template <typename Job>
auto with_single_frames(const Job& job) {
  SingleFrames names;
  for (;;) {
    try {
      return job(names);
    } catch (const graph::ModelFailure& failure) {
      const bool known = std::find(names.begin(), names.end(), failure.model()) != names.end();
      if (failure.scope() != graph::ModelFailure::Scope::kBatch || known) throw;
      log::info(failure.model() + " fails on several frames at once (" + model::own_words(failure.text()) +
                "): starting again, with one frame at a time");
      names.push_back(failure.model());
    }
  }
}

}  // namespace repsim::session
