#pragma once

#include "repsim/session.hpp"

namespace repsim::pipeline {

using session::MemoryBudget;
using Workspace = session::Session;

}  // namespace repsim::pipeline
