#include "zip_directory.hpp"

#include <algorithm>
#include <set>

namespace repsim::model {
namespace {

constexpr std::uint32_t kEndSignature = 0x06054B50, kEnd64Signature = 0x06064B50, kLocator64Signature = 0x07064B50;
constexpr std::uint32_t kEntrySignature = 0x02014B50, kHeaderSignature = 0x04034B50;
constexpr std::uint64_t kEndBytes = 22, kLocator64Bytes = 20, kEnd64Bytes = 56, kEntryBytes = 46, kHeaderBytes = 30;
constexpr std::uint64_t kMaxCommentBytes = 65535;
constexpr std::uint64_t kIn64BitField = 0xFFFFFFFF;  // a 32-bit field of this value: the number is in the extra field

/// Little-endian numbers at offsets, each checked against the end of the file.
class Bytes {
 public:
  Bytes(std::string_view bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  [[nodiscard]] std::uint64_t size() const { return bytes_.size(); }
  [[nodiscard]] std::string_view part(std::uint64_t offset, std::uint64_t length) const {
    if (offset > size() || length > size() - offset) throw damaged_archive("an entry leaves the file", path_);
    return bytes_.substr(offset, length);
  }
  [[nodiscard]] std::uint64_t number(std::uint64_t offset, std::uint64_t width) const {
    const std::string_view digits = part(offset, width);
    std::uint64_t value = 0;
    for (std::uint64_t i = width; i-- > 0;) value = (value << 8U) | static_cast<std::uint8_t>(digits[i]);
    return value;
  }
  [[nodiscard]] bool has(std::uint64_t offset, std::uint32_t signature) const {
    return offset <= size() && size() - offset >= 4 && number(offset, 4) == signature;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string_view bytes_;
  std::string path_;
};

/// The last end-of-directory record whose comment fits into the file.
std::uint64_t find_end(const Bytes& file) {
  if (file.size() >= kEndBytes) {
    const std::uint64_t last = file.size() - kEndBytes;
    const std::uint64_t first = last - std::min(last, kMaxCommentBytes);
    for (std::uint64_t at = last + 1; at-- > first;) {
      if (file.has(at, kEndSignature) && file.number(at + 20, 2) <= last - at) return at;
    }
  }
  throw damaged_archive("its directory is missing", file.path());
}

struct Directory {
  std::uint64_t offset = 0, bytes = 0, records = 0;
};

Directory find_directory(const Bytes& file) {
  const std::uint64_t end = find_end(file);
  if (end >= kLocator64Bytes && file.has(end - kLocator64Bytes, kLocator64Signature)) {
    const std::uint64_t end64 = file.number(end - kLocator64Bytes + 8, 8);
    static_cast<void>(file.part(end64, kEnd64Bytes));
    if (!file.has(end64, kEnd64Signature)) throw damaged_archive("its directory is missing", file.path());
    return {file.number(end64 + 48, 8), file.number(end64 + 40, 8), file.number(end64 + 32, 8)};
  }
  return {file.number(end + 16, 4), file.number(end + 12, 4), file.number(end + 10, 2)};
}

/// Puts the numbers of an entry's ZIP64 extra field where the entry says that they are there (section 4.5.3).
void read_extra_field(const Bytes& file, std::uint64_t begin, std::uint64_t length, ZipRecord& record) {
  const std::uint64_t end = begin + length;
  for (std::uint64_t at = begin; end - at >= 4;) {
    const std::uint64_t id = file.number(at, 2), bytes = file.number(at + 2, 2);
    at += 4;
    if (bytes > end - at) throw damaged_archive("an entry leaves the file", file.path());
    if (id == 1) {
      std::uint64_t field = at;
      for (std::uint64_t* number : {&record.unpacked_bytes, &record.packed_bytes, &record.header_offset}) {
        if (*number != kIn64BitField) continue;
        if (field + 8 > at + bytes) throw damaged_archive("an entry has no size", file.path());
        *number = file.number(field, 8);
        field += 8;
      }
    }
    at += bytes;
  }
}

/// The entry at `at`, which then is the next one's place.
ZipRecord read_entry(const Bytes& file, std::uint64_t& at) {
  if (!file.has(at, kEntrySignature)) throw damaged_archive("its directory is broken", file.path());
  const std::uint64_t flags = file.number(at + 8, 2), method = file.number(at + 10, 2);
  const std::uint64_t name = file.number(at + 28, 2), extra = file.number(at + 30, 2),
                      comment = file.number(at + 32, 2);
  ZipRecord record;
  record.crc32 = static_cast<std::uint32_t>(file.number(at + 16, 4));
  record.packed_bytes = file.number(at + 20, 4);
  record.unpacked_bytes = file.number(at + 24, 4);
  record.header_offset = file.number(at + 42, 4);
  record.name = file.part(at + kEntryBytes, name);
  read_extra_field(file, at + kEntryBytes + name, extra, record);
  at += kEntryBytes + name + extra + comment;

  if ((flags & 1U) != 0) {
    throw input_error("the archive is encrypted", file.path(), "unpack it, or export the model again");
  }
  if (method != 0 && method != 8) {
    throw input_error("the archive is packed with a method that Torch does not read (" + std::to_string(method) + ")",
                      file.path(), "export the model again");
  }
  record.deflated = method == 8;
  if (!record.deflated && record.packed_bytes != record.unpacked_bytes) {
    throw damaged_archive("the sizes of '" + record.name + "' contradict each other", file.path());
  }
  return record;
}

/// Sums that cannot overflow: each record is held against what is left.
void check_sizes(const std::vector<ZipRecord>& records, const Bytes& file) {
  std::uint64_t packed = file.size();
  std::uint64_t unpacked = std::max(kFreeUnpackedBytes, kMaxUnpackedRatio * file.size());
  for (const ZipRecord& record : records) {
    if (record.unpacked_bytes > unpacked) {
      throw input_error("the archive claims to unpack to more than " +
                            std::to_string(std::max(kFreeUnpackedBytes, kMaxUnpackedRatio * file.size())) +
                            " bytes, from a file of " + std::to_string(file.size()),
                        file.path(), "save the model with torch.jit.save, which does not compress tensors");
    }
    unpacked -= record.unpacked_bytes;
    if (record.packed_bytes > packed) throw damaged_archive("its records are larger than the file", file.path());
    packed -= record.packed_bytes;
  }
}

}  // namespace

Error damaged_archive(const std::string& detail, const std::string& path) {
  return input_error("the archive is damaged or cut short: " + detail, path, "copy or export the model again");
}

std::vector<ZipRecord> read_zip_directory(std::string_view bytes, const std::string& path) {
  const Bytes file(bytes, path);
  const Directory directory = find_directory(file);
  static_cast<void>(file.part(directory.offset, directory.bytes));
  std::vector<ZipRecord> records;
  std::set<std::string> names;
  std::uint64_t at = directory.offset;
  for (std::uint64_t i = 0; i < directory.records; ++i) {  // a wrong count ends at the first entry that is none
    records.push_back(read_entry(file, at));
    const std::string& name = records.back().name;
    if (!names.insert(name).second) throw damaged_archive("it has two records '" + name + "'", path);
  }
  check_sizes(records, file);
  return records;
}

std::string_view stored_bytes(std::string_view bytes, const ZipRecord& record, const std::string& path) {
  const Bytes file(bytes, path);
  const std::uint64_t header = record.header_offset;
  static_cast<void>(file.part(header, kHeaderBytes));
  if (!file.has(header, kHeaderSignature))
    throw damaged_archive("'" + record.name + "' is not where it should be", path);
  const std::uint64_t skipped = kHeaderBytes + file.number(header + 26, 2) + file.number(header + 28, 2);
  return file.part(header + skipped, record.packed_bytes);
}

}  // namespace repsim::model
