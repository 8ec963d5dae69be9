#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/run_report.hpp"
#include "repsim/settings.hpp"

/// `repsim run`: the models of a bundle on a video, frame after frame.
namespace repsim::pipeline {

struct RunSettings {
  std::string bundle;  ///< the folder of a plan, its plan.json, or a bundle
  /// None: the plan's own. A bundle whose models run on several streams takes one per stream: "NAME=PATH".
  std::vector<std::string> videos;
  std::vector<std::string> models;            ///< names; empty: all
  std::optional<std::string> against;         ///< the folder of a plan, or its plan.json: its models run, too
  std::optional<std::filesystem::path> draw;  ///< video to write
  std::optional<std::filesystem::path> json;  ///< file of lines to write
  /// Takes each line of JSON as soon as it is there. May be empty; with `json` it is not called.
  std::function<void(const std::string&)> on_line = {};
  bool force = false;                       ///< replace `draw` and `json`
  std::int64_t stride = 1;                  ///< run on every so-many-th frame
  std::int64_t frames = 0;                  ///< stop after as many; 0: at the video's end
  std::optional<double> min_score;          ///< nothing: each model's own threshold
  std::optional<double> frames_per_second;  ///< of `draw`; nothing: those of the video
  int threads = 0;
  config::Device device;
  std::vector<std::string> libraries;  ///< as in Settings
};

/// Runs one frame at a time. If all models of a stream are wanted, its method computes them in one call, else the
/// run_<model> method of each. Streams run one after the other. Outputs appear whole at the end, or not at all.
/// @return per stream of which models are wanted; files are written once and stand in the last one
/// @throws Error{kUsage} for a model that the bundle does not have, and for a drawn video of several streams;
/// Error{kInput} for files that cannot be read or
///         written, before any model runs, and for a model that fails: names model and frame; Error{kInterrupted}
[[nodiscard]] std::vector<report::RunSummary> run(const RunSettings& settings, Progress& progress);

}  // namespace repsim::pipeline
