#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "repsim/base/error.hpp"

namespace repsim::model {

/// A record of a zip archive, as the archive's central directory declares it. Nothing of it is true before it is
/// checked.
struct ZipRecord {
  std::string name;
  bool deflated = false;  ///< else stored as it is
  std::uint32_t crc32 = 0;
  std::uint64_t packed_bytes = 0, unpacked_bytes = 0;
  std::uint64_t header_offset = 0;  ///< of its local header in the file
};

/// What a record may unpack to: TorchScript's writers store tensors as they are and deflate code alone, so that an
/// archive is about as large as what it holds. One that declares more than this much in all is refused, unread.
constexpr std::uint64_t kMaxUnpackedRatio = 20;             ///< times the size of the file,
constexpr std::uint64_t kFreeUnpackedBytes = 64ULL << 20U;  ///< or this, where it is more

/// Reads the central directory (APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16, with ZIP64) and unpacks nothing.
/// Cost: proportional to the directory. What the directory declares reserves no memory.
/// @param path  for messages
/// @throws Error{kInput}: no directory, an entry that leaves the file, two records of one name, encrypted records,
/// methods
///         other than stored and deflated, records that cannot all be in the file, or that unpack to too much
[[nodiscard]] std::vector<ZipRecord> read_zip_directory(std::string_view bytes, const std::string& path);

/// The bytes of a stored record.
/// @throws Error{kInput} when its local header is none, or the record leaves the file
[[nodiscard]] std::string_view stored_bytes(std::string_view bytes, const ZipRecord& record, const std::string& path);

/// "the archive is damaged or cut short: `detail`", with the remedy.
[[nodiscard]] Error damaged_archive(const std::string& detail, const std::string& path);

}  // namespace repsim::model
