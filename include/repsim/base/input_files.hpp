#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace repsim {

/// A file, or a folder of files, that a command reads.
struct InputFile {
  std::string path;
  std::string what;  ///< "the video", "the plan"
};

/// Whether two paths name one file, be it there or not: through links, or spelled differently.
[[nodiscard]] bool is_same_file(const std::filesystem::path& left, const std::filesystem::path& right);

/// Checks, before any work, that an output replaces nothing that the command reads: --force is for older outputs.
/// @param flag  that names the output @throws Error{kUsage}
void check_replaces_no_input(const std::filesystem::path& output, std::span<const InputFile> inputs,
                             const std::string& flag);

}  // namespace repsim
