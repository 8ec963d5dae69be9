#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"

/// The settings of a job: their defaults, and how they are read, changed, checked and written. No torch.
namespace repsim::config {

/// `--share RECEIVER<-DONOR`: only these directions are considered.
struct Direction {
  std::string receiver, donor;
};

/// All that decides a plan. The defaults here are the only place of these defaults.
struct Settings {
  std::vector<model::ModelSpec> models;    ///< in plan order; two or more for plan
  std::vector<std::string> input_sources;  ///< per model where its input comes from: "flags", "config", "": its archive
  std::string video;                       ///< path
  std::int64_t frames = 256;               ///< sampled over the whole video
  double holdout = 0.3;                    ///< part of the frames that judges, in (0, 1)
  double min_fidelity = 0.9;               ///< every model keeps at least this, 0..1
  std::map<std::string, double> min_fidelity_of;  ///< models (by name) that keep another one
  /// What a plan saves most of: "bytes" of parameters, "flops" per frame, "latency" (the estimate), "peak-memory"
  /// (parameters and the peak of activations).
  std::string objective = "bytes";
  std::optional<std::int64_t> budget;  ///< bytes of parameters the bundle may hold: as much fidelity as fits in them
  std::optional<std::int64_t> max_shares;  ///< receivers in a plan; none: any number
  std::vector<std::string> donors;         ///< globs on names of models that may give; empty: all
  std::vector<std::string> keep;           ///< models that are never changed
  std::string adapters = "linear";   ///< "none": representations are at most resized; "linear": 1x1 convolutions too
  bool refit = true;                 ///< the first convolutions after a cut may be solved again
  std::int64_t max_rank = 8;         ///< of the corrections beside fitted maps, where a cut misses its target without
  std::int64_t max_side_inputs = 8;  ///< donors' layers that corrections of one share may read besides
  std::vector<Direction> share;      ///< empty: all ordered pairs
  std::vector<std::string> layers;   ///< globs on layer names that may be replaced; empty: all
  std::vector<std::string> exclude;  ///< globs on layer names that may be neither given nor replaced
  /// Candidates measured per ordered pair, and per receiver's mixed donors; those that the frames that judge refuse do
  /// not count, as long as they are no more.
  std::int64_t max_trials = 24;
  double confidence = 0;  ///< above 0: candidates must reach min_fidelity with the lower end of this bootstrap interval
  double max_minutes = 0;              ///< no new candidate is measured after so long a search; 0: no limit
  int threads = 0;                     ///< 0: as many as the machine has cores
  std::string device = "cpu";          ///< of capture, fits and trials: "cpu", "cuda" or "cuda:1"
  std::uint64_t seed = 0;              ///< of the bootstrap intervals
  std::optional<std::string> truth;    ///< ground truth (MOTChallenge text) to report accuracy beside fidelity
  std::vector<std::string> libraries;  ///< of operators that the models need beside Torch: paths, loaded in this order
  std::string cache;  ///< folder in which signatures are kept for later runs; empty: they are not kept.
                      ///< Decides nothing but how long a run takes
  /// Bytes that the process's peak of resident memory is to stay below, libraries included; none: no limit. Decides
  /// nothing but how long a run takes, too.
  std::optional<std::int64_t> memory_limit;

  /// What this model keeps at least.
  [[nodiscard]] double min_fidelity_for(const std::string& model) const {
    const auto found = min_fidelity_of.find(model);
    return found == min_fidelity_of.end() ? min_fidelity : found->second;
  }
};

/// Reads configs/*.json. Paths in it are relative to the config file and come out so that they can be opened from here.
/// @throws Error{kInput} with file, field and remedy; unknown keys with 'did you mean'
[[nodiscard]] Settings read_config(const std::filesystem::path& path);

/// The same from parsed JSON (after `--set`): `file` and `base` name the file in errors and anchor relative paths.
[[nodiscard]] Settings settings_from_json(const Json& json, const std::string& file, const std::filesystem::path& base);

/// Applies one `--set key.path=value` (value parsed as JSON, else taken as a string) to the config before it is read.
/// Array elements by number: models.0.output.score_threshold=0.5. @throws Error{kUsage}
void apply_override(Json& config, const std::string& assignment);

/// Parses `--input
/// [NAME=]352x352[,bgr|rgb][,stretch|letterbox|crop][,pad=114][,scale=1/255][,mean=a:b:c][,std=a:b:c][,list][,nhwc]
/// [,uint8|float16]` into (name or "", spec). @throws Error{kUsage}
[[nodiscard]] std::pair<std::string, model::InputSpec> parse_input_flag(const std::string& text);

/// Parses "RECEIVER<-DONOR". Nothing when it is not of this form.
[[nodiscard]] std::optional<Direction> parse_direction(const std::string& text);

/// Parses a size in bytes: "1500000", "1.5M"; K, M and G are powers of 1000. Nothing when it is not of this form, or
/// not above 0.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(const std::string& text);

/// Takes `--min-fidelity F` and `--min-fidelity NAME=F` (or NAME:F), each in turn. @throws Error{kUsage}
void apply_min_fidelity(const std::vector<std::string>& flags, Settings& settings);

/// Ranges and combinations, before any work: at least two models, unique names, frames, holdout, fidelity, globs,
/// directions that name known models. @throws Error{kInput} or Error{kUsage}
void check(const Settings& settings);

/// What capturing signatures needs, before any work: a model or more, frames, a video. @throws Error{kUsage}
void check_to_capture(const Settings& settings);

/// The settings that decide a plan beside its models and video, laid out as a config file. plan.json records them.
[[nodiscard]] Json settings_to_json(const Settings& settings);

/// A device on which LibTorch computes.
struct Device {
  enum class Kind { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  int index = 0;  ///< of the GPU, 0 to 64; 0 for the CPU
};

/// Parses "cpu", "cuda" (the first GPU) or "cuda:1". Nothing when it is not of this form. Whether the machine has the
/// device is not known here.
[[nodiscard]] std::optional<Device> parse_device(const std::string& text);

/// What is wrong with any other text, and what to write instead.
[[nodiscard]] std::string no_device(const std::string& text);
[[nodiscard]] std::string device_remedy();

}  // namespace repsim::config
