#pragma once

#include <filesystem>
#include <string>

#include "memory.hpp"
#include "repsim/report.hpp"
#include "workspace.hpp"

/// A plan that lies on disk, and what it was made from: what verify and bundle have in common.
namespace repsim::pipeline {

/// plan.json itself where its folder is given.
std::filesystem::path plan_file(const std::filesystem::path& given);

/// @param what  "video", "model 'front'": names the file in errors
/// @throws Error{kInput} where the file is missing or has another SHA-256
void check_unchanged(const std::string& path, const std::string& expected, const std::string& what);

/// The plan's models, each checked to be the one of the plan, with the specs that the plan resolved.
/// @throws Error{kInput} also where they do not fit into the limit
Workspace open_models_of(const report::Plan& plan, const MemoryLimit& limit, Progress& progress,
                         at::Device device = at::kCPU);

}  // namespace repsim::pipeline
