#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include <unistd.h>

#include "repsim/base/error.hpp"

/// The head of a target's only function, which gets `data` and `size`. libFuzzer wants the same name in every program;
/// the program of the short run holds all targets.
#ifdef REPSIM_LIBFUZZER
#define REPSIM_FUZZ_TARGET(name) extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
#else
#define REPSIM_FUZZ_TARGET(name) extern "C" int repsim_fuzz_##name(const std::uint8_t* data, std::size_t size)
#endif

/// What fuzz targets have in common. A reader may refuse any bytes with an Error that users see; everything else that
/// it throws, and every finding of a sanitizer, ends the run.
namespace repsim::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the run where a property does not hold.
inline void demand(bool holds) {
  if (!holds) __builtin_trap();
}

/// Runs a reader. An Error of kind kInternal would be a mistake of ours: it is not caught.
template <typename Read>
int accept_errors(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) throw;
    if (error.problem().empty()) throw;
  }
  return 0;
}

/// A file of this process with these bytes, for readers that take a path.
inline std::string file_with(std::string_view bytes) {
  static const std::string path = "/dev/shm/repsim-fuzz-" + std::to_string(getpid());
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

}  // namespace repsim::fuzz
