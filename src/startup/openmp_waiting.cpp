// Makes OpenMP's threads sleep soon after they run out of work.
//
// By default libgomp's threads wait in a busy loop of some milliseconds. Beside other programs they burn the time
// slices that the threads they wait for need: three commands at once then take eight times as long as one alone.
//
// libgomp asks for GOMP_SPINCOUNT once, in its constructor, before any code of the program runs. Setting the variable
// in main is too late, and starting the program a second time costs 0.1 s for 250 libraries. This file therefore
// defines getenv: the loader binds the calls of all libraries to the program's own definition, which answers that one
// question and passes all others on. The environment itself stays as the user gave it, so that child processes inherit
// nothing.
//
// A user's own setting of how threads wait is left alone. GNU C library only; elsewhere the file is empty.
#include "openmp_waiting.hpp"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

#ifdef __GLIBC__

namespace {

bool user_decides() {
  for (const char* variable : {"OMP_WAIT_POLICY", "KMP_BLOCKTIME", "KMP_LIBRARY"}) {
    if (::secure_getenv(variable) != nullptr) return true;
  }
  return false;
}

}  // namespace

/// Libraries call it before the program's constructors have run: it uses nothing that needs them.
extern "C" char* getenv(const char* name) noexcept {
  char* value = ::secure_getenv(name);  // the C library's getenv, in programs that are not setuid
  if (value != nullptr || std::strcmp(name, "GOMP_SPINCOUNT") != 0 || user_decides()) return value;
  return const_cast<char*>(repsim::startup::kSpinCount);
}

#endif
