#include "repsim/cached_captures.hpp"

#include "job.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "signatures.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

bool is_cached(const session::ModelSource& model, const capture::SignatureCache& cache, const video::Playlist& videos,
               const std::vector<std::int64_t>& frames, at::Device device) {
  try {
    const model::Loaded loaded = session::load(model);
    std::error_code failed;
    return fs::is_regular_file(cache.path_of(source_of(loaded, videos, frames, device)), failed);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    log::info(std::string(error.what()));
    return false;
  }
}

}  // namespace

std::vector<bool> are_cached(const Settings& settings, Progress& progress) {
  std::vector<bool> found(settings.models.size(), false);
  std::error_code failed;
  if (settings.cache.empty() || !fs::is_directory(settings.cache, failed)) return found;
  const session::Runtime runtime(runtime_options(settings));
  const capture::SignatureCache cache(settings.cache);
  const video::Playlist videos = video::open_playlist(config::only_stream(settings, "a capture").videos, progress);
  const std::vector<std::int64_t> frames = video::sample_frames(videos, settings.frames, settings.holdout).calibration;
  const std::vector<session::ModelSource> sources = model_sources(settings);
  progress.begin("look into the cache", static_cast<std::int64_t>(sources.size()));
  for (std::size_t i = 0; i < sources.size(); ++i) {
    found[i] = is_cached(sources[i], cache, videos, frames, runtime.device());
    progress.step();
  }
  progress.end();
  return found;
}

}  // namespace repsim::pipeline
