#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/predictor.hpp"
#include "repsim/settings.hpp"
#include "repsim/video_list.hpp"

/// What `repsim validate` found, as plain data, and its forms: validation.json, validation.csv, validation.html, the
/// terminal's tables.
namespace repsim::report {

inline constexpr int kValidationSchemaVersion = 1;

/// One measured cut.
struct StudiedCut {
  std::size_t direction = 0;  ///< in Validation::directions
  std::vector<std::string> receiver_layers, donor_layers;
  bool equal_depth = false;
  planner::PredictorValues predictors{};
  double fidelity = 0;             ///< on hold-out frames
  std::optional<double> accuracy;  ///< AP50 of persons on them, with ground truth
  /// Per entry of planner::kCombinedPredictors: its prediction after learning from the other cuts of this direction,
  /// and after learning from the cuts of other pairs of models (NaN: there are too few).
  std::vector<planner::Predicted> from_other_cuts, from_other_pairs;
};

struct StudiedDirection {
  std::string receiver, donor;
  std::optional<double> own_accuracy;  ///< of the receiver's original
  std::string not_differentiable;      ///< why output_error is undefined; empty: it is defined
  std::vector<std::string> skipped;    ///< cuts that could not be computed, and why
};

/// Correlation of each predictor with what was measured, over some of the cuts.
struct CorrelationTable {
  std::string receiver, donor;  ///< both empty: all directions pooled
  std::string subset;           ///< "all", "equal-depth", "fidelity-above-0.8"
  std::string against;          ///< "fidelity", "accuracy"
  std::int64_t cuts = 0;
  struct Row {
    std::string predictor;  ///< key in planner::kPredictors or planner::kCombinedPredictors (from_other_cuts)
    planner::Correlation pearson, spearman;
  };
  std::vector<Row> rows;
};

/// The errors of one combined predictor on cuts from which it did not learn.
struct PredictionTable {
  std::string receiver, donor;  ///< both empty: all directions pooled
  std::string combined;         ///< key in planner::kCombinedPredictors
  std::string learned_from;     ///< "other-cuts", "few-trials", "other-pairs"
  std::int64_t cuts = 0;
  planner::Correlation pearson;
  double pearson_above = 0;   ///< among cuts of fidelity above 0.8; NaN: undefined
  double mean_error = 0;      ///< absolute
  double coverage = 0;        ///< part of the cuts whose interval holds the measured fidelity
  double interval_width = 0;  ///< mean
};

struct StudiedModel {
  std::string name, path, sha256;
};

struct Validation {
  std::string tool_version;
  std::vector<StudiedModel> models;
  std::string video_path, video_sha256;
  std::int64_t frame_count = 0;     ///< of all videos together
  std::vector<ListedVideo> videos;  ///< empty where there is one
  std::vector<std::int64_t> calibration_frames, trial_frames, holdout_frames;
  config::Adapters adapters = config::Adapters::kLinear;
  bool refit = false;
  std::int64_t cuts_asked = 0;  ///< per direction
  std::uint64_t seed = 0;
  std::optional<std::string> truth;
  std::vector<StudiedDirection> directions;
  std::vector<StudiedCut> cuts;
  std::vector<CorrelationTable> correlations;
  std::vector<PredictionTable> predictions;
};

/// Fills in the predictions of every cut (from_other_cuts, from_other_pairs) and the tables `correlations` and
/// `predictions`, from directions, measured cuts and seed. Deterministic; a second call changes nothing.
void fill_tables(Validation& validation);

[[nodiscard]] Json to_json(const Validation& validation);
/// One row per cut, with a line of titles (RFC 4180; layers of a cut separated by spaces).
[[nodiscard]] std::string to_csv(const Validation& validation);
/// One self-contained page: tables and a scatter plot per predictor.
[[nodiscard]] std::string html(const Validation& validation);
/// The tables for a terminal: at most 100 columns, final newline.
[[nodiscard]] std::string summary(const Validation& validation);

}  // namespace repsim::report
