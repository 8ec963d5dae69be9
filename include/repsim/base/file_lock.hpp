#pragma once

#include <filesystem>
#include <optional>
#include <utility>

namespace repsim {

/// A file that one process at a time may hold, so that processes which share a folder take turns. The lock (flock) ends
/// with the process, however that ends. The destructor removes the file.
class FileLock {
 public:
  /// Makes the file where it is missing, and takes its lock without waiting.
  /// @return nothing where another process, or another object of this one, holds it. Where the file cannot be made or
  ///         the file system has no locks, an object that holds nothing: the caller has to be right without a lock, too
  [[nodiscard]] static std::optional<FileLock> try_take(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  /// False where there is no lock to be had.
  [[nodiscard]] bool is_held() const { return file_ >= 0; }

 private:
  FileLock(std::filesystem::path path, int file);

  std::filesystem::path path_;
  int file_;  ///< descriptor; -1: nothing is held
};

}  // namespace repsim
