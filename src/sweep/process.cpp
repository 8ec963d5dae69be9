#include "process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "repsim/base/log.hpp"
#include "repsim/base/spawn.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kMoment{50};
constexpr int kLockDescriptor = 3;  // in the child: the first one that is no stream

}  // namespace

std::optional<FileDescriptor> try_lock(const fs::path& folder) {
  const fs::path path = folder / "lock";
  FileDescriptor file = open_descriptor(path, O_RDWR | O_CREAT, 0644);
  if (!file.valid()) throw system_error("it cannot be locked", path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno == EWOULDBLOCK) return std::nullopt;
  log::debug(path.string() + ": this file system has no locks: " + std::strerror(errno));
  return file;
}

pid_t start_process(const Launch& launch) {
  SpawnPlan plan;
  plan.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  plan.open(STDOUT_FILENO, launch.log, O_WRONLY | O_CREAT | O_TRUNC);
  plan.duplicate(STDOUT_FILENO, STDERR_FILENO);
  if (launch.lock >= 0) plan.duplicate(launch.lock, kLockDescriptor);
  if (launch.own_group) plan.use_own_group();
  std::vector<std::string> command{"repsim"};
  command.insert(command.end(), launch.arguments.begin(), launch.arguments.end());
  return plan.start("/proc/self/exe", std::move(command), "fewer --jobs, or a higher limit (ulimit -u)");
}

std::optional<int> exit_code_of(pid_t child) {
  int status = 0;
  pid_t found = 0;
  while ((found = ::waitpid(child, &status, WNOHANG)) < 0 && errno == EINTR) {
  }
  if (found == 0) return std::nullopt;
  return found < 0 ? 1 : exit_code_of_status(status);
}

void wait_a_moment() { std::this_thread::sleep_for(kMoment); }

std::string output_of(const std::vector<std::string>& command, const std::string& remedy, Progress& progress) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error("no pipe can be made", command.front(), errno);
  const FileDescriptor from(ends[0]);
  std::string text;
  std::optional<ChildGuard> child;
  {
    const FileDescriptor to(ends[1]);
    SpawnPlan plan;
    plan.open(STDIN_FILENO, "/dev/null", O_RDONLY);
    plan.duplicate(to.get(), STDOUT_FILENO);
    child.emplace(plan.start(command.front().c_str(), command, remedy));
  }
  std::array<char, 4096> buffer{};
  while (true) {
    pollfd waiting{from.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(kMoment.count())) <= 0) {
      progress.step(0);  // asks whether to stop
      continue;
    }
    const std::size_t count = read_some(from, buffer.data(), buffer.size(), command.front());
    if (count == 0) break;
    text.append(buffer.data(), count);
  }
  if (const int code = child->wait(); code != 0)
    throw input_error("it ended with exit code " + std::to_string(code), command.front(), "what it says above");
  return text;
}

}  // namespace repsim::sweep
