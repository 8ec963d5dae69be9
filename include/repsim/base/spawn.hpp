#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/progress.hpp"

/// Child processes.
namespace repsim {

/// How a child process is started: its streams and its group.
class SpawnPlan {
 public:
  SpawnPlan();
  ~SpawnPlan();
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  /// The child's descriptor is this file. @param flags  as for open(2)
  void open(int descriptor, const std::filesystem::path& path, int flags);
  /// The child's descriptor `to` is the parent's `from`.
  void duplicate(int from, int to);
  /// Signals of a terminal do not reach the child.
  void use_own_group();

  /// @param program  path, or a name that PATH finds
  /// @param command  all arguments; the first one names the program, also in errors
  /// @throws Error{kInput} where the system starts no process
  pid_t start(const char* program, std::vector<std::string> command, const std::string& remedy);

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// The exit code of waitpid()'s status, 128 + N where signal N ended the child.
[[nodiscard]] int exit_code_of_status(int status);

/// Ends a child when its work is given up.
class ChildGuard {
 public:
  explicit ChildGuard(pid_t child) : child_(child) {}
  ~ChildGuard();
  ChildGuard(const ChildGuard&) = delete;
  ChildGuard& operator=(const ChildGuard&) = delete;

  /// Waits until the child has ended. @return its exit code
  int wait();

 private:
  pid_t child_;
};

/// What a child process left behind.
struct ChildOutput {
  int exit_code = 0;  ///< 128 + N where signal N ended it
  std::string out, err;
};

/// Runs a program of the system and reads what it prints on both streams.
/// @param command  the program, which PATH finds, and its arguments
/// @throws Error{kInput} where there is no such program, or no process can be started; Error{kInterrupted}, after the
///         child was ended
[[nodiscard]] ChildOutput run_program(const std::vector<std::string>& command, Progress& progress);

/// Runs this program again, in a process of its own, and reads what it prints on both streams.
/// @param arguments  without the program's name
/// @throws Error{kInput} where the system starts no process; Error{kInterrupted}, after the child was ended
[[nodiscard]] ChildOutput run_again(const std::vector<std::string>& arguments, Progress& progress);

}  // namespace repsim
