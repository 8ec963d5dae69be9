#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace repsim {

namespace temporary {
class Folder;
}

/// Replaces the file at `path` by `bytes`. After any failure or crash the file is the old one or the new one, whole:
/// the function writes a temporary file beside it, then fsync, rename and fsync of the folder.
/// @throws Error{kInput} naming the path when it cannot be written (no permission, disk full, no regular file); the
///         temporary file is removed then
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);

/// Makes the content of a file durable that was written piece by piece, before it is moved into its place.
/// @param shown  the name in errors @throws Error{kInput} when the disk fails
void sync_file(const std::filesystem::path& path, const std::filesystem::path& shown);

/// Reads a whole file, or all that comes through an inherited pipe. @throws Error{kInput} naming the path, as
/// open_file() does
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
/// exception. What a killed process left in the hidden folder's place goes when the next one is made there.
class StagedDirectory {
 public:
  /// Checks, before any work, that `target` can be made. An empty folder may be used without `force`; missing parents
  /// are made. @throws Error{kInput} when it exists, is not empty and `force` is false (remedy: --force), when it
  /// exists and is no folder, or when it or a parent cannot be written.
  StagedDirectory(const std::filesystem::path& target, bool force);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  /// Path of a file inside the staging folder (write it with write_file_atomically). Not after commit().
  [[nodiscard]] std::filesystem::path path(std::string_view file) const;
  [[nodiscard]] const std::filesystem::path& target() const { return target_; }
  /// Moves the files to `target`: a new folder appears at once, whole. With force, files of the same names are
  /// replaced, others in `target` stay; after a failure the old files are back.
  /// @param last  the file by which people tell a finished folder: it comes last, and an old one goes first, so that a
  ///              process that is killed in between leaves no folder that looks finished
  /// @throws Error{kInput} when something else came to be there meanwhile, or the disk fails
  void commit(std::string_view last = {});

 private:
  void commit_new();
  void commit_into_existing(std::string_view last);

  std::filesystem::path target_;
  bool into_existing_;
  ParentFolders parents_;  ///< of a new target
  std::unique_ptr<temporary::Folder> staging_;
};

/// One file that appears whole, and whose place is checked before any work. Without commit() nothing is left.
class StagedFile {
 public:
  /// Missing parents are made. @throws Error{kInput} when the file exists and `force` is false (remedy: --force), when
  /// it is no regular file, or when its folder cannot be written.
  StagedFile(const std::filesystem::path& target, bool force);

  /// Where to write the file (with write_file_atomically).
  [[nodiscard]] std::filesystem::path path() const { return staged_.path(name_); }
  /// @throws Error{kInput} as StagedDirectory::commit does
  void commit();

 private:
  std::string name_;
  ParentFolders parents_;
  StagedDirectory staged_;  ///< the folder of the file, which is there by then
};

/// Removes what killed processes left in `folder`: hidden files and folders of this module that no process has locked.
/// Does nothing where the file system has no locks, and on network file systems not to what other machines made.
void remove_leftovers(const std::filesystem::path& folder);

/// Removes what this process has not committed. For a process that is about to end without destructors; it waits for a
/// commit that is under way.
void abandon_outputs();

}  // namespace repsim
