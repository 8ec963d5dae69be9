#include "repsim/open_plan.hpp"

#include <algorithm>

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
  for (const report::PlanStream& stream : report::streams_of(plan)) {
    if (stream.videos.empty()) check_video(stream.video_path, stream.video_sha256, progress);
    for (const report::ListedVideo& video : stream.videos) check_video(video.path, video.sha256, progress);
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

std::vector<StreamVideos> stream_videos_of(const report::Plan& plan) {
  std::vector<StreamVideos> result;
  for (const report::PlanStream& stream : report::streams_of(plan)) result.push_back({videos_of(stream), {}});
  return result;
}

std::vector<OpenStream> open_streams(const session::Runtime& runtime, const report::Plan& plan,
                                     const std::vector<session::ModelSource>& models,
                                     const std::vector<StreamVideos>& videos, Progress& progress) {
  std::vector<OpenStream> opened;
  for (report::PlanStream& stream : report::streams_of(plan)) {
    const StreamVideos& of_stream = videos[opened.size()];
    session::SessionOptions options{models, of_stream.videos, of_stream.truth, {}};
    for (std::size_t i = 0; i < plan.models.size(); ++i) {
      if (std::count(stream.models.begin(), stream.models.end(), plan.models[i].name) > 0)
        options.members.push_back(static_cast<ModelIndex>(i));
    }
    options.sessions = videos.size();
    std::unique_ptr<session::Session> session =
        opened.empty() ? std::make_unique<session::Session>(runtime, options, progress)
                       : std::make_unique<session::Session>(*opened.front().session, options, progress);
    opened.push_back({std::move(stream), std::move(session)});
  }
  return opened;
}

std::size_t stream_of(const std::vector<OpenStream>& streams, ModelIndex model) {
  const auto found = std::find_if(streams.begin(), streams.end(),
                                  [&](const OpenStream& one) { return !one.session->is_guest(model); });
  return static_cast<std::size_t>(found - streams.begin());
}

}  // namespace repsim::rebuild
