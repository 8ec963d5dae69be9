// Runs `repsim inspect`'s library path over mutated TorchScript archives, each of which has right checksums.
//
//   repsim_fuzz_archives --seeds FOLDER --work FOLDER [--runs N] [--first N] [--seconds N]
//
// LibTorch is loaded once. A child takes archives until one ends it; another child goes on behind that one. An archive
// is a finding, kept in --work, if it ends the child by a signal, by an exception other than repsim's own Error of kind
// input, or if it takes longer than --seconds. The archive's own code may crash Torch, whose operators trust their
// arguments in places, and may loop without end: if repsim can tell that this is what happens, that is no finding, but
// counted, and kept too. The number of a run decides the archive.
// Exit code: 0 no findings, 1 findings, 2 a wrong command line.
#include <ATen/Parallel.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <span>

#include "cli/crash_report.hpp"
#include "mutations.hpp"
#include "repsim/base/crash_note.hpp"
#include "repsim/base/error.hpp"
#include "repsim/pipeline.hpp"

namespace {

namespace fs = std::filesystem;
using repsim::fuzz::Records;

struct Options {
  fs::path seeds, work;
  std::int64_t runs = 300, first = 0;
  unsigned seconds = 60;
};

/// What a child tells its parent while it runs: it lies in memory of both.
struct Shared {
  std::int64_t run = 0, opened = 0, refused = 0;
};

constexpr std::uintmax_t kMostSeedBytes = 30'000;  // a larger archive holds more weights, not more structure
constexpr std::int64_t kRunsPerChild = 200;        // what one archive leaves behind is not the next thousand's
[[maybe_unused]] constexpr rlim_t kMostMemory = rlim_t{12}
                                                << 30U;  // of addresses: LibTorch's own and what a model may ask for
enum ExitCode : int { kDone = 0, kCrashReported = 3, kOtherKind = 40, kOtherException = 41, kEndless = 42 };

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<Records> seeds_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".pt" && entry.file_size() < kMostSeedBytes) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Records> seeds;
  for (const fs::path& path : paths) seeds.push_back(repsim::fuzz::records_of(bytes_of(path)));
  return seeds;
}

/// Inspects one archive. @return whether repsim could use it
bool inspect(const fs::path& path) {
  repsim::model::ModelSpec spec;
  spec.name = "m";
  spec.path = path.string();
  repsim::model::InputSpec input;
  input.width = 64;
  input.height = 48;
  spec.input = input;
  repsim::SilentProgress silent;
  try {
    static_cast<void>(repsim::pipeline::inspect(spec, {}, silent));
    return true;
  } catch (const repsim::Error& error) {
    if (error.kind() == repsim::ErrorKind::kInput) return false;
    std::cerr << "an Error of another kind: " << error.problem() << std::endl;
    ::_exit(kOtherKind);
  } catch (const std::exception& error) {
    std::cerr << "another exception: " << error.what() << std::endl;
    ::_exit(kOtherException);
  }
}

/// The archive has taken its time: in its own code, or in repsim.
extern "C" void on_alarm(int /*signal*/) {
  if (repsim::CrashNote::current() != nullptr) ::_exit(kEndless);
  ::signal(SIGALRM, SIG_DFL);
  ::raise(SIGALRM);
}

[[noreturn]] void run_child(const std::vector<Records>& seeds, const Options& options, std::int64_t end,
                            Shared& shared) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
#ifndef REPSIM_SANITIZED  // sanitizers take terabytes of addresses
  const rlimit limit{kMostMemory, kMostMemory};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
  repsim::cli::install_crash_report(/*log_json=*/false);
  ::signal(SIGALRM, on_alarm);
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(nowhere, STDOUT_FILENO);  // warnings about archives
  const fs::path path = options.work / "m.pt";
  for (; shared.run < end; ++shared.run) {
    const std::string archive =
        repsim::fuzz::archive_of(repsim::fuzz::mutated(seeds, static_cast<std::uint64_t>(shared.run)));
    std::ofstream(path, std::ios::binary | std::ios::trunc) << archive;
    ::alarm(options.seconds);
    ++(inspect(path) ? shared.opened : shared.refused);
    ::alarm(0);
  }
  ::_exit(kDone);
}

/// How an archive ended its child, and whether repsim is to blame.
struct End {
  std::string how;
  bool finding = true;
};

End end_of(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return {"time"};
  if (WIFSIGNALED(status)) return {"signal " + std::to_string(WTERMSIG(status))};
  switch (WEXITSTATUS(status)) {
    case kCrashReported:
      return {"a crash in its own code", false};
    case kEndless:
      return {"time in its own code", false};
    case kOtherKind:
      return {"an error of another kind"};
    default:
      return {"an exception"};
  }
}

/// @return how often archives ended a child, by the way
std::map<std::string, std::int64_t> run_all(const std::vector<Records>& seeds, const Options& options, Shared& shared,
                                            std::int64_t& findings) {
  std::map<std::string, std::int64_t> ends;
  const std::int64_t end = options.first + options.runs;
  shared.run = options.first;
  while (shared.run < end) {
    const pid_t child = ::fork();
    if (child == 0) run_child(seeds, options, std::min(end, shared.run + kRunsPerChild), shared);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == kDone) {
      std::cout << shared.run - options.first << " archives: " << shared.opened << " opened" << std::endl;
      continue;
    }
    const End ended = end_of(status);
    ++ends[ended.how];
    findings += ended.finding ? 1 : 0;
    const std::string kind = ended.finding ? "finding" : "own-code";
    fs::copy_file(options.work / "m.pt", options.work / (kind + "-" + std::to_string(shared.run) + ".pt"),
                  fs::copy_options::overwrite_existing);
    std::cout << kind << ": " << ended.how << ", repeat with --first " << shared.run << " --runs 1" << std::endl;
    ++shared.run;
  }
  return ends;
}

int usage() {
  std::cerr << "usage: repsim_fuzz_archives --seeds FOLDER --work FOLDER [--runs N] [--first N] [--seconds N]\n";
  return 2;
}

}  // namespace

int main(int count, char** values) {
  Options options;
  const std::span<char*> arguments(values, static_cast<std::size_t>(count));
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    const std::string name = arguments[i], value = arguments[i + 1];
    if (name == "--seeds") {
      options.seeds = value;
    } else if (name == "--work") {
      options.work = value;
    } else if (name == "--runs") {
      options.runs = std::stoll(value);
    } else if (name == "--first") {
      options.first = std::stoll(value);
    } else if (name == "--seconds") {
      options.seconds = static_cast<unsigned>(std::stoul(value));
    } else {
      return usage();
    }
  }
  if (options.seeds.empty() || options.work.empty() || count % 2 == 0) return usage();
  fs::create_directories(options.work);
  at::set_num_threads(1);
  const std::vector<Records> seeds = seeds_in(options.seeds);
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (seeds.empty() || memory == MAP_FAILED) return usage();
  auto& shared = *new (memory) Shared;
  std::int64_t findings = 0;
  const auto ends = run_all(seeds, options, shared, findings);
  std::cout << options.runs << " archives from " << seeds.size() << " seeds: " << shared.opened << " opened, "
            << shared.refused << " refused";
  for (const auto& [how, times] : ends) std::cout << ", " << times << " ended by " << how;
  std::cout << ", " << findings << " findings" << std::endl;
  return findings == 0 ? 0 : 1;
}
