#include "signatures.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <link.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kMoment{50};

/// "AMD EPYC 7763 ...": kernels are chosen by the CPU, and kernels round differently. Empty where the system does not
/// say.
std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

/// Path of a library that is loaded in this process, by its file name. Empty when there is none.
std::string path_of_library(const std::string& file) {
  std::pair<std::string, std::string> wanted{file, ""};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        auto& [name, path] = *static_cast<std::pair<std::string, std::string>*>(out);
        if (info->dlpi_name == nullptr || fs::path(info->dlpi_name).filename() != name) return 0;
        path = info->dlpi_name;
        return 1;
      },
      &wanted);
  return wanted.second;
}

std::vector<std::string> machinery_of(const model::Loaded& model, at::Device device) {
  std::vector<std::string> parts{"LibTorch " + session::torch_version(), at::get_cpu_capability(), cpu_name(),
                                 std::to_string(at::get_num_threads()) + " threads", video::decoder_version()};
  if (!device.is_cpu()) parts.push_back(device.str());
  if (model.frame_by_frame) parts.emplace_back("single frames");
  for (const model::OperatorLibrary& library : model.operator_libraries) {
    const std::string path = path_of_library(library.file);
    parts.push_back(library.file + " " + (path.empty() ? "" : sha256_of_file(path)));
  }
  return parts;
}

std::vector<std::string> layer_names(const graph::Prepared& model) {
  std::vector<std::string> names;
  for (const graph::Layer& layer : model.program.layers) names.push_back(layer.name);
  return names;
}

}  // namespace

std::optional<capture::SignatureCache> open_cache(const Settings& settings) {
  if (settings.cache.empty()) return std::nullopt;
  return capture::SignatureCache(settings.cache);
}

capture::SignatureOrigin source_of(const model::Loaded& model, const video::Playlist& videos,
                                   const std::vector<std::int64_t>& frames, at::Device device) {
  capture::SignatureOrigin source;
  source.model_sha256 = model.sha256;
  source.video_sha256 = videos.sha256();
  source.input = model::input_flag(*model.spec.input);
  for (const auto& minibatch : capture::strided_minibatches(static_cast<std::int64_t>(frames.size()))) {
    for (const std::int64_t position : minibatch) source.frames.push_back(frames[position]);
  }
  source.minibatch = video::kMinibatchFrames;
  source.machinery = machinery_of(model, device);
  return source;
}

std::optional<Captured> find_signatures(const std::optional<capture::SignatureCache>& cache,
                                        const capture::SignatureOrigin& source, const std::string& name) {
  if (!cache) return std::nullopt;
  std::optional<capture::SignatureFile> found = cache->find(source);
  if (!found) return std::nullopt;
  log::info(name + ": signatures from the cache");
  log::debug(name + ": " + cache->path_of(source).string());
  found->signatures.model = name;
  return Captured{std::move(*found), "cache", ""};
}

std::optional<FileLock> claim_signatures(const std::optional<capture::SignatureCache>& cache,
                                         const capture::SignatureOrigin& source, const std::string& name,
                                         Progress& progress) {
  if (!cache) return std::nullopt;
  std::optional<FileLock> claim = cache->try_claim(source);
  if (claim) return claim;
  log::info(name + ": another run captures its signatures into the same cache; this one waits for them");
  progress.begin("wait for the signatures of " + name, 0);
  while (!claim) {
    std::this_thread::sleep_for(kMoment);
    progress.step(0);
    claim = cache->try_claim(source);
  }
  progress.end();
  return claim;
}

Captured capture_signatures(const CaptureRequest& request, const std::optional<capture::SignatureCache>& cache,
                            Progress& progress) {
  const graph::Prepared& prepared = request.prepared;
  Captured captured;
  captured.file.origin = request.origin;
  captured.file.model_path = request.model.spec.path;
  captured.file.video_path = request.video_path;
  captured.file.signatures.model = prepared.name;
  if (!prepared.rewritable) {
    captured.origin = "none";
    captured.opaque_reason = prepared.opaque_reason;
    return captured;
  }
  captured.file.shard = request.shard;
  captured.file.signatures = capture::signatures(prepared, request.store, request.frames, progress, request.row_bytes);
  release_free_memory();  // models differ in what they allocate
  captured.origin = "captured";
  log::info(prepared.name + ": signatures captured");
  if (!cache || request.shard) return captured;
  try {
    cache->keep(captured.file);
  } catch (const Error& error) {
    log::warn(prepared.name + ": its signatures are not kept in the cache: " + error.where() + ": " + error.problem());
  }
  return captured;
}

SessionSignatures signatures_of(const Settings& settings, const session::Session& session,
                                const capture::Stores& stores, Progress& progress) {
  const std::optional<capture::SignatureCache> cache = open_cache(settings);
  SessionSignatures result;
  for (const session::Model& model : session.models) {
    const graph::Prepared& prepared = model.prepared;
    const video::FrameStore& store = stores[model.group];
    const capture::SignatureOrigin source = source_of(model.loaded, session.playlist, store.frames(), prepared.device);
    std::optional<Captured> found;
    std::optional<FileLock> claim;
    if (prepared.rewritable) {
      found = find_signatures(cache, source, prepared.name);
      if (!found) {
        claim = claim_signatures(cache, source, prepared.name, progress);
        found = find_signatures(cache, source, prepared.name);
      }
    }
    if (found && found->file.signatures.layers != layer_names(prepared)) {
      log::warn(prepared.name + ": the cache has other layers, captured again");
      found.reset();
    }
    if (!found) {
      const capture::CaptureFrames frames = capture::capture_frames(store.size());
      found = capture_signatures(
          {model.loaded, prepared, source, session.playlist.path(), store, frames, session.memory_budget.rows}, cache,
          progress);
    }
    result.origins[found->file.signatures.model] = found->origin;
    result.signatures.push_back(std::move(found->file.signatures));
  }
  return result;
}

std::int64_t frames_of(const std::vector<similarity::Signatures>& signatures) {
  std::size_t frames = 0;
  for (const similarity::Signatures& one : signatures) frames = std::max(frames, one.frames.size());
  return static_cast<std::int64_t>(frames);
}

}  // namespace repsim::pipeline
