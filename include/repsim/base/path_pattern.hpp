#pragma once

#include <string>
#include <vector>

namespace repsim {

/// Whether a path is a pattern of the shell (*, ?, [abc]) rather than the path of something that is there.
[[nodiscard]] bool is_path_pattern(const std::string& path);

/// What a pattern names, sorted by name; the path itself where it is no pattern. Empty when nothing matches.
[[nodiscard]] std::vector<std::string> paths_matching(const std::string& path);

}  // namespace repsim
