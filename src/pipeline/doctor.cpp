#include "repsim/doctor.hpp"

#include "machine_checks.hpp"
#include "repsim/codecs.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

using report::Health;
using report::MachineCheck;

MachineCheck check_program(const Surroundings& surroundings) {
  MachineCheck check{"repsim", Health::kOk, surroundings.version, "", {{"version", surroundings.version}}};
  if (surroundings.optimised) return check;
  check.health = Health::kWarning;
  check.finding += ", built without optimisation";
  check.remedy = "for real runs: cmake --preset release && cmake --build --preset release";
  return check;
}

MachineCheck check_torch() {
  const std::string version = session::torch_version();
  return {"LibTorch", Health::kOk, version, "", {{"version", version}}};
}

/// "1.2" of "1.2.3", "59.37" of "libavcodec 59.37.100": versions of one number here have one set of functions.
std::string series(const std::string& version) {
  const std::size_t begin = version.rfind(' ') == std::string::npos ? 0 : version.rfind(' ') + 1;
  return version.substr(begin, version.find('.', begin) - begin);
}

MachineCheck check_library(const std::string& name, const video::LibraryVersion& version) {
  MachineCheck check{name, Health::kOk, version.running, "", {{"version", version.running}, {"built", version.built}}};
  if (series(version.running) == series(version.built)) return check;
  check.health = Health::kFailure;
  check.finding += ", but repsim was built with " + version.built;
  check.remedy = "build repsim again on this machine, or install the version that it was built with";
  return check;
}

}  // namespace

std::vector<MachineCheck> examine_machine(const Surroundings& surroundings) {
  return {check_program(surroundings),
          check_torch(),
          check_library("OpenCV", video::opencv_version()),
          check_library("FFmpeg", video::ffmpeg_version()),
          check_cpu(surroundings),
          check_threads(surroundings),
          check_openmp(surroundings),
          check_device(surroundings),
          check_video_codecs(),
          check_pictures(),
          check_cache(surroundings),
          check_temporary_files(surroundings),
          check_memory(),
          check_limits()};
}

}  // namespace repsim::pipeline
