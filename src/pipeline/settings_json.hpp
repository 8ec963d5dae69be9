#pragma once

#include "repsim/pipeline.hpp"

namespace repsim::pipeline {

/// The settings that decide a plan beside its models and video, laid out as a config file.
Json settings_to_json(const Settings& settings);

}  // namespace repsim::pipeline
