#pragma once

#include <string>

/// What a program says of the LibTorch that repsim is built with. Needs no header of LibTorch.
namespace repsim::session {

/// Version of the LibTorch that repsim is built with: "2.13.0".
[[nodiscard]] std::string torch_version();

/// What this LibTorch computes on beside the CPU: "CPU only", "CUDA, no GPU found", "CUDA, 1 GPU". For --version.
[[nodiscard]] std::string torch_devices();

/// Sends LibTorch's warnings, and what models print while they run, to the log at debug level. Process-wide, so a
/// program calls it, once; this library never does.
void log_torch_output();

}  // namespace repsim::session
