#include "repsim/base/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "repsim/base/posix.hpp"

namespace repsim {
namespace {

constexpr int kSignalled = 128;
constexpr int kMomentMilliseconds = 50;  // between two questions whether to stop

struct Pipe {
  FileDescriptor from, to;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw system_error("no pipe can be made", "", errno);
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

void close(FileDescriptor& descriptor) { ::close(descriptor.release()); }

/// Reads both pipes until both are closed.
void read_both(const FileDescriptor& out, const FileDescriptor& err, ChildOutput& output, Progress& progress) {
  std::array<pollfd, 2> waiting{pollfd{out.get(), POLLIN, 0}, pollfd{err.get(), POLLIN, 0}};
  const std::array<std::string*, 2> texts{&output.out, &output.err};
  std::array<char, 4096> buffer{};
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    if (::poll(waiting.data(), waiting.size(), kMomentMilliseconds) <= 0) {
      progress.step(0);  // asks whether to stop
      continue;
    }
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      const std::size_t count = read_some(i == 0 ? out : err, buffer.data(), buffer.size(), "pipe of a child");
      if (count == 0) waiting[i].fd = -1;
      texts[i]->append(buffer.data(), count);
    }
  }
}

}  // namespace

SpawnPlan::SpawnPlan() {
  posix_spawn_file_actions_init(&actions_);
  posix_spawnattr_init(&attributes_);
}

SpawnPlan::~SpawnPlan() {
  posix_spawn_file_actions_destroy(&actions_);
  posix_spawnattr_destroy(&attributes_);
}

void SpawnPlan::open(int descriptor, const std::filesystem::path& path, int flags) {
  posix_spawn_file_actions_addopen(&actions_, descriptor, path.c_str(), flags, 0644);
}

void SpawnPlan::duplicate(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }

void SpawnPlan::use_own_group() {
  posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes_, 0);
}

pid_t SpawnPlan::start(const char* program, std::vector<std::string> command, const std::string& remedy) {
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, program, &actions_, &attributes_, arguments.data(), environ);
  if (failed != 0)
    throw input_error("it cannot be started: " + std::string(std::strerror(failed)), command.front(), remedy);
  return child;
}

int exit_code_of_status(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status); }

ChildGuard::~ChildGuard() {
  if (child_ <= 0) return;
  ::kill(child_, SIGTERM);
  static_cast<void>(wait());
}

int ChildGuard::wait() {
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = 0;
  return exit_code_of_status(status);
}

namespace {

ChildOutput output_of_child(const char* program, std::vector<std::string> command, const std::string& remedy,
                            Progress& progress) {
  Pipe out = make_pipe(), err = make_pipe();
  SpawnPlan plan;
  plan.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  plan.duplicate(out.to.get(), STDOUT_FILENO);
  plan.duplicate(err.to.get(), STDERR_FILENO);
  plan.use_own_group();
  ChildGuard child(plan.start(program, std::move(command), remedy));
  close(out.to);
  close(err.to);
  ChildOutput output;
  read_both(out.from, err.from, output, progress);
  output.exit_code = child.wait();
  return output;
}

}  // namespace

ChildOutput run_program(const std::vector<std::string>& command, Progress& progress) {
  return output_of_child(command.front().c_str(), command, "install it, or put it into PATH", progress);
}

ChildOutput run_again(const std::vector<std::string>& arguments, Progress& progress) {
  std::vector<std::string> command{"repsim"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return output_of_child("/proc/self/exe", std::move(command), "a higher limit on processes (ulimit -u)", progress);
}

}  // namespace repsim
