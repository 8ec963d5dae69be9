#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "repsim/base/input_files.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/report.hpp"
#include "repsim/video_source.hpp"

/// A plan that lies on disk, without torch: where it is, and what it records of how it was made.
namespace repsim::rebuild {

/// plan.json itself where its folder is given.
[[nodiscard]] std::filesystem::path plan_file(const std::filesystem::path& given);

/// Reads a plan. @param given  plan.json or its folder @throws Error{kInput}
[[nodiscard]] report::Plan read_plan(const std::filesystem::path& given);

/// The plan's settings as a config states them: plan.json says null where a config says nothing.
[[nodiscard]] Json recorded_settings(const report::Plan& plan);

/// What repsim plan was told, as a config file: recorded settings, models and video. Inputs that came from an archive
/// are left to the archive. Not recorded, and so absent: libraries, truth, threads, device, memory limit.
[[nodiscard]] Json recorded_config(const report::Plan& plan);

/// The files that reading a plan again takes: plan.json, its bundle, the models and the videos.
[[nodiscard]] std::vector<InputFile> input_files_of(const std::filesystem::path& given, const report::Plan& plan);

/// The videos of a plan, or of a stream, without ground truth.
[[nodiscard]] std::vector<video::VideoSource> videos_of(const report::PlanVideos& plan);

}  // namespace repsim::rebuild
