#pragma once

#include <filesystem>
#include <string>

#include "repsim/base/posix.hpp"

/// Temporary files and folders: hidden names ".repsim-PID-N.tmp" in the folder of the final name. A lock (flock) says
/// that somebody writes there. It ends with the process, however that ends, so what nobody has locked is a leftover.
namespace repsim::temporary {

enum class Lock { kTaken, kHeldByOthers, kNotSupported };

/// Takes the lock of an open file without waiting.
[[nodiscard]] Lock lock(const FileDescriptor& file);

/// False when the name was removed or given to another file since `file` was opened.
[[nodiscard]] bool is_still_named(const FileDescriptor& file, const std::filesystem::path& name);

/// A hidden name that does not depend on the final one, so that it is never too long. The caller counts `attempt` up
/// while the name is taken: that tells apart threads, and leftovers of a killed process of the same id.
[[nodiscard]] std::filesystem::path hidden_name(const std::filesystem::path& folder, int attempt,
                                                const std::string& extension);

/// Makes a file of this name and locks it. Not valid when the name is taken, or when another process takes the new file
/// for a leftover before it is locked (errno is EEXIST in both cases), and when it cannot be made.
[[nodiscard]] FileDescriptor create_locked(const std::filesystem::path& name);

/// A hidden folder with a lock file beside it, ".repsim-PID-N.lock". Both go with the object.
class Folder {
 public:
  /// Makes them in `parent`, which proves before any work that files can be written there.
  /// @param target  the final folder, which errors name
  Folder(const std::filesystem::path& parent, const std::filesystem::path& target);
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return made_.path; }

 private:
  struct Made {
    std::filesystem::path path, lock_path;
    FileDescriptor lock;
  };
  static Made make(const std::filesystem::path& parent, const std::filesystem::path& target);

  Made made_;
};

/// Temporary files and folders of this process, for abandon_outputs().
void remember(const std::filesystem::path& path);
void forget(const std::filesystem::path& path);

/// While it lives, abandon_outputs() waits: files are being put into their places.
class Placing {
 public:
  Placing();
  ~Placing();
  Placing(const Placing&) = delete;
  Placing& operator=(const Placing&) = delete;
};

}  // namespace repsim::temporary
