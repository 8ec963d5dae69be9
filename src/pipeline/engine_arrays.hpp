#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "repsim/npz.hpp"
#include "repsim/session.hpp"
#include "repsim/verification.hpp"

/// Frames for other engines, and what they return (docs/runtimes.md, "Any engine").
namespace repsim::pipeline {

/// Some of a plan's calibration frames, evenly spread: engines calibrate their quantisation on them.
[[nodiscard]] std::vector<std::int64_t> calibration_for_engines(const std::vector<std::int64_t>& frames);

/// Writes an array per input, [frames, ...] as one frame at a time is given to the model: "images", or with several
/// inputs "images_<model>" after the first model of each. "frames" has the indices in the video. Calibration frames
/// have "calibration_" before these names.
/// @param calibration  null: none
/// @throws Error{kInput} when the file cannot be written
void write_engine_inputs(const std::filesystem::path& path, const session::Session& session,
                         const capture::Stores& frames, const capture::Stores* calibration);

/// What an engine returned, from a file of arrays "original/<model>/<i>" and "bundle/<model>/<i>": the i-th tensor of
/// the model's output, [frames, ...].
class EngineOutputs {
 public:
  /// @param session  outlives this object
  /// @param frames  indices in the video, which the file has to state
  /// @throws Error{kInput} when the file is damaged, is of other frames, or has arrays of unknown names
  EngineOutputs(const std::filesystem::path& path, const session::Session& session, std::vector<std::int64_t> frames);

  /// Adds to the models of `result` what their outputs keep of the originals in Torch.
  /// @param check  its originals are set to run one frame at a time
  /// @throws Error{kInput} when a model's array is missing, or has another shape or type than the model's output
  void judge(verify::BundleCheck& check, report::Verification& result, Progress& progress) const;

 private:
  [[nodiscard]] std::optional<verify::Forward> forward_of(const std::string& side, std::size_t model,
                                                          const verify::Forward& original) const;
  [[nodiscard]] at::Tensor read(const std::string& name, const at::Tensor& like) const;
  void check_names() const;

  model::NpzReader reader_;
  const session::Session& session_;
  std::vector<std::int64_t> frames_;
};

}  // namespace repsim::pipeline
