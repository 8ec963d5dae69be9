#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/report.hpp"

/// What differs between two plans, as plain data: `repsim diff` compares two files, `repsim check` a plan with the one
/// that its inputs give now.
namespace repsim::report {

/// One thing that both plans were compared in.
struct PlanChange {
  enum class Kind {
    kTool,
    kModel,
    kVideo,
    kFrames,
    kSetting,
    kShare,
    kFidelity,
    kAccuracy,
    kEvidence,
    kTotal,
    kBundle
  };
  enum class Status {
    kSame,
    kTolerated,  ///< a figure that changed by no more than its tolerance
    kNoted,      ///< changed, but a consequence or a circumstance: never drift by itself
    kDrift,
  };
  Kind kind;
  std::string subject;  ///< model, key of a setting, receiver of a share, "bytes"
  std::string what;     ///< "sha256", "fidelity", ...; empty where the subject says it
  Json before, after;   ///< null: the plan has no such thing, or it is undefined
  Status status = Status::kSame;
  /// after - before, where both are numbers.
  [[nodiscard]] std::optional<double> difference() const;
};

struct DiffTolerances {
  /// Fidelities and accuracies may change by so much, 0 to 1. Falling below the target is drift all the same.
  double fidelity = 0;
};

struct PlanDiff {
  std::vector<PlanChange> changes;  ///< unchanged things too; by kind, in the order of the plans
  bool inputs_only = false;         ///< only what a plan is made from was compared; it was not made again
  [[nodiscard]] bool has_drift() const;
};

/// Structure (models, video, frames, settings, shares, totals) has to be equal. Fidelities have a tolerance. Evidence,
/// versions, paths and the bundle's bytes are noted.
[[nodiscard]] PlanDiff compare(const Plan& before, const Plan& after, const DiffTolerances& tolerances);

/// A limit on how much a figure may change: `fidelity<-0.01` is broken where some model's fidelity fell by more than
/// 0.01, `bytes>5%` where the parameters of the bundle grew by more than 5 %.
struct ChangeLimit {
  enum class Figure { kFidelity, kAccuracy, kBytes, kFlops, kLatency, kPeakMemory };
  Figure figure = Figure::kFidelity;
  bool is_above = false;     ///< broken by a larger change, else by a smaller one
  double change = 0;         ///< in the unit of the figure in plan.json, or a part of the value before
  bool is_relative = false;  ///< `change` is a part: 0.05 for 5 %
  std::string text;          ///< as given
};

/// Parses FIGURE<CHANGE or FIGURE>CHANGE; CHANGE is a number, for bytes also 500K or 1.5M, with % a part of the value
/// before. Nothing when `text` is not of this form.
[[nodiscard]] std::optional<ChangeLimit> parse_change_limit(const std::string& text);
/// "fidelity, accuracy, bytes, ...".
[[nodiscard]] std::string change_limit_figures();

/// The changes that break the limit. A figure that became undefined breaks every limit on it.
[[nodiscard]] std::vector<PlanChange> broken_by(const ChangeLimit& limit, const PlanDiff& diff);

/// Which lines to show.
enum class DiffDetail { kChanges, kAll };

/// For a terminal: sections of lines with + - ~ as marks, then a sentence that counts. Final newline.
[[nodiscard]] std::string to_text(const PlanDiff& diff, DiffDetail detail);
/// A table for a summary page of a CI system. Final newline.
[[nodiscard]] std::string to_markdown(const PlanDiff& diff, DiffDetail detail);
/// {"drift": bool, "changes": [...]}, unchanged things only with kAll. Keys of a change: kind, subject, what, status,
/// before, after, difference.
[[nodiscard]] Json to_json(const PlanDiff& diff, DiffDetail detail);

/// "plain: fidelity 0.953 -> 0.912 (-0.041)": a change on one line.
[[nodiscard]] std::string in_words(const PlanChange& change);

}  // namespace repsim::report
