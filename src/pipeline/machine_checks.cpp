#include "machine_checks.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>

#include "repsim/base/error.hpp"
#include "repsim/base/machine.hpp"
#include "repsim/base/text.hpp"
#include "repsim/codecs.hpp"
#include "repsim/session.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {
namespace {

using report::Health;
using report::MachineCheck;

/// The value of a variable; empty where it is not set.
std::string variable(const Surroundings& surroundings, const std::string& name) {
  const auto found = surroundings.environment.find(name);
  return found == surroundings.environment.end() ? "" : found->second;
}

/// The first of these variables that is set, as NAME=VALUE; empty where none is.
std::string first_set(const Surroundings& surroundings, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (surroundings.environment.contains(name)) return name + "=" + variable(surroundings, name);
  }
  return {};
}

void worsen(MachineCheck& check, Health health, const std::string& finding, const std::string& remedy) {
  check.health = std::max(check.health, health);
  check.finding += finding;
  check.remedy += (check.remedy.empty() ? "" : "; ") + remedy;
}

std::string counted(int count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

bool waits_busily(const std::string& assignment) {
  std::string text = assignment;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text == "omp_wait_policy=active" || text == "kmp_library=turnaround" || text == "kmp_blocktime=infinite" ||
         text == "gomp_spincount=infinite" || text == "gomp_spincount=infinity";
}

std::string list_of(const std::vector<video::Codec>& codecs, bool readable, bool common_only = false) {
  std::vector<std::string> names;
  for (const video::Codec& codec : codecs) {
    if (codec.readable == readable && (codec.common || !common_only)) names.push_back(codec.name);
  }
  return join(names, ", ");
}

MachineCheck check_codecs(const std::string& name, const std::vector<video::Codec>& codecs, Health health,
                          const std::string& remedy) {
  MachineCheck check{name, Health::kOk, "reads " + list_of(codecs, true), ""};
  for (const video::Codec& codec : codecs) check.details[codec.name] = codec.readable;
  const std::string missing = list_of(codecs, false), expected = list_of(codecs, false, true);
  if (!missing.empty()) check.finding += "; not " + missing;
  if (!expected.empty()) worsen(check, health, "", remedy);
  return check;
}

}  // namespace

MachineCheck check_cpu(const Surroundings& surroundings) {
  const Cpu found = cpu();
  const std::string used = at::get_cpu_capability();
  MachineCheck check{"CPU",
                     Health::kOk,
                     (found.model.empty() ? "model not known" : found.model) + " (" +
                         (found.instructions.empty() ? "no vector instructions known" : join(found.instructions, " ")) +
                         "); LibTorch uses " + used,
                     "",
                     {{"model", found.model}, {"instructions", found.instructions}, {"torch_uses", used}}};
  const std::string limit = variable(surroundings, "ATEN_CPU_CAPABILITY");
  const bool is_x86 =
      std::find(found.instructions.begin(), found.instructions.end(), "sse4_2") != found.instructions.end();
  if (!limit.empty()) {
    worsen(check, Health::kWarning, ", as ATEN_CPU_CAPABILITY=" + limit + " says", "unset ATEN_CPU_CAPABILITY");
  } else if (is_x86 && used == "DEFAULT") {
    worsen(check, Health::kWarning, "; without AVX2 runs take several times as long",
           "a machine with AVX2; in a virtual machine: pass the host's CPU through");
  }
  return check;
}

MachineCheck check_threads(const Surroundings& surroundings) {
  const int cores = usable_cores();
  const std::optional<double> quota = cpu_quota();
  MachineCheck check{"threads", Health::kOk, "", "", {{"cores", cores}, {"quota", quota ? Json(*quota) : Json()}}};
  try {
    const session::ThreadCount started(surroundings.threads);
    check.details["threads"] = at::get_num_threads();
    check.finding = counted(at::get_num_threads(), "thread") + " on " + counted(cores, "core");
  } catch (const Error& error) {
    check.details["threads"] = Json();
    check.health = Health::kFailure;
    check.finding = error.problem();
    check.remedy = error.remedy();
    return check;
  }
  const int started = check.details["threads"].get<int>();
  if (quota && *quota < started) {
    const int fitting = threads_from("", std::max(cores, 1), quota);
    worsen(check, Health::kWarning, ", but the container grants " + shortest(*quota) + " of them",
           fitting < started ? "--threads " + std::to_string(fitting) : "grant the container a whole core");
  } else if (cores > 0 && cores < started) {
    worsen(check, Health::kWarning, "", "--threads " + std::to_string(cores));
  }
  return check;
}

MachineCheck check_openmp(const Surroundings& surroundings) {
  std::vector<std::string> runtimes;
  for (const char* prefix : {"libgomp", "libomp", "libiomp"}) {
    const auto found = loaded_libraries(prefix);
    runtimes.insert(runtimes.end(), found.begin(), found.end());
  }
  const std::string user =
      first_set(surroundings, {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY"});
  // The program answers for the variable itself (src/startup).
  const char* spins = std::getenv("GOMP_SPINCOUNT");
  MachineCheck check{"OpenMP waiting",
                     Health::kOk,
                     runtimes.empty() ? "no OpenMP" : join(runtimes, ", ") + ": ",
                     "",
                     {{"runtimes", runtimes},
                      {"set_by_user", user.empty() ? Json() : Json(user)},
                      {"spin_count", spins == nullptr ? Json() : Json(spins)}}};
  if (runtimes.empty()) return check;
  if (!user.empty()) {
    check.finding += "threads wait as " + user + " says";
  } else if (spins != nullptr) {
    check.finding += "a thread looks for work " + std::string(spins) + " times, then it sleeps";
  } else {
    check.finding += "threads wait as the runtime decides";
  }
  if (waits_busily(user)) {
    worsen(check, Health::kWarning, ", so they take time from other programs",
           "unset " + user.substr(0, user.find('=')) + " (docs/performance.md)");
  }
  return check;
}

MachineCheck check_device(const Surroundings& surroundings) {
  const std::string devices = session::torch_devices();
  MachineCheck check{"GPU", Health::kOk, "LibTorch computes on: " + devices, "", {{"devices", devices}}};
  try {
    const session::Runtime runtime({surroundings.threads, surroundings.device, {}});
  } catch (const Error& error) {
    // Threads that cannot be started are the matter of another check.
    if (surroundings.device.kind == config::Device::Kind::kCpu) return check;
    worsen(check, Health::kFailure, "; " + error.problem(), error.remedy());
    return check;
  }
  if (devices.find("no GPU") != std::string::npos)
    worsen(check, Health::kWarning, "", "check the driver (nvidia-smi) and CUDA_VISIBLE_DEVICES; --device cpu works");
  return check;
}

MachineCheck check_video_codecs() {
  return check_codecs("video", video::video_codecs(), Health::kWarning,
                      "an FFmpeg with these decoders, or convert such videos first");
}

MachineCheck check_pictures() {
  return check_codecs("pictures", video::picture_formats(), Health::kFailure,
                      "an OpenCV with libjpeg and libpng: the baselines and report.html need them");
}

}  // namespace repsim::pipeline
