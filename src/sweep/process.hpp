#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/posix.hpp"
#include "repsim/base/progress.hpp"

/// Child processes and locks.
namespace repsim::sweep {

/// Locks a task's folder for one process that runs it. Nothing where another process has it.
/// Where the file system has no locks, the descriptor is there all the same.
/// @throws Error{kInput} when the folder cannot be written
[[nodiscard]] std::optional<FileDescriptor> try_lock(const std::filesystem::path& folder);

/// How a task's process is started.
struct Launch {
  std::vector<std::string> arguments;  ///< without the program's name
  std::filesystem::path log;           ///< takes stdout and stderr
  int lock = -1;                       ///< descriptor that the child keeps open until it ends
  /// Signals of a terminal do not reach the child: the parent tells it to stop.
  bool own_group = false;
};

/// Starts this program. @throws Error{kInput} when the system starts no process
[[nodiscard]] pid_t start_process(const Launch& launch);

/// The exit code of a child that has ended, 128 + N where signal N ended it. Nothing while it runs.
[[nodiscard]] std::optional<int> exit_code_of(pid_t child);

/// Sleeps for a moment, between looks at children.
void wait_a_moment();

/// Runs a program of the system and reads what it prints. stderr is that of this process.
/// @param remedy  where the system has no such program
/// @throws Error{kInput} when it cannot be started, or ends with another code than 0; Error{kInterrupted}
[[nodiscard]] std::string output_of(const std::vector<std::string>& command, const std::string& remedy,
                                    Progress& progress);

}  // namespace repsim::sweep
