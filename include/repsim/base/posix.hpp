#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "repsim/base/error.hpp"

namespace repsim {

/// Owner of a POSIX file descriptor: closes it on every way out.
class FileDescriptor {
 public:
  explicit FileDescriptor(int descriptor) : descriptor_(descriptor) {}
  ~FileDescriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;

  [[nodiscard]] bool valid() const { return descriptor_ >= 0; }
  [[nodiscard]] int get() const { return descriptor_; }
  /// Gives the descriptor up: the caller closes it.
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

/// open(2) with O_CLOEXEC, again after signals. Not valid when it failed: errno says why.
[[nodiscard]] FileDescriptor open_descriptor(const std::filesystem::path& path, int flags, unsigned mode = 0);

/// read(2), again after signals. @throws Error{kInput} naming the path
[[nodiscard]] std::size_t read_some(const FileDescriptor& file, char* out, std::size_t capacity,
                                    const std::filesystem::path& path);

/// Error{kInput}: "PATH: `problem`: what the system says", with a remedy where the reason has an obvious one.
/// @param number  value of errno
[[nodiscard]] Error system_error(const std::string& problem, const std::filesystem::path& path, int number);

/// Gives memory that was freed back to the system where the C library can: between long steps whose large blocks lie
/// among small ones that stay, what is free but not given back grows from step to step.
void release_free_memory();

}  // namespace repsim
