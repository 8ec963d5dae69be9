#include <algorithm>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "signatures.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

/// A model that has to be captured: opened a second time when its turn comes, so that one is in memory at a time.
struct Missing {
  std::size_t index = 0;
  capture::Source source;
  model::ModelSpec spec;  ///< its input is resolved
};

model::Loaded load(const Settings& settings, std::size_t index) {
  return model::load(settings.models[index],
                     index < settings.input_sources.size() ? settings.input_sources[index] : std::string());
}

std::vector<video::FrameStore> decode_for(const std::vector<Missing>& missing, std::vector<model::InputSpec>& specs,
                                          const std::vector<std::int64_t>& frames, const video::VideoInfo& video,
                                          Progress& progress) {
  std::vector<video::Request> requests;
  for (const Missing& one : missing) {
    if (std::find(specs.begin(), specs.end(), *one.spec.input) != specs.end()) continue;
    specs.push_back(*one.spec.input);
    requests.push_back({frames, specs.back(), video::Perturbation::kNone});
  }
  if (requests.empty()) return {};
  return video::decode(video, requests, progress);
}

}  // namespace

std::vector<Captured> capture(const Settings& settings, Progress& progress) {
  const ThreadCount threads(settings.threads);
  config::check_to_capture(settings);
  const at::Device device = open_device(settings.device);
  model::load_libraries(settings.libraries);
  video::check_readable(settings.video);
  const MemoryLimit limit(settings.memory_limit);
  limit.check_files(settings.models, MemoryLimit::AtOnce::kOne);
  const std::optional<capture::SignatureCache> cache = open_cache(settings);
  const video::VideoInfo video = video::probe(settings.video, progress);
  const std::vector<std::int64_t> frames = video::sample_frames(video, settings.frames, settings.holdout).calibration;

  std::vector<Captured> result(settings.models.size());
  std::vector<Missing> missing;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const model::Loaded loaded = load(settings, i);
    const capture::Source source = source_of(loaded, video, frames, device);
    if (auto found = find_signatures(cache, source, loaded.spec.name)) {
      result[i] = std::move(*found);
    } else {
      missing.push_back({i, source, loaded.spec});
    }
  }
  std::vector<model::InputSpec> specs;
  const std::vector<video::FrameStore> stores = decode_for(missing, specs, frames, video, progress);
  for (const Missing& one : missing) {
    const model::Loaded loaded = load(settings, one.index);
    std::vector<graph::Prepared> prepared{graph::prepare(loaded, graph::dry_run(loaded))};
    prepared.front().device = device;
    const MemoryBudget memory_budget = limit.memory_budget(prepared);
    const auto store = std::find(specs.begin(), specs.end(), *loaded.spec.input) - specs.begin();
    result[one.index] = capture_signatures(loaded, prepared.front(), one.source, video, stores[store], cache,
                                           memory_budget.rows, progress);
  }
  limit.judge();
  return result;
}

Captured capture_to_file(const Settings& settings, const fs::path& out, bool force, Progress& progress) {
  std::error_code failed;
  if (!out.empty() && !force && fs::exists(out, failed))
    throw input_error("the file is there already", out.string(), "--force replaces it");
  Captured captured = std::move(capture(settings, progress).at(0));
  if (captured.origin == "none") {
    throw input_error("the model has no layers that could be captured: it " + captured.opaque_reason,
                      settings.models.at(0).path);
  }
  if (!out.empty()) write_file_atomically(out, capture::to_bytes(captured.file));
  return captured;
}

}  // namespace repsim::pipeline
