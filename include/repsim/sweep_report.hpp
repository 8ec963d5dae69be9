#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/clustering.hpp"
#include "repsim/report.hpp"

/// The summary of a sweep, and its forms: summary.json, .csv, .md and .html. No torch.
namespace repsim::report {

/// The model of a plan that keeps least.
struct WorstModel {
  std::string name;
  double fidelity = 0;
  verify::Interval interval;
  std::int64_t frames = 0, own_detections = 0;  ///< that the fidelity was measured on
  bool is_raw = false;                          ///< raw outputs were compared: there are no detections
};

/// The figures of one plan.
struct PlanFigures {
  std::int64_t bytes_before = 0, bytes_after = 0;
  std::int64_t peak_activation_bytes = 0;  ///< predicted, of the bundle
  std::int64_t shares = 0;
  std::optional<WorstModel> worst;      ///< absent: nothing was compared for any model
  std::vector<std::string> unmeasured;  ///< models of which nothing could be compared

  [[nodiscard]] std::int64_t bytes_saved() const { return bytes_before - bytes_after; }
  /// What a machine has to hold.
  [[nodiscard]] std::int64_t bytes_needed() const { return bytes_after + peak_activation_bytes; }
};
[[nodiscard]] PlanFigures figures_of(const Plan& plan);

/// One plan of a sweep.
struct SweepPlan {
  std::string set, video;
  std::vector<std::string> models;
  std::vector<std::pair<std::string, std::string>> values;  ///< of the grid
  std::string folder;                                       ///< below the sweep's folder
  std::string state;                                        ///< "finished", "failed", "pending"
  std::optional<int> exit_code;
  std::optional<double> seconds;
  std::string problem;                 ///< of a failed plan: the error in its log
  std::optional<PlanFigures> figures;  ///< of a finished plan
};

struct SweepBox {
  std::string name;
  std::int64_t bytes = 0;
};

/// A capture that failed. Plans of its model capture by themselves.
struct SweepCapture {
  std::string folder, problem;
};

/// How alike whole models are, by their captures.
struct ModelTree {
  std::vector<std::string> models;
  /// models x models, row-major: similarity::likeness(), the mean over the videos and frames of the captures; 1 on the
  /// diagonal, 0 where no similarity is defined.
  std::vector<double> likeness;
  std::vector<similarity::Merge> merges;  ///< average linkage of 1 - likeness
  std::vector<std::string> left_out;      ///< models without signatures on all videos and frames
};

struct SweepSummary {
  std::string tool_version;
  std::vector<SweepPlan> plans;
  std::vector<SweepBox> boxes;
  std::vector<SweepCapture> failed_captures;
  std::optional<ModelTree> tree;  ///< absent: less than two models have signatures

  [[nodiscard]] std::int64_t count(const std::string& state) const;
};

/// The plans (indices) that fit a box, best first: more models before fewer, then the higher worst fidelity (an unknown
/// one last), then fewer bytes, then the order of the sweep.
[[nodiscard]] std::vector<std::size_t> plans_that_fit(const SweepSummary& summary, const SweepBox& box);

/// The last error that a run wrote into its log; empty: none.
[[nodiscard]] std::string problem_in_log(const std::string& log);

[[nodiscard]] Json to_json(const SweepSummary& summary);
[[nodiscard]] std::string to_csv(const SweepSummary& summary);
[[nodiscard]] std::string to_markdown(const SweepSummary& summary);
/// A page without scripts; its links are relative to the sweep's folder.
[[nodiscard]] std::string html(const SweepSummary& summary);
/// For a terminal: counts, failed plans, the best plans of each box.
[[nodiscard]] std::string to_text(const SweepSummary& summary);

// Texts that the forms have in common.

/// A line per merge and model: the merge's likeness, and below it, two columns further right, its two parts. The part
/// whose models are more alike comes first, a model last.
[[nodiscard]] std::vector<std::string> tree_lines(const ModelTree& tree);

/// "street, merge.min_fidelity=0.9"; "default" without video and values.
[[nodiscard]] std::string variant_text(const SweepPlan& plan, bool with_video);
/// Whether the plans are of several videos.
[[nodiscard]] bool has_several_videos(const SweepSummary& summary);
/// "0.953 (0.921 to 0.981)"; "not measured".
[[nodiscard]] std::string worst_fidelity_text(const PlanFigures& figures);
/// "front, 37 objects on 38 frames"; empty where nothing was compared.
[[nodiscard]] std::string evidence_text(const PlanFigures& figures);
/// "1.5 min"; "-" where it is not known.
[[nodiscard]] std::string duration_text(const std::optional<double>& seconds);

}  // namespace repsim::report
