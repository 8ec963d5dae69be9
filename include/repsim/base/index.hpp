#pragma once

namespace repsim {

// What an index counts, from 0. The default -1 of a member means "not set". Where a member may stay -1, its comment
// says what that means.
using ModelIndex = int;  ///< a model, in the order of the plan
using LayerIndex = int;  ///< an entry of graph::Program::layers
using OpIndex = int;     ///< an entry of graph::Program::ops

}  // namespace repsim
