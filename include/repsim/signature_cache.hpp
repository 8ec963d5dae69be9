#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repsim/base/file_lock.hpp"
#include "repsim/similarity.hpp"

/// Signatures on disk: files of one model's signatures, and a cache of such files (docs/similarity.md).
namespace repsim::capture {

/// Every change of repsim that gives other layers, other names or other values, even in the last bit, has to raise this
/// number: entries of caches with another number are not used.
inline constexpr std::int64_t kStatisticsVersion = 2;

/// All that decides the bits of one model's signatures. Signatures of equal origin are equal, bit for bit.
struct SignatureOrigin {
  std::string model_sha256, video_sha256;
  std::string input;                 ///< how a frame becomes the model's input, as --input takes it
  std::vector<std::int64_t> frames;  ///< indices in the video, minibatch after minibatch
  std::int64_t minibatch = 16;       ///< frames per minibatch
  /// Versions of libraries, the CPU, the number of threads: they decide the last bits.
  std::vector<std::string> machinery;
  std::int64_t statistics_version = kStatisticsVersion;

  friend bool operator==(const SignatureOrigin&, const SignatureOrigin&) = default;
};

/// SHA-256 of all members of an origin. A cache names its entries so.
[[nodiscard]] std::string digest(const SignatureOrigin& origin);

/// One of `count` parts of a capture. Each has consecutive minibatches, shard 1 the first ones, and their numbers
/// differ by one at most.
struct Shard {
  std::int64_t index = 1;  ///< 1..count
  std::int64_t count = 1;

  friend bool operator==(const Shard&, const Shard&) = default;
};
/// Minibatches [begin, end) of a capture.
struct MinibatchRange {
  std::int64_t begin = 0, end = 0;
};
/// The minibatches of a shard.
/// @param minibatches  of the whole capture
/// @return an empty range where there are more shards than minibatches
[[nodiscard]] MinibatchRange minibatches_of(const Shard& shard, std::int64_t minibatches);

/// The content of a file of signatures.
struct SignatureFile {
  SignatureOrigin origin;              ///< of a part: that of the whole capture, with all its frames
  std::optional<Shard> shard;          ///< `signatures` has the minibatches of this shard alone; none: all minibatches
  std::string model_path, video_path;  ///< at the time of the capture; for people
  similarity::Signatures signatures;   ///< frames and minibatch equal the origin's; of a part: those of its minibatches
};

/// The bytes of a file of signatures: a line with the format's version, a JSON header, the values as little-endian
/// float64, and the SHA-256 of all of these. A whole capture has version 1, a part version 2.
[[nodiscard]] std::string to_bytes(const SignatureFile& file);
/// Reads the bytes of a file of signatures.
/// @param name  of the file, for errors
/// @throws Error{kInput} when they are no file of signatures, have another version of the format or are damaged (the
///         checksum or the sizes do not fit)
[[nodiscard]] SignatureFile signatures_from_bytes(std::string_view bytes, const std::string& name);
/// Whether a file begins like a file of signatures. False when it cannot be read.
[[nodiscard]] bool is_signature_file(const std::filesystem::path& path);

/// One file of a cache.
struct CacheEntry {
  std::filesystem::path path;
  std::int64_t bytes = 0;
  std::chrono::system_clock::time_point last_used;
  std::optional<SignatureFile> file;  ///< without the signatures' values; none: the file is damaged
  std::string problem;                ///< how it is damaged
};

/// A folder of signature files, each named after its origin's digest. Any number of processes may use it at once: files
/// appear whole, under their final names. A process that misses an entry that another one removed captures again. One
/// that has claimed an entry is alone in capturing it, so that others need not.
class SignatureCache {
 public:
  /// Makes the folder, with its parents. @throws Error{kInput} when it cannot be made or written
  explicit SignatureCache(const std::filesystem::path& folder);

  [[nodiscard]] std::filesystem::path path_of(const SignatureOrigin& origin) const;
  /// The entry of this origin, or nothing. A damaged entry (a part is one, too) is removed, with a line in the log, and
  /// counts as missing.
  [[nodiscard]] std::optional<SignatureFile> find(const SignatureOrigin& origin) const;
  /// Claims an entry that is missing, before it is captured: until the claim is destroyed or the process ends, no other
  /// one gets it. Look for the entry again once you have the claim.
  /// @return nothing while another process has it. Where a folder cannot be written or has no locks, everybody gets one
  [[nodiscard]] std::optional<FileLock> try_claim(const SignatureOrigin& origin) const;
  /// Writes an entry, of a whole capture. @throws Error{kInput} when it cannot be written (disk full)
  void keep(const SignatureFile& file) const;

 private:
  std::filesystem::path folder_;
};

/// The entries of a cache, last used first. Empty when there is no such folder. @throws Error{kInput} when it cannot be
/// read
[[nodiscard]] std::vector<CacheEntry> cache_entries(const std::filesystem::path& folder);

/// Which entries collect_garbage() keeps.
struct CacheLimits {
  std::int64_t max_age_days = 30;         ///< since the last use
  std::optional<std::int64_t> max_bytes;  ///< of all entries; those used last stay; none: no limit
};
/// Removes entries that are damaged, that another version of the statistics made, that are older than the limit, and
/// those used longest ago beyond the limit of bytes. Also removes what killed processes left: half-written files, and
/// claims that nobody holds.
/// @return the removed entries
/// @throws Error{kInput} when the folder cannot be read or an entry cannot be removed
[[nodiscard]] std::vector<CacheEntry> collect_garbage(const std::filesystem::path& folder, const CacheLimits& limits);
/// Removes all entries of a cache, what killed processes left in it, and no other files. @return the removed entries
[[nodiscard]] std::vector<CacheEntry> clear_cache(const std::filesystem::path& folder);

}  // namespace repsim::capture
