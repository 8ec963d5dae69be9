#pragma once

namespace repsim {

// What an index counts. -1 stands for "none" where the comment of a field says so.
using ModelIndex = int;  ///< a model, in the order of the plan
using LayerIndex = int;  ///< an entry of graph::Program::layers
using OpIndex = int;     ///< an entry of graph::Program::ops

}  // namespace repsim
