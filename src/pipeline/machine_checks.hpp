#pragma once

#include "repsim/doctor.hpp"

/// The parts of an examination.
namespace repsim::pipeline {

[[nodiscard]] report::MachineCheck check_cpu(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_threads(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_openmp(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_device(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_video_codecs();
[[nodiscard]] report::MachineCheck check_pictures();
[[nodiscard]] report::MachineCheck check_cache(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_temporary_files(const Surroundings& surroundings);
[[nodiscard]] report::MachineCheck check_memory();
[[nodiscard]] report::MachineCheck check_limits();

}  // namespace repsim::pipeline
