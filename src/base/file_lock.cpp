#include "repsim/base/file_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "repsim/base/posix.hpp"
#include "temporary.hpp"

namespace repsim {

FileLock::FileLock(std::filesystem::path path, int file) : path_(std::move(path)), file_(file) {
  if (is_held()) temporary::remember(path_);
}

FileLock::~FileLock() {
  if (!is_held()) return;
  ::unlink(path_.c_str());  // before the lock ends: nobody else holds a file of this name
  temporary::forget(path_);
  ::close(file_);
}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

std::optional<FileLock> FileLock::try_take(const std::filesystem::path& path) {
  // Some file systems give an open file and its name other numbers: then no lock can be trusted.
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    FileDescriptor file = open_descriptor(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (!file.valid()) return FileLock(path, -1);
    switch (temporary::lock(file)) {
      case temporary::Lock::kHeldByOthers:
        return std::nullopt;
      case temporary::Lock::kNotSupported:
        ::unlink(path.c_str());
        return FileLock(path, -1);
      case temporary::Lock::kTaken:
        break;
    }
    // The holder before may have removed the file between the two calls: then the name is free, or another file's.
    if (temporary::is_still_named(file, path)) return FileLock(path, file.release());
  }
  return FileLock(path, -1);
}

}  // namespace repsim
