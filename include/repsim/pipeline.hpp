#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/config.hpp"
#include "repsim/dry_run.hpp"
#include "repsim/inspection.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/rebuild.hpp"
#include "repsim/report.hpp"
#include "repsim/verification.hpp"
#include "repsim/video_source.hpp"

/// The chain of stages that plan, verify and bundle (later: check and sweep) share. No flags, no printing, no exit.
namespace repsim::pipeline {

using config::check;
using config::Direction;
using config::Settings;

/// What `plan` leaves in the output folder, in memory.
struct Outcome {
  report::Plan plan;
  std::filesystem::path directory;
};

/// The whole job: all checks that need no frame come before the first frame is decoded. Writes plan.json, bundle.pt,
/// report.html, similarity.json and run.json to `out`, or nothing. When no share holds, the plan is written with none
/// (the caller maps that to exit 4).
/// @throws Error
[[nodiscard]] Outcome plan(const Settings& settings, const std::filesystem::path& out, bool force, Progress& progress);

/// `--dry-run`: all checks, the count of the video's frames among them, and no measurement. Returns what a plan would
/// do.
[[nodiscard]] report::DryRun dry_run(const Settings& settings, const std::optional<std::filesystem::path>& out,
                                     bool force, Progress& progress);

/// @param model  its input spec may be absent when the archive has it
/// @param libraries  as in Settings
/// @param asked  as for dry_run()
[[nodiscard]] report::Inspection inspect(const model::ModelSpec& model, const std::vector<std::string>& libraries = {},
                                         const Progress& asked = SilentProgress());

struct VerifySettings {
  std::filesystem::path plan;  ///< plan.json, or the folder that holds it
  /// Else the plan's own videos and hold-out frames. Of a plan whose models run on several streams, paths are
  /// "NAME=PATH", NAME being a stream, and each stream has one or more.
  std::vector<video::VideoSource> videos;
  /// Frames to sample evenly, over other videos or over the part of the plan's own that begins with its hold-out (what
  /// comes before calibrated). 0: as many as the hold-out, on the plan's own videos those very frames.
  std::int64_t frames = 0;
  std::optional<std::string> truth;  ///< MOTChallenge text or COCO JSON of a single video
  int threads = 0;
  std::vector<std::string> libraries;        ///< as in Settings
  std::optional<std::int64_t> memory_limit;  ///< as in Settings
  /// Where to write the frames as the models get them, for another engine (docs/runtimes.md); replaced where it exists.
  std::optional<std::filesystem::path> dump_inputs = {};
  std::optional<std::filesystem::path> result_file = {};     ///< where the caller writes the result: it may be no input
  std::optional<std::filesystem::path> engine_outputs = {};  ///< what another engine returned for these frames
};

/// Checks a bundle again. @throws Error{kInput} when plan, bundle, models or video are missing or were changed (sha256)
[[nodiscard]] report::Verification verify(const VerifySettings& settings, Progress& progress);

/// `repsim bundle`: a stage of its own, which needs no other.
using rebuild::rebuild;
using rebuild::RebuildSettings;

}  // namespace repsim::pipeline
