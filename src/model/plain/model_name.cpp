#include "repsim/model_name.hpp"

#include <filesystem>

namespace repsim::model {

std::string name_of(const std::string& path) {
  const std::filesystem::path file(path);
  return (file.has_filename() ? file : file.parent_path()).stem().string();  // "models/" is a mistake that has a name
}

}  // namespace repsim::model
