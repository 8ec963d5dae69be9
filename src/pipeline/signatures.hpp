#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repsim/session.hpp"
#include "repsim/signature_jobs.hpp"

/// Signatures out of the cache, or captured and kept there: what plan, capture and similarity have in common.
namespace repsim::pipeline {

/// None where the settings name no folder. @throws Error{kInput}
std::optional<capture::SignatureCache> open_cache(const Settings& settings);

/// What the signatures of a model on such frames are made from. Call it with the number of threads that will capture.
/// @param frames  calibration frames, ascending
/// @param device  that will capture
capture::SignatureOrigin source_of(const model::Loaded& model, const video::Playlist& videos,
                                   const std::vector<std::int64_t>& frames, at::Device device);

/// From the cache, or nothing.
std::optional<Captured> find_signatures(const std::optional<capture::SignatureCache>& cache,
                                        const capture::SignatureOrigin& source, const std::string& name);

/// Waits until this process alone may capture a model that the cache lacks. While it waits, another process captures
/// it: look for the entry again.
/// @return nothing without a cache @throws Error{kInterrupted} when the user asked to stop
std::optional<FileLock> claim_signatures(const std::optional<capture::SignatureCache>& cache,
                                         const capture::SignatureOrigin& source, const std::string& name,
                                         Progress& progress);

/// A model that is to be captured. What it names outlives the call.
struct CaptureRequest {
  const model::Loaded& model;
  const graph::Prepared& prepared;
  const capture::SignatureOrigin& origin;
  std::string video_path;
  const video::FrameStore& store;                      ///< calibration frames, or those that a shard needs
  const capture::CaptureFrames& frames;                ///< positions in `store`
  std::int64_t row_bytes = 0;                          ///< see capture::signatures()
  std::optional<capture::Shard> shard = std::nullopt;  ///< whose frames these are; none: those of the whole capture
};
/// Captures a model and keeps its signatures in the cache, unless they are a part. That they cannot be kept is no
/// reason to stop: a warning.
Captured capture_signatures(const CaptureRequest& request, const std::optional<capture::SignatureCache>& cache,
                            Progress& progress);

/// Signatures of the models of a session, and where they came from: "captured", "cache" or "none" by model name.
struct SessionSignatures {
  std::vector<similarity::Signatures> signatures;  ///< per model
  Json origins = Json::object();
};
/// Signatures of all models of a session.
/// @param stores  of its input groups, with the calibration frames
SessionSignatures signatures_of(const Settings& settings, const session::Session& session,
                                const capture::Stores& stores, Progress& progress);

/// On how many frames S was taken: 0 if no model has signatures.
std::int64_t frames_of(const std::vector<similarity::Signatures>& signatures);

}  // namespace repsim::pipeline
