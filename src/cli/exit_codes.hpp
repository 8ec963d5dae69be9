#pragma once

namespace repsim::cli {

/// A contract: scripts depend on them (README.md, "Exit codes").
enum ExitCode : int {
  kExitOther = 1,
  kExitUsage = 2,
  kExitBadInput = 3,
  kExitNothingToShare = 4,
  kExitDrift = 5,
  kExitInterrupted = 130,
};

}  // namespace repsim::cli
