#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace repsim {

/// Replaces the file at `path` by `bytes`. After any failure or crash the file is the old one or the new one, whole:
/// the function writes a temporary file beside it, then fsync, rename and fsync of the folder.
/// @throws Error{kInput} naming the path when it cannot be written (no permission, disk full, no regular file); the
///         temporary file is removed then
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Reads a whole file. @throws Error{kInput} naming the path.
[[nodiscard]] std::string read_file(const std::filesystem::path& path);

/// The folders above a path, made where they are missing. The destructor removes those that this object made, as far as
/// they are empty, unless keep() was called: a run that fails leaves none behind.
class ParentFolders {
 public:
  /// @throws Error{kInput} naming the folder that cannot be made
  explicit ParentFolders(const std::filesystem::path& path);
  ~ParentFolders() { remove(); }
  ParentFolders(const ParentFolders&) = delete;
  ParentFolders& operator=(const ParentFolders&) = delete;
  void keep() { made_.clear(); }

 private:
  void remove();

  std::vector<std::filesystem::path> made_;  ///< outermost first
};

/// A folder whose files appear together. Files are written to a hidden folder, and commit() moves them into place. The
/// hidden folder is a sibling of `target`, or inside it where `target` exists (it may be a mount point, and a rename
/// works only within one file system). Without commit() the destructor removes all files, for example after an
/// exception.
class StagedDirectory {
 public:
  /// Checks, before any work, that `target` can be made. An empty folder may be used without `force`; missing parents
  /// are made. @throws Error{kInput} when it exists, is not empty and `force` is false (remedy: --force), when it
  /// exists and is no folder, or when it or a parent cannot be written.
  StagedDirectory(std::filesystem::path target, bool force);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  /// Path of a file inside the staging folder (write it with write_file_atomically).
  [[nodiscard]] std::filesystem::path path(std::string_view file) const { return staging_ / file; }
  [[nodiscard]] const std::filesystem::path& target() const { return target_; }
  /// Moves the files to `target`: a new folder appears at once, whole. With force, files of the same names are replaced
  /// one by one, others in `target` stay. @throws Error{kInput} when something else came to be there meanwhile
  void commit();

 private:
  std::filesystem::path target_;
  bool into_existing_;
  ParentFolders parents_;  ///< of a new target
  std::filesystem::path staging_;
  bool committed_ = false;
};

}  // namespace repsim
