// Refuses to run in a working directory that was removed.
//
// MKL, which LibTorch brings, ends the process there while it is loaded, before main, with a message about a library.
// What is in .preinit_array of a program runs before the constructors of all libraries; only the C library can be used.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <string_view>

namespace {

void check_working_directory(int /*argc*/, char** /*argv*/, char** /*environment*/) {
  std::array<char, PATH_MAX> path;
  if (::getcwd(path.data(), path.size()) != nullptr || errno != ENOENT) return;
  constexpr std::string_view kMessage =
      "repsim: error: the working directory was removed\n  remedy: cd to a folder that is there\n";
  constexpr int kBadInput = 3;
  if (::write(STDERR_FILENO, kMessage.data(), kMessage.size()) < 0) ::_exit(kBadInput);  // nobody reads it
  ::_exit(kBadInput);
}

#ifdef __ELF__
__attribute__((section(".preinit_array"), used)) void (*const kCheck)(int, char**, char**) = check_working_directory;
#endif

}  // namespace
