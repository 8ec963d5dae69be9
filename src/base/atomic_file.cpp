#include "repsim/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "repsim/base/error.hpp"
#include "repsim/base/posix.hpp"

namespace repsim {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopiedBytes = std::size_t{1} << 20;

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// A hidden name that does not depend on the final one, so that it is never too long. The caller counts `attempt` up
/// while the name is taken: that tells apart threads, and leftovers of a killed process of the same id.
fs::path hidden_name(const fs::path& folder, int attempt) {
  return folder / (".repsim-" + std::to_string(::getpid()) + "-" + std::to_string(attempt) + ".tmp");
}

/// Makes a rename in `folder` durable. Some file systems cannot sync a folder, or let nobody open it for reading: the
/// files are in place all the same, so only a real failure of the disk counts.
void sync_folder(const fs::path& folder) {
  const FileDescriptor descriptor = open_descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (descriptor.valid() && ::fsync(descriptor.get()) != 0 && errno == EIO) {
    throw system_error("cannot be written", folder, errno);
  }
}

/// A file under a temporary name, removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& final_path) : final_path_(final_path), descriptor_(create()) {}
  ~TemporaryFile() {
    if (!renamed_) ::unlink(name_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ::ssize_t written = ::write(descriptor_.get(), bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail();
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void put_in_place() {
    // Network file systems report a full disk only in fsync or close.
    if (::fsync(descriptor_.get()) != 0) fail();
    if (::close(descriptor_.release()) != 0) fail();
    if (::rename(name_.c_str(), final_path_.c_str()) != 0) fail();
    renamed_ = true;
    sync_folder(folder_of(final_path_));
  }

 private:
  FileDescriptor create() {
    for (int attempt = 0;; ++attempt) {
      name_ = hidden_name(folder_of(final_path_), attempt);
      FileDescriptor descriptor = open_descriptor(name_, O_WRONLY | O_CREAT | O_EXCL, 0666);
      if (descriptor.valid()) return descriptor;
      if (errno != EEXIST) fail();
    }
  }

  [[noreturn]] void fail() const { throw system_error("cannot be written", final_path_, errno); }

  fs::path final_path_, name_;
  FileDescriptor descriptor_;
  bool renamed_ = false;
};

/// Makes the staging folder, which proves before any work that files can be written there.
fs::path make_staging(const fs::path& folder, const fs::path& target) {
  for (int attempt = 0;; ++attempt) {
    fs::path staging = hidden_name(folder, attempt);
    if (::mkdir(staging.c_str(), 0777) == 0) return staging;
    if (errno != EEXIST) throw system_error("the folder cannot be written", target, errno);
  }
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    entries.push_back(entry->path());
  }
  if (failed) throw system_error("the folder cannot be read", folder, failed.value());
  return entries;
}

/// "out" for "out/".
fs::path without_slash(const fs::path& target) { return target.has_filename() ? target : target.parent_path(); }

/// True when `target` is a folder that may be written into; false when there is nothing of this name.
bool check_target(const fs::path& target, bool force) {
  if (target.empty()) throw input_error("the path of the output folder is empty", "output folder");
  std::error_code failed;
  if (!fs::exists(fs::symlink_status(target, failed))) return false;
  if (!fs::is_directory(target, failed)) {
    throw input_error("exists and is no folder", target.string(), "choose another folder");
  }
  if (!force && !entries_of(target).empty()) {
    throw input_error("the folder exists and is not empty", target.string(),
                      "choose another one, or --force to replace the files in it");
  }
  return true;
}

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  // A rename would replace a device such as /dev/null by a file.
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw input_error("cannot be written: exists and is no regular file", path.string(), "choose another name");
  }
  TemporaryFile file(path);
  file.write(bytes);
  file.put_in_place();
}

std::string read_file(const fs::path& path) {
  const FileDescriptor file = open_descriptor(path, O_RDONLY);
  if (!file.valid()) throw system_error("cannot be read", path, errno);
  // In pieces: what stat says of the size is wrong for files that are written meanwhile and for those in /proc.
  std::string content;
  std::vector<char> piece(kCopiedBytes);
  while (const std::size_t count = read_some(file, piece.data(), piece.size(), path))
    content.append(piece.data(), count);
  return content;
}

ParentFolders::ParentFolders(const fs::path& path) {
  std::vector<fs::path> missing;  // innermost first
  std::error_code failed;
  for (fs::path folder = folder_of(path); !fs::exists(folder, failed); folder = folder_of(folder)) {
    if (failed && failed != std::errc::no_such_file_or_directory) break;
    missing.push_back(folder);
  }
  for (auto folder = missing.rbegin(); folder != missing.rend(); ++folder) {
    if (::mkdir(folder->c_str(), 0777) == 0) {
      made_.push_back(*folder);
    } else if (const int error = errno; error != EEXIST) {
      remove();  // no destructor runs for an object that was not made
      throw system_error("the folder cannot be made", *folder, error);
    }
  }
}

void ParentFolders::remove() {
  for (auto folder = made_.rbegin(); folder != made_.rend(); ++folder) {
    if (::rmdir(folder->c_str()) != 0) break;  // another program uses it by now
  }
  made_.clear();
}

StagedDirectory::StagedDirectory(fs::path target, bool force)
    : target_(without_slash(target)),
      into_existing_(check_target(target_, force)),
      parents_(target_),
      staging_(make_staging(into_existing_ ? target_ : folder_of(target_), target_)) {}

StagedDirectory::~StagedDirectory() {
  std::error_code ignored;  // nobody is left to tell
  if (!committed_) fs::remove_all(staging_, ignored);
}

void StagedDirectory::commit() {
  if (!into_existing_) {
    sync_folder(staging_);
    if (::rename(staging_.c_str(), target_.c_str()) != 0)
      throw system_error("the folder cannot be made", target_, errno);
    committed_ = true;
    parents_.keep();
    sync_folder(folder_of(target_));
    return;
  }
  const std::vector<fs::path> files = entries_of(staging_);
  // Before the first rename, so that old and new files do not end up mixed.
  for (const fs::path& file : files) {
    const fs::path place = target_ / file.filename();
    std::error_code failed;
    if (fs::is_directory(place, failed)) {
      throw input_error("cannot be replaced: is a folder", place.string(), "move it away");
    }
  }
  for (const fs::path& file : files) {
    const fs::path place = target_ / file.filename();
    if (::rename(file.c_str(), place.c_str()) != 0) throw system_error("cannot be written", place, errno);
  }
  sync_folder(target_);
  if (::rmdir(staging_.c_str()) != 0) throw system_error("cannot be removed", staging_, errno);
  committed_ = true;
}

}  // namespace repsim
