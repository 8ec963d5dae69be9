#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "repsim/pipeline.hpp"
#include "repsim/signature_cache.hpp"
#include "repsim/similarity_report.hpp"

/// The parts of a plan that end at similarities: signatures of models, and S of all pairs. No flags, no printing.
namespace repsim::pipeline {

/// One model's signatures, and where they came from.
struct Captured {
  capture::SignatureFile file;  ///< without layers where the model is opaque
  std::string origin;           ///< "captured", "cache", or "none": the model is opaque
  std::string opaque_reason;    ///< why it is
};

/// Signatures of every model in `settings` on the calibration frames that a plan of these settings would have: from the
/// cache where they are there, captured and kept there otherwise. Of the settings, models, their inputs, video, frames,
/// holdout, threads, libraries and cache count. Models are in memory one at a time.
/// @throws Error
[[nodiscard]] std::vector<Captured> capture(const Settings& settings, Progress& progress);

/// `repsim capture`: the signatures of the only model in `settings`, also as a file.
/// @param out  the file; empty: only into the cache. An existing one is replaced with `force` only
/// @throws Error{kInput} too where the model is opaque: it has no layers
[[nodiscard]] Captured capture_to_file(const Settings& settings, const std::filesystem::path& out, bool force,
                                       Progress& progress);

/// `repsim capture --shard`: the signatures of one shard's minibatches, as a file. The cache is neither read nor
/// written.
/// @param shard  as --shard says it: index and count are 1 or more, index <= count
/// @throws Error{kInput} too where there are more shards than minibatches
[[nodiscard]] Captured capture_part_to_file(const Settings& settings, const capture::Shard& shard,
                                            const std::filesystem::path& out, bool force, Progress& progress);

/// `repsim capture --merge`: puts the parts of a capture together, for the cache and as a file. Plans and similarities
/// with this cache then take them from there.
/// @param cache  folder; empty: none
/// @param out  the file; empty: only into the cache. An existing one is replaced with `force` only
/// @throws Error{kInput} as capture::merge(); too where a file is no file of signatures or cannot be written
[[nodiscard]] capture::SignatureFile merge_parts(const std::vector<std::string>& parts, const std::string& cache,
                                                 const std::filesystem::path& out, bool force);

/// `repsim similarity`: S of all layers of all models in `settings` with each other. A model whose path is that of a
/// file of signatures is taken from there; where all are, no video is needed. Writes similarity.json, similarity.npy
/// and one PNG per pair of models to `out`, or nothing.
/// @throws Error{kInput} too where signatures were made from other videos or frames
[[nodiscard]] report::AllPairs similarity(const Settings& settings, const std::filesystem::path& out, bool force,
                                          Progress& progress);

}  // namespace repsim::pipeline
