#pragma once

#include <span>
#include <string>

#include "repsim/bundle.hpp"
#include "repsim/trial.hpp"

/// What a bundle says about itself.
namespace repsim::rebuild {

/// The text of repsim.json inside a bundle with these shares.
/// @param streams  as bundle::write() takes them
[[nodiscard]] std::string manifest_of(const session::Session& session, std::span<const trial::FittedShare> shares,
                                      std::span<const bundle::StreamMethod> streams = {});

}  // namespace repsim::rebuild
