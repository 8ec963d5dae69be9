#pragma once

#include <span>
#include <string>

#include "repsim/trial.hpp"

/// What a bundle says about itself.
namespace repsim::rebuild {

/// The text of repsim.json inside a bundle with these shares.
[[nodiscard]] std::string manifest_of(const session::Session& session, std::span<const trial::FittedShare> shares);

}  // namespace repsim::rebuild
