#include "repsim/base/posix.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
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
    case ENAMETOOLONG:
      return "a shorter name or path";
    case ELOOP:
      return "the path has links that lead in a circle: name the file itself";
    case EFBIG:
      return "raise the limit on the size of files (ulimit -f)";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files (ulimit -n)";
    case EAGAIN:
    case ENOMEM:
      return "raise the limits on memory and processes (ulimit -v, -u), or use a machine that has more";
    case EIO:
      return "check the disk and its connection (dmesg), or choose another place";
    default:
      return "";
  }
}

/// True for a pipe without a name, which some other program holds open.
bool is_inherited_pipe(const FileDescriptor& file) {
  struct statfs system = {};
  return ::fstatfs(file.get(), &system) == 0 && static_cast<long>(system.f_type) == static_cast<long>(PIPEFS_MAGIC);
}

}  // namespace

FileDescriptor open_descriptor(const std::filesystem::path& path, int flags, unsigned mode) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return FileDescriptor(descriptor);
}

std::filesystem::path rooted_path(const std::filesystem::path& path) {
  return path.is_absolute() ? path : std::filesystem::path(".") / path;
}

FileDescriptor open_file(const std::filesystem::path& path) {
  // Without O_NONBLOCK, open waits for somebody who writes into a named pipe.
  FileDescriptor file = open_descriptor(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  struct stat status = {};
  const bool is_socket = !file.valid() && errno == ENXIO;
  if (!is_socket && (!file.valid() || ::fstat(file.get(), &status) != 0))
    throw system_error("cannot be read", path, errno);
  if (!is_socket && S_ISREG(status.st_mode)) return file;
  if (!is_socket && S_ISDIR(status.st_mode)) throw system_error("cannot be read", path, EISDIR);
  if (is_socket || !S_ISFIFO(status.st_mode) || !is_inherited_pipe(file))
    throw input_error("is no regular file", path.string(), "name a file");
  const int flags = ::fcntl(file.get(), F_GETFL);
  if (flags < 0 || ::fcntl(file.get(), F_SETFL, flags & ~O_NONBLOCK) != 0)
    throw system_error("cannot be read", path, errno);
  return file;
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
