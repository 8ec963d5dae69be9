#pragma once

#include "repsim/program.hpp"

namespace repsim::test {

/// Bytes of all parameters of a program.
inline std::int64_t parameter_bytes(const graph::Program& program) {
  std::int64_t total = 0;
  for (const graph::Parameter& parameter : program.parameters) total += parameter.bytes;
  return total;
}

}  // namespace repsim::test
