#pragma once

#include <cstdint>
#include <string_view>

namespace repsim::model {

/// How deep Torch's parser may have to go: it calls itself for every bracket, operator and block inside another one,
/// and a thread's stack ends. Torch itself breaks expressions at 120 characters into statements, so what it writes
/// stays far below.
constexpr std::int64_t kMostCodeNesting = 500;

/// The largest number of brackets, operators and blocks in TorchScript code that may lie inside one another: more than
/// there are in some places (operators may stand side by side), never less. Cost: one pass over the text.
[[nodiscard]] std::int64_t code_nesting(std::string_view code);

}  // namespace repsim::model
