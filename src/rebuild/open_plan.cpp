#include "repsim/open_plan.hpp"

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"

namespace repsim::rebuild {

namespace fs = std::filesystem;

namespace {

Error missing(const std::string& path, const std::string& what) {
  return input_error("the " + what + " of this plan is not there", path, "put it back, or run repsim plan again");
}

bool is_missing(const std::string& path) {
  std::error_code failed;
  return fs::status(path, failed).type() == fs::file_type::not_found;
}

void check_hash(const std::string& path, const std::string& found, const std::string& expected,
                const std::string& what) {
  if (found == expected) return;
  throw input_error("the " + what + " is not the one of this plan (its SHA-256 differs)", path,
                    "run repsim plan again");
}

void check_video(const std::string& path, const std::string& expected, Progress& progress) {
  std::string found;
  try {
    found = video::sha256_of_video(path, progress);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInput && is_missing(path)) throw missing(path, "video");
    throw;
  }
  check_hash(path, found, expected, "video");
}

}  // namespace

void check_unchanged(const std::string& path, const std::string& expected, const std::string& what) {
  if (is_missing(path)) throw missing(path, what);
  check_hash(path, sha256_of_file(path), expected, what);
}

void check_videos_unchanged(const report::Plan& plan, Progress& progress) {
  if (plan.videos.empty()) return check_video(plan.video_path, plan.video_sha256, progress);
  for (const report::ListedVideo& video : plan.videos) check_video(video.path, video.sha256, progress);
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
