#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/similarity.hpp"
#include "repsim/verify_metrics.hpp"

/// What a plan says, as plain data, and its forms: plan.json, report.html, the terminal's table.
namespace repsim::report {

inline constexpr int kPlanSchemaVersion = 1;

/// Models that take the same tensor: one argument of the bundle's forward.
struct InputGroup {
  model::InputSpec spec;
  std::vector<std::string> models;
};

/// How well a head agrees with its own original (design §5).
struct Fidelity {
  double value = 0;             ///< 0..1
  verify::Interval interval;    ///< 90 % bootstrap over frames; equal ends where it is not defined (format tensor)
  double jpeg95 = 0, jpeg80 = 0, shift_one_pixel = 0;  ///< yardsticks: the original against itself on changed frames
  std::int64_t frames = 0;
  std::int64_t own_detections = 0;  ///< of score >= threshold; 0 for format tensor
  bool bit_identical = false;       ///< every output tensor equals the original's, bit for bit, on these frames
  double max_abs_difference = 0;    ///< over all floating outputs and frames
};

/// Accuracy against ground truth, person AP50.
struct Accuracy {
  double own = 0, merged = 0;
  verify::Interval own_interval, merged_interval;
  std::int64_t frames = 0, truth_boxes = 0;
};

struct ModelEntry {
  std::string name, path, sha256;
  model::InputSpec input;
  std::string input_source;  ///< "flags", "config" or "archive"
  model::OutputSpec output;  ///< resolved: never auto
  std::string format_reason; ///< how the format was recognised
  std::string run_method;    ///< "run_<identifier>"
  bool transparent = true;   ///< false: carried whole, nothing can be taken or replaced
  std::string opaque_reason;
  std::int64_t layers = 0, parameters = 0, bytes = 0, flops = 0;
  Fidelity fidelity;
  std::optional<Accuracy> accuracy;
};

struct Replaced {
  std::string receiver_layer, donor_layer;
  double similarity = 0;   ///< S of the two layers on the calibration frames
  std::string adapter;     ///< "none", "resize", "linear", "resize+linear"
  bool refit = false;      ///< the next convolution was solved again instead
  double residual = 0;     ///< 1 - R2 of the fit on calibration frames: of the adapter, or of the refitted convolutions (worst)
};

struct Share {
  std::string receiver, donor;
  std::vector<Replaced> replaced;
  std::vector<std::string> removed_layers;
  std::int64_t bytes_removed = 0;  ///< of the receiver's parameters that are gone
  std::int64_t bytes_added = 0;    ///< of adapters, and of refitted convolutions beyond what they had
  std::int64_t flops_removed = 0, flops_added = 0;  ///< per frame
  double predicted_fidelity = 0, measured_fidelity = 0;
};

/// Exact sharing: what is stored or computed once because it is identical.
struct ExactSharing {
  std::int64_t parameters_deduplicated = 0;  ///< tensors stored once instead of several times
  std::int64_t bytes_saved = 0;
  std::int64_t ops_computed_once = 0, flops_saved = 0;  ///< of ops with parameters, per frame
};

/// A candidate that was considered. `measured` is absent when it was never tried.
struct Candidate {
  std::string receiver, donor;
  std::vector<std::string> receiver_layers, donor_layers;
  double similarity = 0;          ///< smallest S over the replaced layers
  std::int64_t bytes_saved = 0;   ///< removed minus added
  double predicted_fidelity = 0;
  std::optional<double> measured_fidelity;
  bool chosen = false;
  std::string reason;             ///< why it was rejected or chosen
};

struct Totals {
  std::int64_t parameters = 0, bytes = 0, flops = 0, peak_activation_bytes = 0;
};

struct Plan {
  std::string tool_version;
  std::string settings_sha256;
  Json settings;  ///< everything that the user could set and that decides the outcome, resolved
  std::string video_path, video_sha256;
  std::int64_t video_frames = 0;
  std::vector<std::int64_t> calibration_frames, holdout_frames;
  std::vector<InputGroup> inputs;
  std::vector<ModelEntry> models;
  ExactSharing exact;
  std::vector<Share> shares;
  std::vector<Candidate> candidates;  ///< on the Pareto front of predicted fidelity and bytes, and all that were measured
  Totals before, after;
  std::int64_t bundle_bytes = 0;      ///< of bundle.pt
  std::string bundle_sha256;
};

[[nodiscard]] Json to_json(const Plan& plan);
/// @throws Error{kInput} naming `file` and the field: wrong schema version, missing or unknown keys, wrong types
[[nodiscard]] Plan plan_from_json(const Json& json, const std::string& file);

[[nodiscard]] Json to_json(const model::InputSpec& spec);
[[nodiscard]] Json to_json(const model::OutputSpec& spec);
/// All matrices, values rounded to 6 decimals, null where undefined.
[[nodiscard]] Json to_json(const std::vector<similarity::Matrix>& matrices, std::int64_t minibatch, std::int64_t frames);

/// The plan for a terminal: one table of models, one of shares, totals, where to look. Plain text, at most 100 columns.
[[nodiscard]] std::string summary(const Plan& plan);

/// One self-contained HTML page: totals, models, shares, similarity heatmaps (inline SVG), candidates, settings.
[[nodiscard]] std::string html(const Plan& plan, const std::vector<similarity::Matrix>& matrices);

/// "1.2 MB", "34.5 kB", "812 B": decimal units.
[[nodiscard]] std::string human_bytes(std::int64_t bytes);

}  // namespace repsim::report
