#include "repsim/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "repsim/base/error.hpp"
#include "repsim/base/posix.hpp"
#include "temporary.hpp"

namespace repsim {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopiedBytes = std::size_t{1} << 20;

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// Makes a rename in `folder` durable. Some file systems cannot sync a folder, or let nobody open it for reading: the
/// files are in place all the same, so only a real failure of the disk counts.
void sync_folder(const fs::path& folder) {
  const FileDescriptor descriptor = open_descriptor(folder, O_RDONLY | O_DIRECTORY);
  if (descriptor.valid() && ::fsync(descriptor.get()) != 0 && errno == EIO) {
    throw system_error("cannot be written", folder, errno);
  }
}

/// A file under a temporary name, locked, and removed unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& final_path) : final_path_(final_path), descriptor_(create()) {
    temporary::remember(name_);
  }
  ~TemporaryFile() {
    if (!renamed_) ::unlink(name_.c_str());
    temporary::forget(name_);
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

  /// The file stays open, hence locked, until it has its name: nobody may take it for a leftover before.
  void put_in_place() {
    if (::fsync(descriptor_.get()) != 0) fail();  // network file systems report a full disk only here
    if (::rename(name_.c_str(), final_path_.c_str()) != 0) fail();
    renamed_ = true;
    sync_folder(folder_of(final_path_));
  }

 private:
  FileDescriptor create() {
    for (int attempt = 0;; ++attempt) {
      name_ = temporary::hidden_name(folder_of(final_path_), attempt, ".tmp");
      FileDescriptor descriptor = temporary::create_locked(name_);
      if (descriptor.valid()) return descriptor;
      if (errno != EEXIST) fail();
    }
  }

  [[noreturn]] void fail() const { throw system_error("cannot be written", final_path_, errno); }

  fs::path final_path_, name_;
  FileDescriptor descriptor_;
  bool renamed_ = false;
};

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    entries.push_back(entry->path());
  }
  if (failed) throw system_error("the folder cannot be read", folder, failed.value());
  return entries;
}

/// "out" for "out/" and "out/.".
fs::path without_slash(const fs::path& target) {
  const bool is_itself = target.filename() == "." || target.filename() == "..";
  const fs::path plain = is_itself && target.has_parent_path() ? target.lexically_normal() : target;
  return plain.has_filename() || !plain.has_parent_path() ? plain : plain.parent_path();
}

/// Whether the name is that of an open file, such as /dev/stdout, be it that of a regular one: the rename that puts an
/// output into place would replace the link.
bool names_an_open_file(const fs::path& target) {
  std::error_code failed;
  fs::path place = target;
  for (int links = 0; links < 40 && fs::is_symlink(place, failed); ++links) {
    const fs::path next = fs::read_symlink(place, failed);
    place = next.is_absolute() ? next : folder_of(place) / next;
    if (place.string().starts_with("/proc/")) return true;
  }
  return false;
}

/// True when `target` is a folder that may be written into; false when there is nothing of this name.
bool check_target(const fs::path& target, bool force) {
  if (target.empty()) throw input_error("the path of the output folder is empty", "output folder");
  std::error_code failed;
  const fs::file_status status = fs::symlink_status(target, failed);
  if (status.type() == fs::file_type::none)  // for example a name that is too long
    throw system_error("the folder cannot be made", target, failed.value());
  if (!fs::exists(status)) return false;
  if (!fs::is_directory(target, failed)) {
    throw input_error("exists and is no folder", target.string(), "choose another folder");
  }
  remove_leftovers(target);
  if (!force && !entries_of(target).empty()) {
    throw input_error("the folder exists and is not empty", target.string(),
                      "choose another one, or --force to replace the files in it");
  }
  return true;
}

/// The name of a file that may be written.
std::string checked_file_name(const fs::path& target, bool force) {
  std::error_code failed;
  const fs::file_status status = fs::status(target, failed);
  if (status.type() == fs::file_type::none) throw system_error("cannot be written", target, failed.value());
  if (!target.has_filename() || fs::is_directory(status))
    throw input_error("this is a folder, not a file to write", target.string(), "a path that ends with a file name");
  if (names_an_open_file(target))
    throw input_error("this is an open file, not the name of one", target.string(),
                      "leave it out to print to stdout (run: --json -), or name a file");
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw input_error("exists and is no regular file", target.string(), "choose another name");
  if (fs::exists(fs::symlink_status(target, failed)) && !force)
    throw input_error("the file is there already", target.string(), "--force replaces it");
  return target.filename().string();
}

