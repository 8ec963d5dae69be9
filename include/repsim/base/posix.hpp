#pragma once

#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>

#include "repsim/base/error.hpp"

namespace repsim {

/// Owns a POSIX file descriptor and closes it.
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
  /// Gives the descriptor up; the caller has to close it.
  [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

/// open(2) with O_CLOEXEC, repeated when a signal interrupts it. The result is not valid when open fails; errno says
/// why.
[[nodiscard]] FileDescriptor open_descriptor(const std::filesystem::path& path, int flags, unsigned mode = 0);

/// The path with "./" before it where it begins with a name: libraries take some names for more than files. Unlike
/// std::filesystem::absolute it needs no working directory, which may have been removed.
[[nodiscard]] std::filesystem::path rooted_path(const std::filesystem::path& path);

/// Opens a file to read it from its begin to its end. A pipe that the process inherited is taken too (a shell's
/// `<(...)`, /dev/stdin): it has somebody who writes. Nothing else can be waited for: a named pipe may never have a
/// writer, and a device may never end.
/// @throws Error{kInput} naming the path when it cannot be opened or is neither file nor such a pipe
[[nodiscard]] FileDescriptor open_file(const std::filesystem::path& path);

/// read(2), repeated when a signal interrupts it. @throws Error{kInput} naming the path when it fails
[[nodiscard]] std::size_t read_some(const FileDescriptor& file, char* out, std::size_t capacity,
                                    const std::filesystem::path& path);

/// An Error{kInput} "PATH: `problem`: message of the system", with a remedy where the reason has an obvious one.
/// @param number  value of errno
[[nodiscard]] Error system_error(const std::string& problem, const std::filesystem::path& path, int number);

/// Gives freed memory back to the system, where the C library can. Call it between long steps: where large freed blocks
/// lie among small ones that stay, the memory that the C library keeps grows from step to step.
void release_free_memory();

}  // namespace repsim
