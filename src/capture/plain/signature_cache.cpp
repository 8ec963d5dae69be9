#include "repsim/signature_cache.hpp"

#include <algorithm>
#include <system_error>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"

namespace repsim::capture {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".signatures";
constexpr const char* kClaimExtension = ".claim";
constexpr std::size_t kKeyDigits = 64;

/// Signatures have a folder of their own below the cache's: other things may be cached beside them one day.
fs::path folder_below(const fs::path& cache) { return cache / "signatures"; }

bool is_named_by_digest(const fs::path& path, const char* extension) {
  const std::string stem = path.stem().string();
  return path.extension() == extension && stem.size() == kKeyDigits &&
         stem.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::chrono::system_clock::time_point as_system_time(fs::file_time_type time) {
  return std::chrono::time_point_cast<std::chrono::system_clock::duration>(std::chrono::file_clock::to_sys(time));
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  if (!fs::exists(folder, failed)) return files;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    files.push_back(entry->path());
  }
  if (failed) throw input_error("the cache cannot be read: " + failed.message(), folder.string());
  return files;
}

/// Another process may have removed it meanwhile: that is as good.
void remove_entry(const fs::path& path) {
  std::error_code failed;
  fs::remove(path, failed);
  if (failed) throw input_error("the entry cannot be removed: " + failed.message(), path.string());
}

/// What killed processes left. A claim that nobody holds is taken, and goes with the object.
void remove_what_is_left(const fs::path& folder) {
  remove_leftovers(folder);
  for (const fs::path& path : files_in(folder)) {
    if (is_named_by_digest(path, kClaimExtension)) static_cast<void>(FileLock::try_take(path));
  }
}

}  // namespace

SignatureCache::SignatureCache(const fs::path& folder) : folder_(folder_below(folder)) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed) {
    throw input_error("the folder of the cache cannot be made: " + failed.message(), folder.string(),
                      "--cache DIR with a folder that can be written, or --cache none");
  }
}

fs::path SignatureCache::path_of(const SignatureOrigin& origin) const {
  return folder_ / (digest(origin) + kExtension);
}

std::optional<SignatureFile> SignatureCache::find(const SignatureOrigin& origin) const {
  const fs::path path = path_of(origin);
  std::error_code failed;
  if (!fs::exists(path, failed)) return std::nullopt;
  std::string bytes;
  try {
    bytes = read_file(path);
  } catch (const Error& error) {
    log::warn(std::string("not taken from the cache, captured again: ") + error.what());
    return std::nullopt;
  }
  try {
    SignatureFile file = signatures_from_bytes(bytes, path.string());
    if (file.shard) throw input_error("the entry is a part of a capture", path.string());
    if (file.origin != origin) throw input_error("the entry has another origin than its name says", path.string());
    fs::last_write_time(path, fs::file_time_type::clock::now(), failed);  // a cache may be there for reading only
    return file;
  } catch (const Error& error) {
    log::warn(std::string("a cache entry is thrown away and captured again: ") + error.where() + ": " +
              error.problem());
    fs::remove(path, failed);
    return std::nullopt;
  }
}

std::optional<FileLock> SignatureCache::try_claim(const SignatureOrigin& origin) const {
  return FileLock::try_take(path_of(origin).replace_extension(kClaimExtension));
}

void SignatureCache::keep(const SignatureFile& file) const {
  remove_leftovers(folder_);
  write_file_atomically(path_of(file.origin), to_bytes(file));
}

std::vector<CacheEntry> cache_entries(const fs::path& folder) {
  std::vector<CacheEntry> entries;
  for (const fs::path& path : files_in(folder_below(folder))) {
    if (!is_named_by_digest(path, kExtension)) continue;
    CacheEntry entry;
    entry.path = path;
    std::error_code gone;
    const auto time = fs::last_write_time(path, gone);
    if (!gone) entry.last_used = as_system_time(time);
    const auto size = gone ? 0 : fs::file_size(path, gone);
    if (gone) continue;
    entry.bytes = static_cast<std::int64_t>(size);
    try {
      entry.file = signatures_from_bytes(read_file(path), path.string());
      entry.file->signatures.values.clear();
      if (digest(entry.file->origin) != path.stem()) throw input_error("its name is that of another origin", "");
    } catch (const Error& error) {
      entry.file.reset();
      entry.problem = error.problem();
    }
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const CacheEntry& a, const CacheEntry& b) {
    return a.last_used != b.last_used ? a.last_used > b.last_used : a.path < b.path;
  });
  return entries;
}

std::vector<CacheEntry> collect_garbage(const fs::path& folder, const CacheLimits& limits) {
  const auto now = std::chrono::system_clock::now();
  std::int64_t bytes = 0;
  std::vector<CacheEntry> gone;
  for (CacheEntry& entry : cache_entries(folder)) {
    const bool useless = !entry.file || entry.file->origin.statistics_version != kStatisticsVersion ||
                         now - entry.last_used > std::chrono::days(limits.max_age_days);
    if (!useless && (!limits.max_bytes || bytes + entry.bytes <= *limits.max_bytes)) {
      bytes += entry.bytes;
      continue;
    }
    remove_entry(entry.path);
    gone.push_back(std::move(entry));
  }
  remove_what_is_left(folder_below(folder));
  return gone;
}

std::vector<CacheEntry> clear_cache(const fs::path& folder) {
  std::vector<CacheEntry> gone = cache_entries(folder);
  for (const CacheEntry& entry : gone) remove_entry(entry.path);
  remove_what_is_left(folder_below(folder));
  return gone;
}

}  // namespace repsim::capture