std::unique_ptr<temporary::Folder> make_staging(const fs::path& folder, const fs::path& target) {
  remove_leftovers(folder);
  return std::make_unique<temporary::Folder>(folder, target);
}

/// Moves files, and moves all of them back unless it is told to keep them.
class Moves {
 public:
  Moves() = default;
  ~Moves() {
    for (auto move = done_.rbegin(); move != done_.rend(); ++move) ::rename(move->second.c_str(), move->first.c_str());
  }
  Moves(const Moves&) = delete;
  Moves& operator=(const Moves&) = delete;

  /// @param named  the path in the error
  void move(const fs::path& from, const fs::path& to, const fs::path& named) {
    done_.reserve(done_.size() + 1);  // what is done must be recorded
    std::pair<fs::path, fs::path> paths(from, to);
    if (::rename(from.c_str(), to.c_str()) != 0) throw system_error("cannot be written", named, errno);
    done_.push_back(std::move(paths));
  }
  void keep() { done_.clear(); }

 private:
  std::vector<std::pair<fs::path, fs::path>> done_;
};

}  // namespace

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  // A rename would replace a device such as /dev/null by a file.
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if ((fs::exists(status) && !fs::is_regular_file(status)) || names_an_open_file(path)) {
    throw input_error("cannot be written: exists and is no regular file", path.string(), "choose another name");
  }
  TemporaryFile file(path);
  file.write(bytes);
  file.put_in_place();
}

void sync_file(const fs::path& path, const fs::path& shown) {
  const FileDescriptor file = open_descriptor(path, O_RDONLY);
  if (!file.valid() || ::fsync(file.get()) != 0) throw system_error("cannot be written", shown, errno);
}

std::string read_file(const fs::path& path) {
  const FileDescriptor file = open_file(path);
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

StagedDirectory::StagedDirectory(const fs::path& target, bool force)
    : target_(without_slash(target)),
      into_existing_(check_target(target_, force)),
      parents_(target_),
      staging_(make_staging(into_existing_ ? target_ : folder_of(target_), target_)) {}

StagedDirectory::~StagedDirectory() = default;

fs::path StagedDirectory::path(std::string_view file) const { return staging_->path() / file; }

void StagedDirectory::commit(std::string_view last) {
  const temporary::Placing placing;
  if (into_existing_) {
    commit_into_existing(last);
  } else {
    commit_new();
  }
  parents_.keep();
  staging_.reset();
}

void StagedDirectory::commit_new() {
  const fs::path& staged = staging_->path();
  sync_folder(staged);
  if (::rename(staged.c_str(), target_.c_str()) != 0) throw system_error("the folder cannot be made", target_, errno);
  try {
    sync_folder(folder_of(target_));
  } catch (const Error&) {
    ::rename(target_.c_str(), staged.c_str());
    throw;
  }
}

void StagedDirectory::commit_into_existing(std::string_view last) {
  std::vector<fs::path> files = entries_of(staging_->path());
  const auto order = [last](const fs::path& file) { return std::pair(file.filename() == last, file); };
  std::sort(files.begin(), files.end(), [&](const fs::path& a, const fs::path& b) { return order(a) < order(b); });
  // Before the first rename, so that old and new files do not end up mixed.
  for (const fs::path& file : files) {
    const fs::path place = target_ / file.filename();
    std::error_code failed;
    if (fs::is_directory(place, failed)) {
      throw input_error("cannot be replaced: is a folder", place.string(), "move it away");
    }
  }
  const fs::path replaced = staging_->path() / "replaced";
  if (::mkdir(replaced.c_str(), 0777) != 0) throw system_error("cannot be written", replaced, errno);
  Moves moves;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    const fs::path place = target_ / file->filename();
    std::error_code failed;
    if (fs::exists(fs::symlink_status(place, failed))) moves.move(place, replaced / file->filename(), place);
  }
  for (const fs::path& file : files) moves.move(file, target_ / file.filename(), target_ / file.filename());
  sync_folder(target_);
  moves.keep();
}

StagedFile::StagedFile(const fs::path& target, bool force)
    : name_(checked_file_name(target, force)), parents_(target), staged_(folder_of(target), /*force=*/true) {}

void StagedFile::commit() {
  staged_.commit();
  parents_.keep();
}

}  // namespace repsim
