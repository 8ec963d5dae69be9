#include "repsim/open_plan.hpp"

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"

namespace repsim::rebuild {

namespace fs = std::filesystem;

void check_unchanged(const std::string& path, const std::string& expected, const std::string& what) {
  std::error_code failed;
  if (fs::status(path, failed).type() == fs::file_type::not_found) {
    throw input_error("the " + what + " of this plan is not there", path, "put it back, or run repsim plan again");
  }
  if (sha256_of_file(path) != expected) {
    throw input_error("the " + what + " is not the one of this plan (its SHA-256 differs)", path,
                      "run repsim plan again");
  }
}

std::vector<session::ModelSource> models_of(const report::Plan& plan) {
  std::vector<session::ModelSource> models;
  for (const report::ModelEntry& entry : plan.models) {
    check_unchanged(entry.path, entry.sha256, "model '" + entry.name + "'");
    models.push_back({{entry.name, entry.path, entry.input, entry.output}, entry.input_source, entry.frame_by_frame});
  }
  return models;
}

}  // namespace repsim::rebuild
