#include "repsim/base/path_pattern.hpp"

#include <glob.h>

#include <filesystem>

namespace repsim {

bool is_path_pattern(const std::string& path) {
  std::error_code failed;
  return path.find_first_of("*?[") != std::string::npos && !std::filesystem::exists(path, failed);
}

std::vector<std::string> paths_matching(const std::string& path) {
  if (!is_path_pattern(path)) return {path};
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(path.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return paths;
}

}  // namespace repsim
