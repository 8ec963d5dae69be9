#pragma once

#include <span>
#include <string>

#include "repsim/trial.hpp"

namespace repsim::pipeline {

/// The text of repsim.json inside a bundle with these shares.
std::string manifest_of(const session::Session& session, std::span<const trial::FittedShare> shares);

}  // namespace repsim::pipeline
