#pragma once

#include "repsim/pipeline.hpp"
#include "workspace.hpp"

/// The checks with which the jobs on models and a video begin.
namespace repsim::pipeline {

/// All that can be checked before the first model is loaded. Loads the libraries of operators.
/// @throws Error
void check_files(const Settings& settings);

/// @throws Error{kInput} when the user forces a direction of a model that cannot share
void check_directions(const Settings& settings, const Workspace& work);

}  // namespace repsim::pipeline
