#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "repsim/similarity.hpp"

/// Signatures on disk: files of one model's signatures, and a folder of such files named after what they were made
/// from.
namespace repsim::capture {

/// Raised by every change of repsim that gives other layers, other names or other values, be it in the last bit.
inline constexpr std::int64_t kStatisticsVersion = 1;

/// What one model's signatures were made from. Equal sources have equal signatures, bit for bit.
struct Source {
  std::string model_sha256, video_sha256;
  std::string input;                 ///< how a frame becomes the model's input, as --input takes it
  std::vector<std::int64_t> frames;  ///< indices in the video, minibatch after minibatch
  std::int64_t minibatch = 16;       ///< frames per minibatch
  /// What else decides the bits: versions of libraries, the CPU, the number of threads.
  std::vector<std::string> machinery;
  std::int64_t statistics_version = kStatisticsVersion;

  friend bool operator==(const Source&, const Source&) = default;
};

/// SHA-256 of all of it: the name of the entry in a cache.
[[nodiscard]] std::string digest(const Source& source);

/// A file of signatures.
struct SignatureFile {
  Source source;
  std::string model_path, video_path;  ///< what they were called then; for people
  similarity::Signatures signatures;   ///< frames and minibatch equal the source's
};

/// The file: a line with the format's version, a JSON header, the values as little-endian float64, and the SHA-256 of
/// all of it.
[[nodiscard]] std::string to_bytes(const SignatureFile& file);
/// @param name  of the file, for errors
/// @throws Error{kInput}: no file of signatures, of another version, damaged (its checksum or its sizes do not fit)
[[nodiscard]] SignatureFile signatures_from_bytes(std::string_view bytes, const std::string& name);
/// Whether a file begins as to_bytes() does. False when it cannot be read.
[[nodiscard]] bool is_signature_file(const std::filesystem::path& path);

/// One file of a cache.
struct CacheEntry {
  std::filesystem::path path;
  std::int64_t bytes = 0;
  std::chrono::system_clock::time_point last_used;
  std::optional<SignatureFile> file;  ///< without its values; none: damaged
  std::string problem;                ///< of a damaged one
};

/// A folder of signature files, each named after its source. Any number of processes may use it at once: files appear
/// whole, under their final names, and what one process removes another captures again.
class SignatureCache {
 public:
  /// Makes the folder, with its parents. @throws Error{kInput} when it cannot be made or written
  explicit SignatureCache(std::filesystem::path folder);

  [[nodiscard]] std::filesystem::path path_of(const Source& source) const;
  /// Nothing when it is not there. A damaged entry is removed, which the log says, and not there either.
  [[nodiscard]] std::optional<SignatureFile> find(const Source& source) const;
  /// @throws Error{kInput} when it cannot be written (disk full)
  void keep(const SignatureFile& file) const;

 private:
  std::filesystem::path folder_;
};

/// What a cache holds, last used first. Empty when there is no such folder. @throws Error{kInput} when it cannot be
/// read
[[nodiscard]] std::vector<CacheEntry> cache_entries(const std::filesystem::path& folder);

/// What to keep.
struct CacheLimits {
  std::int64_t max_age_days = 30;         ///< since the last use
  std::optional<std::int64_t> max_bytes;  ///< of all entries: the last used ones stay; none: any size
};
/// Removes what is damaged, what another version of the statistics made, what was not used for so long, what is too
/// much, and what killed processes left half-written (once it is an hour old). @return the entries that are gone
/// @throws Error{kInput}
[[nodiscard]] std::vector<CacheEntry> collect_garbage(const std::filesystem::path& folder, const CacheLimits& limits);
/// Removes all entries, and nothing that is no entry. @return what is gone
[[nodiscard]] std::vector<CacheEntry> clear_cache(const std::filesystem::path& folder);

}  // namespace repsim::capture
