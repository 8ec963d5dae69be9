#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/measure.hpp"

/// What `repsim measure` found, as plain data, and its forms (docs/measure.md).
namespace repsim::report {

/// What a plan says in advance, beside what was measured.
struct Predicted {
  std::int64_t separate_bytes = 0, bundle_bytes = 0;  ///< peak of activations, of all frames of a batch
  std::optional<double> separate_ms, bundle_ms;       ///< of one frame on a nominal machine; older plans: nothing
};

struct MeasuredDeployment {
  measure::Deployment deployment = measure::Deployment::kSeparateProcesses;
  std::int64_t processes = 1;
  measure::Figures figures;
  measure::Ratios bundle;  ///< the plan's bundle over this deployment; less than 1: the bundle is better
};

struct Measurement {
  std::string tool_version, torch_version;
  std::string plan;                 ///< path of plan.json
  std::vector<std::string> models;  ///< names
  std::string cpu;                  ///< of this machine; empty: not known
  int cores = 0;                    ///< usable ones
  int threads = 0;
  std::string device;
  std::int64_t batch = 1, repeats = 1, frames = 1;
  std::int64_t parameter_bytes_before = 0, parameter_bytes_after = 0;  ///< as the plan states
  std::vector<MeasuredDeployment> deployments;                         ///< in the order of measure::Deployment
  std::vector<measure::Alone> alone;                                   ///< per model
  Predicted predicted;

  [[nodiscard]] const MeasuredDeployment& of(measure::Deployment deployment) const {
    return deployments.at(static_cast<std::size_t>(deployment));
  }
  [[nodiscard]] const MeasuredDeployment& bundle() const { return of(measure::Deployment::kBundle); }
  [[nodiscard]] const MeasuredDeployment& baseline() const { return of(measure::Deployment::kOneProcess); }

  /// Milliseconds of this machine per estimated millisecond of the nominal one, from the originals in one process.
  /// Nothing for plans without estimate.
  [[nodiscard]] std::optional<double> machine_factor() const;
  /// The bundle's milliseconds as the estimate has them, on this machine; nothing as above.
  [[nodiscard]] std::optional<double> expected_ms() const;
};

/// measure.json.
[[nodiscard]] Json to_json(const Measurement& measurement);
/// For a terminal: at most 100 columns, final newline.
[[nodiscard]] std::string to_text(const Measurement& measurement);
/// measure.html: a page without external files.
[[nodiscard]] std::string html(const Measurement& measurement);

/// "(a) the originals, one process each": a deployment in words.
[[nodiscard]] std::string title_of(measure::Deployment deployment);
/// "-12.3 %": of a ratio.
[[nodiscard]] std::string change_text(double ratio);

}  // namespace repsim::report
