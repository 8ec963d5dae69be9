#include "repsim/base/posix.hpp"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <cerrno>
#include <system_error>

namespace repsim {
namespace {

const char* remedy_for(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
      return "free some space, or choose another place";
    case EACCES:
    case EPERM:
    case EROFS:
      return "choose a place that you have access to";
    case ENOENT:
      return "check the spelling of the path";
    case ENOTDIR:
      return "a part of the path is no folder: choose another place";
    default:
      return "";
  }
}

}  // namespace

FileDescriptor open_descriptor(const std::filesystem::path& path, int flags, unsigned mode) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return FileDescriptor(descriptor);
}

std::size_t read_some(const FileDescriptor& file, char* out, std::size_t capacity, const std::filesystem::path& path) {
  while (true) {
    const ::ssize_t count = ::read(file.get(), out, capacity);
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) throw system_error("cannot be read", path, errno);
  }
}

Error system_error(const std::string& problem, const std::filesystem::path& path, int number) {
  return input_error(problem + ": " + std::system_category().message(number), path.string(), remedy_for(number));
}

void release_free_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace repsim
