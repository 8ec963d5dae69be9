#pragma once

#include <string_view>

namespace repsim::model {

/// Whether a pickle consists of whole operations, ends where one says so, and remembers values under small numbers, up
/// to the first operation that Torch's reader does not know. Torch reads on behind the end of a pickle that is cut in a
/// name, and makes room for all numbers up to the one under which a value is remembered. Cost: one pass over the bytes.
[[nodiscard]] bool is_whole_pickle(std::string_view pickle);

}  // namespace repsim::model
