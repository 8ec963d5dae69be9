#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

namespace repsim::test {

/// Compares with tests/report/golden/<name>. REPSIM_UPDATE_GOLDEN=1 writes the file instead: read the diff before
/// committing.
inline void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(REPSIM_SOURCE_DIR) + "/tests/report/golden/" + name;
  if (std::getenv("REPSIM_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << text;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, expected) << path;
}

}  // namespace repsim::test
