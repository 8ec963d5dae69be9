#include "temporary.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "repsim/base/atomic_file.hpp"

namespace repsim::temporary {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = ".repsim-";
constexpr const char* kFile = ".tmp";
constexpr const char* kLock = ".lock";

/// True for file systems of which other machines see the same files, and perhaps not the same locks.
bool is_shared_by_machines(const FileDescriptor& file) {
  // Those that linux/magic.h does not name: CIFS, Lustre, GPFS, BeeGFS, FUSE (sshfs and others).
  constexpr std::array<unsigned long, 11> kNetwork{NFS_SUPER_MAGIC, SMB_SUPER_MAGIC, SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC,
                                                   V9FS_MAGIC,      AFS_SUPER_MAGIC, 0xFF534D42,       0x0BD00BD0,
                                                   0x47504653,      0x19830326,      0x65735546};
  struct statfs system = {};
  if (::fstatfs(file.get(), &system) != 0) return true;
  const auto type = static_cast<unsigned long>(system.f_type) & 0xFFFFFFFFUL;
  return std::find(kNetwork.begin(), kNetwork.end(), type) != kNetwork.end();
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

/// What a lock file says: the machine whose process made it.
std::string written_in(const FileDescriptor& file) {
  std::array<char, 256> text{};
  const ::ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

/// ".repsim-12-0.tmp": prefix, numbers, extension.
bool is_hidden_name(const std::string& name, std::string_view extension) {
  if (!name.starts_with(kPrefix) || !name.ends_with(extension)) return false;
  const std::string_view numbers =
      std::string_view(name).substr(kPrefix.size(), name.size() - kPrefix.size() - extension.size());
  const std::size_t hyphen = numbers.find('-');
  return hyphen != 0 && hyphen != std::string_view::npos && hyphen + 1 < numbers.size() &&
         numbers.find_first_not_of("0123456789-") == std::string_view::npos &&
         numbers.find('-', hyphen + 1) == std::string_view::npos;
}

/// Removes a file, and with a lock file its folder, where nobody holds the lock.
void remove_unless_locked(const fs::path& path, bool is_lock_file) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const FileDescriptor file = open_descriptor(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (!file.valid() || lock(file) != Lock::kTaken || !is_still_named(file, path)) return;
  // A folder lives as long as its run: a lock that only one machine sees must not decide about another one's.
  if (is_lock_file && is_shared_by_machines(file) && written_in(file) != host_name()) return;
  if (is_lock_file) {
    std::error_code failed;
    fs::remove_all(fs::path(path).replace_extension(kFile), failed);
    if (failed) return;  // the lock file stays with its folder
  }
  ::unlink(path.c_str());
}

/// What abandon_outputs() removes. It is never destroyed: that function runs while the process ends.
struct Live {
  std::mutex mutex, placing;
  std::set<fs::path> paths;
};

Live& live() {
  static auto* const instance = new Live;
  return *instance;
}

}  // namespace

Lock lock(const FileDescriptor& file) {
  int result = -1;
  do {
    result = ::flock(file.get(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Lock::kTaken;
  return errno == EWOULDBLOCK ? Lock::kHeldByOthers : Lock::kNotSupported;
}

bool is_still_named(const FileDescriptor& file, const fs::path& name) {
  struct stat opened = {}, named = {};
  return ::fstat(file.get(), &opened) == 0 && ::lstat(name.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

fs::path hidden_name(const fs::path& folder, int attempt, const std::string& extension) {
  return folder / (std::string(kPrefix) + std::to_string(::getpid()) + "-" + std::to_string(attempt) + extension);
}

FileDescriptor create_locked(const fs::path& name) {
  FileDescriptor file = open_descriptor(name, O_RDWR | O_CREAT | O_EXCL, 0666);
  if (!file.valid()) return file;
  const Lock taken = lock(file);
  // A process that looks for leftovers was faster: it removes the file.
  if (taken == Lock::kHeldByOthers || !is_still_named(file, name)) {
    errno = EEXIST;
    return FileDescriptor(-1);
  }
  return file;
}

Folder::Made Folder::make(const fs::path& parent, const fs::path& target) {
  const auto failed = [&target](int error) { return system_error("the folder cannot be written", target, error); };
  for (int attempt = 0;; ++attempt) {
    const fs::path path = hidden_name(parent, attempt, kFile), lock_path = hidden_name(parent, attempt, kLock);
    if (path.native().size() + NAME_MAX + 2 > PATH_MAX) throw failed(ENAMETOOLONG);  // no room for files in it
    FileDescriptor lock = create_locked(lock_path);
    if (lock.valid() && ::mkdir(path.c_str(), 0777) == 0) return {path, lock_path, std::move(lock)};
    const int error = errno;
    if (lock.valid()) ::unlink(lock_path.c_str());
    if (error != EEXIST) throw failed(error);
  }
}

Folder::Folder(const fs::path& parent, const fs::path& target) : made_(make(parent, target)) {
  const std::string host = host_name();
  // Only network file systems need it: there, a lock file that stays empty is not removed.
  static_cast<void>(::write(made_.lock.get(), host.data(), host.size()) < 0);
  remember(made_.lock_path);
  remember(made_.path);
}

Folder::~Folder() {
  std::error_code ignored;  // nobody is left to tell
  fs::remove_all(made_.path, ignored);
  ::unlink(made_.lock_path.c_str());
  forget(made_.path);
  forget(made_.lock_path);
}

void remember(const fs::path& path) {
  const std::lock_guard guard(live().mutex);
  live().paths.insert(path);
}

void forget(const fs::path& path) {
  const std::lock_guard guard(live().mutex);
  live().paths.erase(path);
}

Placing::Placing() { live().placing.lock(); }

Placing::~Placing() { live().placing.unlock(); }

}  // namespace repsim::temporary

namespace repsim {

void remove_leftovers(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files, locks;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (temporary::is_hidden_name(name, temporary::kFile)) files.push_back(entry->path());
    if (temporary::is_hidden_name(name, temporary::kLock)) locks.push_back(entry->path());
  }
  for (const std::filesystem::path& path : files) temporary::remove_unless_locked(path, false);
  for (const std::filesystem::path& path : locks) temporary::remove_unless_locked(path, true);
}

void abandon_outputs() {
  temporary::Live& live = temporary::live();
  const std::lock_guard placed(live.placing);
  const std::lock_guard guard(live.mutex);
  // Longest first: files before the folder that they are in. Other threads may still be writing.
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    for (auto path = live.paths.rbegin(); path != live.paths.rend(); ++path) {
      std::error_code ignored;
      std::filesystem::remove_all(*path, ignored);
    }
  }
}

}  // namespace repsim
