#pragma once

#include <filesystem>

/// Folders and files of tasks, with errors that name them.
namespace repsim::sweep {

/// Makes a folder and those above it. @throws Error{kInput} when it cannot be made
void make_folder(const std::filesystem::path& folder);

/// Removes a file or a whole folder, if it is there. @throws Error{kInput} when it cannot be removed
void remove_path(const std::filesystem::path& path);

}  // namespace repsim::sweep
