#pragma once

#include <string>
#include <vector>

#include "search.hpp"

namespace repsim::pipeline {

/// The text of repsim.json inside a bundle with these shares.
std::string manifest_of(const Workspace& work, const std::vector<FittedShare>& shares);

}  // namespace repsim::pipeline
