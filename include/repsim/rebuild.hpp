#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/config.hpp"
#include "repsim/report.hpp"

/// From a plan that lies on disk to its bundle: opens the plan, checks what a person may have changed in it, fits its
/// shares again and writes the file. No torch.
namespace repsim::rebuild {

struct RebuildSettings {
  std::filesystem::path plan;  ///< plan.json, or the folder that holds it
  std::filesystem::path out;   ///< the bundle to write
  bool force = false;          ///< replace it where it is there already
  int threads = 0;
  config::Device device;                     ///< as in Settings
  std::vector<std::string> libraries;        ///< as in Settings
  std::optional<std::int64_t> memory_limit;  ///< as in Settings
};

/// Writes the bundle of a plan again, without a search: its shares are fitted on its calibration frames, the file is
/// read back and measured on its hold-out frames. A plan that nobody changed gives the very bytes again, on the same
/// machine with as many threads and on the same device. The file appears once it was measured, also where a model falls
/// below its target.
/// @throws Error{kInput} when plan, models or video are missing or were changed (sha256), or when the plan was edited
/// into something that is no plan: names the field ("plan.json: shares[0].replaced[1].donor_layer")
[[nodiscard]] report::Rebuilt rebuild(const RebuildSettings& settings, Progress& progress);

}  // namespace repsim::rebuild
