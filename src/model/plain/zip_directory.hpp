#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "repsim/base/error.hpp"

namespace repsim::model {

/// A record of a zip archive, as the archive's central directory declares it. All values are unchecked claims.
struct ZipRecord {
  std::string name;
  bool deflated = false;  ///< false: stored without compression
  std::uint32_t crc32 = 0;
  std::uint64_t packed_bytes = 0, unpacked_bytes = 0;
  std::uint64_t header_offset = 0;  ///< of its local header in the file
};

/// The limit of what an archive may unpack to. TorchScript's writers store tensors without compression and deflate code
/// only, so that an archive is about as large as its content. An archive that declares more is refused, unread.
constexpr std::uint64_t kMaxUnpackedRatio = 20;             ///< times the size of the file,
constexpr std::uint64_t kFreeUnpackedBytes = 64ULL << 20U;  ///< or this, where it is more

/// Reads the central directory (APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16, with ZIP64) and unpacks nothing.
/// Cost: proportional to the directory. What the directory declares reserves no memory.
/// @param path  for messages
/// @throws Error{kInput} when there is no directory, when an entry reaches beyond the file, when two records have one
///         name, when records are encrypted or have a method other than stored and deflated, and when the records
///         cannot all be in the file or unpack to too much
[[nodiscard]] std::vector<ZipRecord> read_zip_directory(std::string_view bytes, const std::string& path);

/// The bytes of a stored record.
/// @throws Error{kInput} when there is no local header at its offset, or when the record reaches beyond the file
[[nodiscard]] std::string_view stored_bytes(std::string_view bytes, const ZipRecord& record, const std::string& path);

/// The error "the archive is damaged or cut short: `detail`", with the remedy.
[[nodiscard]] Error damaged_archive(const std::string& detail, const std::string& path);

}  // namespace repsim::model
