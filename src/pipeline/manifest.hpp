#pragma once

#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/model.hpp"
#include "search.hpp"

namespace repsim::pipeline {

/// What of other libraries than Torch is needed: [{"library": file name, "operators": [...]}].
Json libraries_json(const std::vector<model::OperatorLibrary>& libraries);

/// The text of repsim.json inside a bundle with these shares.
std::string manifest_of(const Workspace& work, const std::vector<FittedShare>& shares);

}  // namespace repsim::pipeline
