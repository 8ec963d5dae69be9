#include <algorithm>
#include <optional>
#include <utility>

#include "job.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/shards.hpp"
#include "signatures.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

/// A model that has to be captured: opened a second time when its turn comes, so that one is in memory at a time.
struct Missing {
  std::size_t index = 0;
  capture::SignatureOrigin source;
  model::ModelSpec spec;          ///< its input is resolved
  std::optional<FileLock> claim;  ///< until its signatures are kept
};

/// Claims models that have to be captured. Those that another run captured meanwhile leave `missing`.
void claim_missing(std::vector<Missing>& missing, const std::optional<capture::SignatureCache>& cache,
                   std::vector<Captured>& result, Progress& progress) {
  if (!cache) return;
  // All processes claim in the same order: so none waits for one that waits for it.
  std::sort(missing.begin(), missing.end(), [&](const Missing& a, const Missing& b) {
    return std::pair(digest(a.source), a.index) < std::pair(digest(b.source), b.index);
  });
  std::vector<Missing> left;
  for (Missing& one : missing) {
    const bool again = !left.empty() && left.back().source == one.source;  // a model that is named twice
    if (!again) one.claim = claim_signatures(cache, one.source, one.spec.name, progress);
    if (auto found = find_signatures(cache, one.source, one.spec.name)) {
      result[one.index] = std::move(*found);
    } else {
      left.push_back(std::move(one));
    }
  }
  missing = std::move(left);
  std::sort(missing.begin(), missing.end(), [](const Missing& a, const Missing& b) { return a.index < b.index; });
}

std::vector<video::FrameStore> decode_for(const std::vector<Missing>& missing, std::vector<model::InputSpec>& specs,
                                          const std::vector<std::int64_t>& frames, const video::Playlist& videos,
                                          Progress& progress) {
  std::vector<video::Request> requests;
  for (const Missing& one : missing) {
    if (std::find(specs.begin(), specs.end(), *one.spec.input) != specs.end()) continue;
    specs.push_back(*one.spec.input);
    requests.push_back({frames, specs.back(), video::Perturbation::kNone});
  }
  if (requests.empty()) return {};
  return video::decode(videos, requests, progress);
}

/// The frames to decode for a capture, and those of them that it takes.
struct CapturePlan {
  std::vector<std::int64_t> frames;  ///< indices in the video, ascending
  capture::CaptureFrames taken;
};

/// @param calibration  frames of the whole capture
CapturePlan plan_capture(const std::vector<std::int64_t>& calibration, const std::optional<capture::Shard>& shard) {
  const auto count = static_cast<std::int64_t>(calibration.size());
  if (!shard) return {calibration, capture::capture_frames(count)};
  const std::int64_t minibatches = count / video::kMinibatchFrames;
  if (shard->count > minibatches) {
    throw Error(ErrorKind::kUsage,
                std::to_string(count) + " frames are " + std::to_string(minibatches) +
                    " minibatches of 16, too few for " + std::to_string(shard->count) + " shards",
                "--shard", "at most " + std::to_string(minibatches) + " shards, or more --frames");
  }
  capture::ShardFrames part = capture::frames_of_shard(*shard, count);
  CapturePlan plan{{}, std::move(part.frames)};
  for (const std::int64_t position : part.stored) plan.frames.push_back(calibration[position]);
  return plan;
}

std::vector<Captured> capture(const Settings& settings, const std::optional<capture::Shard>& shard,
                              const session::SingleFrames& single, Progress& progress) {
  config::check_to_capture(settings);
  const session::Runtime runtime(runtime_options(settings));
  const config::Stream stream = config::only_stream(settings, "repsim capture, repsim similarity");
  session::check_files({settings.libraries, stream.videos, {}});
  const std::vector<session::ModelSource> sources = session::marked(model_sources(settings), single);
  runtime.memory_limit().check_files(sources, session::MemoryLimit::AtOnce::kOne);
  std::optional<capture::SignatureCache> cache;
  if (!shard) cache = open_cache(settings);
  const video::Playlist videos = video::open_playlist(stream.videos, progress);
  const std::vector<std::int64_t> frames = video::sample_frames(videos, settings.frames, settings.holdout).calibration;
  const CapturePlan plan = plan_capture(frames, shard);

  std::vector<Captured> result(settings.models.size());
  std::vector<Missing> missing;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const model::Loaded loaded = session::load(sources[i]);
    const capture::SignatureOrigin source = source_of(loaded, videos, frames, runtime.device());
    if (auto found = find_signatures(cache, source, loaded.spec.name)) {
      result[i] = std::move(*found);
    } else {
      missing.push_back({i, source, loaded.spec, std::nullopt});
    }
  }
  claim_missing(missing, cache, result, progress);
  std::vector<model::InputSpec> specs;
  const std::vector<video::FrameStore> stores = decode_for(missing, specs, plan.frames, videos, progress);
  for (Missing& one : missing) {
    const model::Loaded loaded = session::load(sources[one.index]);
    const graph::Prepared prepared = session::prepare(loaded, runtime.device());
    const std::vector<const graph::Prepared*> alone{&prepared};
    const session::MemoryBudget memory_budget = runtime.memory_limit().memory_budget(alone);
    const auto store = std::find(specs.begin(), specs.end(), *loaded.spec.input) - specs.begin();
    result[one.index] = capture_signatures(
        {loaded, prepared, one.source, videos.path(), stores[store], plan.taken, memory_budget.rows, shard}, cache,
        progress);
    one.claim.reset();
  }
  runtime.memory_limit().judge();
  return result;
}

std::vector<Captured> capture(const Settings& settings, const std::optional<capture::Shard>& shard,
                              Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return capture(settings, shard, single, progress); });
}

/// Captures the only model of the settings, and writes the file unless `out` is empty.
Captured capture_one(const Settings& settings, const std::optional<capture::Shard>& shard, const fs::path& out,
                     bool force, Progress& progress) {
  std::optional<StagedFile> staged;
  if (!out.empty()) {
    check_replaces_no_input(out, config::input_files_of(settings), "--out");
    staged.emplace(out, force);
  }
  Captured captured = std::move(capture(settings, shard, progress).at(0));
  if (captured.origin == "none") {
    throw input_error("the model has no layers that could be captured: it " + captured.opaque_reason,
                      settings.models.at(0).path);
  }
  if (staged) {
    write_file_atomically(staged->path(), capture::to_bytes(captured.file));
    staged->commit();
  }
  return captured;
}

}  // namespace

std::vector<Captured> capture(const Settings& settings, Progress& progress) {
  return capture(settings, std::nullopt, progress);
}

Captured capture_to_file(const Settings& settings, const fs::path& out, bool force, Progress& progress) {
  return capture_one(settings, std::nullopt, out, force, progress);
}

Captured capture_part_to_file(const Settings& settings, const capture::Shard& shard, const fs::path& out, bool force,
                              Progress& progress) {
  return capture_one(settings, shard, out, force, progress);
}

capture::SignatureFile merge_parts(const std::vector<std::string>& parts, const std::string& cache, const fs::path& out,
                                   bool force) {
  std::optional<StagedFile> staged;
  if (!out.empty()) staged.emplace(out, force);
  std::vector<capture::NamedPart> read;
  for (const std::string& part : parts) read.push_back({part, capture::signatures_from_bytes(read_file(part), part)});
  capture::SignatureFile whole = capture::merge(read);
  if (!cache.empty()) capture::SignatureCache(cache).keep(whole);
  if (staged) {
    write_file_atomically(staged->path(), capture::to_bytes(whole));
    staged->commit();
  }
  return whole;
}

}  // namespace repsim::pipeline
