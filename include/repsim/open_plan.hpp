#pragma once

#include <string>
#include <vector>

#include "repsim/recorded_plan.hpp"
#include "repsim/session.hpp"

/// A plan that lies on disk, and what it was made from: what verify and bundle have in common.
namespace repsim::rebuild {

/// @param what  "bundle", "model 'front'": names the file in errors
/// @throws Error{kInput} where the file is missing or has another SHA-256
void check_unchanged(const std::string& path, const std::string& expected, const std::string& what);

/// Checks the plan's videos; each may be a folder of pictures or a numbered sequence of them.
/// @throws Error{kInput} as check_unchanged() does; Error{kInterrupted}
void check_videos_unchanged(const report::Plan& plan, Progress& progress);

/// The plan's models with the specs that the plan resolved; checks that each is the model of the plan.
/// @throws Error{kInput}
[[nodiscard]] std::vector<session::ModelSource> models_of(const report::Plan& plan);

}  // namespace repsim::rebuild
