#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "repsim/base/input_files.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/settings.hpp"

/// How settings are read, changed, checked and written. No torch.
namespace repsim::config {

/// Reads configs/*.json. Paths in it are relative to the config file and come out so that they can be opened from here.
/// @throws Error{kInput} with file, field and remedy; unknown keys with 'did you mean'
[[nodiscard]] Settings read_config(const std::filesystem::path& path);

/// Settings of a config that is parsed already (after `--set`).
/// @param file  names the file in errors
/// @param base  anchors relative paths
/// @throws Error{kInput} as read_config() does
[[nodiscard]] Settings settings_from_json(const Json& json, const std::string& file, const std::filesystem::path& base);

/// The key of comments in every object of a config. JSON itself has no comments.
inline constexpr const char* kCommentKey = "//";

/// All settings as a config file that reads back as the same settings: models with what is known of their inputs and
/// outputs, then every row of the table that has a value. Paths stay as they are.
[[nodiscard]] Json config_file(const Settings& settings);

/// A list of videos as a config states it.
[[nodiscard]] Json videos_json(const std::vector<video::VideoSource>& videos);

/// Applies one `--set key.path=value` (value parsed as JSON, else taken as a string) to the config before it is read.
/// Array elements by number: models.0.output.score_threshold=0.5. @throws Error{kUsage}
void apply_override(Json& config, const std::string& assignment);

/// Parses `--input
/// [NAME=]352x352[,bgr|rgb][,stretch|letterbox|crop][,pad=114][,scale=1/255][,mean=a:b:c][,std=a:b:c][,list][,nhwc]
/// [,uint8|float16]` into (name or "", spec). @throws Error{kUsage}
[[nodiscard]] std::pair<std::string, model::InputSpec> parse_input_flag(const std::string& text);

/// Takes what the command line gives for a setting: one text, or one per time that a repeatable flag is given. These
/// replace a list; fidelities are added to those that are there. Ranges of whole numbers are judged.
/// @throws Error{kUsage} that names the flag
void apply_flag(const Setting& setting, const std::vector<std::string>& texts, Settings& settings);

/// Videos that a flag names, one or several: paths, and patterns of the shell that no file has as its name. Several get
/// names. Empty when all that is given is one empty text.
/// @throws Error{kInput} that names the flag, when nothing matches a pattern
[[nodiscard]] std::vector<video::VideoSource> videos_of(const std::vector<std::string>& paths, const std::string& flag);

/// Whether the flag may be given several times.
[[nodiscard]] bool is_repeatable(const Setting& setting);

/// What stands for the value in --help: "N", "on|off".
[[nodiscard]] std::string value_name(const Setting& setting);

/// The line of --help: that of the table, or `other` where it is not empty; "{}" in it becomes the default.
[[nodiscard]] std::string flag_help(const Setting& setting, std::string_view other = {});

/// The setting's value as a config states it; null where it is absent.
[[nodiscard]] Json json_of(const Setting& setting, const Settings& settings);

/// The table for scripts/update_schemas.py: per row key, flag, default, values in words, meaning, and the schema of the
/// value (draft 7) without default and description.
[[nodiscard]] Json describe_settings();

/// Parses "RECEIVER<-DONOR". Nothing when it is not of this form.
[[nodiscard]] std::optional<Direction> parse_direction(const std::string& text);

/// Parses a size in bytes: "1500000", "1.5M"; K, M and G are powers of 1000. Nothing when it is not of this form, or
/// not above 0.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(const std::string& text);

/// Ranges and combinations, before any work: at least two models, unique names, frames, holdout, fidelity, globs,
/// directions that name known models. @throws Error{kInput} or Error{kUsage}
void check(const Settings& settings);

/// The files that a command with these settings reads: models, videos, ground truth.
[[nodiscard]] std::vector<InputFile> input_files_of(const Settings& settings);

/// What capturing signatures needs, before any work: a model or more, frames, a video. @throws Error{kUsage}
void check_to_capture(const Settings& settings);

/// The settings that decide a plan beside its models and video, laid out as a config file. plan.json records them.
[[nodiscard]] Json settings_to_json(const Settings& settings);

/// Parses "cpu", "cuda" (the first GPU) or "cuda:1". Nothing when it is not of this form. Whether the machine has the
/// device is not known here.
[[nodiscard]] std::optional<Device> parse_device(const std::string& text);

[[nodiscard]] std::string to_string(const Device& device);

/// What is wrong with any other text, and what to write instead.
[[nodiscard]] std::string no_device(const std::string& text);
[[nodiscard]] std::string device_remedy();

}  // namespace repsim::config
