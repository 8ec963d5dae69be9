#include "folders.hpp"

#include "repsim/base/posix.hpp"
#include "repsim/sweep.hpp"

namespace repsim::sweep {

namespace fs = std::filesystem;

fs::path absolute_path(const fs::path& path) {
  std::error_code failed;
  fs::path absolute = path.empty() ? fs::current_path(failed) : fs::absolute(path, failed);
  if (failed) throw system_error("the working directory is not known", path, failed.value());
  return absolute;
}

void make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) throw system_error("the folder cannot be made", folder, failed.value());
}

void remove_path(const fs::path& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  if (failed) throw system_error("it cannot be removed", path, failed.value());
}

}  // namespace repsim::sweep
