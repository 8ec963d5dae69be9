#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/settings.hpp"
#include "values.hpp"

/// The videos of a job: patterns, names, and what is said of one video and of several.
namespace repsim::config {

/// Reads the list `name` of a config: paths, patterns, objects. Absent: nothing happens.
/// @param base  anchors relative paths
/// @throws Error{kInput}; also when `video` was read before
void read_videos(JsonReader& reader, const std::string& name, const std::filesystem::path& base, Settings& out);

/// Reads `video` or `videos` of a model's entry: the videos of its own. Absent: nothing happens.
/// @throws Error{kInput}; also when both are there
void read_own_videos(JsonReader& reader, const std::string& model, const std::filesystem::path& base, Settings& out);

/// "north/cam" of "videos/north/cam.mp4".
[[nodiscard]] std::string name_with_folder(const std::string& path);

/// Gives videos without a name one: that of the file, with its folder before it where two files have one name.
void name_videos(std::vector<video::VideoSource>& videos);

/// A list of one is the same as a single video: its ground truth becomes that of the settings, name and weight go.
/// @throws Error{kInput} when the ground truth is stated twice
void settle_videos(const std::string& file, Settings& settings);

/// What the settings say of several videos, those of models' own included: names, weights, ground truth.
void check_videos(const Settings& settings, const Complain& complain);

}  // namespace repsim::config
