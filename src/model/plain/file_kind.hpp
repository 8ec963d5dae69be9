#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repsim/failure_text.hpp"

namespace repsim::model {

/// How many bytes of a file's beginning kind_of_file() looks at.
inline constexpr std::size_t kKindBytes = 512;

/// What a file is that does not begin like a TorchScript archive, and what to do with it. Pure function of its first
/// bytes.
/// @param begin  the first kKindBytes bytes, or all if there are fewer
[[nodiscard]] Advice kind_of_file(std::string_view begin, const std::string& path);

/// What a zip archive without TorchScript code is.
/// @param records  names, without the archive's root folder
/// @param pickled  the content of the record data.pkl; empty if there is none
[[nodiscard]] Advice kind_of_archive(const std::vector<std::string>& records, std::string_view pickled,
                                     const std::string& path);

}  // namespace repsim::model
