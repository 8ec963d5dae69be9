#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "repsim/report.hpp"
#include "repsim/session.hpp"

/// A plan that lies on disk, and what it was made from: what verify and bundle have in common.
namespace repsim::rebuild {

/// plan.json itself where its folder is given.
[[nodiscard]] std::filesystem::path plan_file(const std::filesystem::path& given);

/// @param what  "video", "model 'front'": names the file in errors
/// @throws Error{kInput} where the file is missing or has another SHA-256
void check_unchanged(const std::string& path, const std::string& expected, const std::string& what);

/// The plan's models with the specs that the plan resolved; checks that each is the model of the plan.
/// @throws Error{kInput}
[[nodiscard]] std::vector<session::ModelSource> models_of(const report::Plan& plan);

/// The plan's settings as a config states them: plan.json says null where a config says nothing.
[[nodiscard]] Json recorded_settings(const report::Plan& plan);

/// What repsim plan was told, as a config file: recorded settings, models and video. Inputs that came from an archive
/// are left to the archive. Not recorded, and so absent: libraries, truth, threads, device, memory limit.
[[nodiscard]] Json recorded_config(const report::Plan& plan);

}  // namespace repsim::rebuild
