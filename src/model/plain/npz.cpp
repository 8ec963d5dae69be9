#include "repsim/npz.hpp"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/posix.hpp"
#include "zip_directory.hpp"

namespace repsim::model {
namespace {

constexpr std::string_view kNpyExtension = ".npy";
// APPNOTE.TXT 6.3.10. Sizes are in the extra field of ZIP64 always, so that an array may have any.
constexpr std::uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kZip64End = 0x06064b50,
                        kZip64Locator = 0x07064b50, kEnd = 0x06054b50;
constexpr std::uint16_t kZip64Version = 45, kZip64Extra = 1, kMsDosFirstDay = 0x21;
constexpr std::uint32_t kInZip64 = 0xffffffff;

void put_number(std::string& text, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xffU));
}

/// What local and central headers have in common, from the needed version to the CRC.
void put_common(std::string& text, std::uint32_t crc) {
  put_number(text, kZip64Version, 2);
  put_number(text, 0, 2);  // flags
  put_number(text, 0, 2);  // stored
  put_number(text, 0, 2);  // time
  put_number(text, kMsDosFirstDay, 2);
  put_number(text, crc, 4);
  put_number(text, kInZip64, 4);
  put_number(text, kInZip64, 4);
}

std::string npy_text(const NpyHeader& header) {
  constexpr std::size_t kAlignment = 64;
  std::string shape;
  for (const std::int64_t size : header.shape) shape += std::to_string(size) + ",";
  std::string text = "{'descr': '" + header.dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  constexpr std::size_t kBefore = 10;  // magic, version, length
  while ((kBefore + text.size() + 1) % kAlignment != 0) text.push_back(' ');
  text.push_back('\n');
  std::string bytes = "\x93NUMPY";
  put_number(bytes, 1, 1);
  put_number(bytes, 0, 1);
  put_number(bytes, text.size(), 2);
  return bytes + text;
}

std::uint32_t crc_of(std::string_view bytes, std::uint32_t before) {
  uLong crc = before;
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
    crc = crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(count));
    bytes.remove_prefix(count);
  }
  return static_cast<std::uint32_t>(crc);
}

/// @param record  whose sizes were checked against the file's
std::string inflated(std::string_view packed, const ZipRecord& record, const std::string& path) {
  std::string result(record.unpacked_bytes, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw damaged_archive("it cannot be unpacked", path);
  int state = Z_OK;
  std::size_t from = 0, to = 0;
  while (state == Z_OK) {
    const std::size_t in = std::min<std::size_t>(packed.size() - from, 1U << 30U);
    const std::size_t room = std::min<std::size_t>(result.size() - to, 1U << 30U);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + from));
    stream.avail_in = static_cast<uInt>(in);
    stream.next_out = reinterpret_cast<Bytef*>(result.data() + to);
    stream.avail_out = static_cast<uInt>(room);
    state = inflate(&stream, Z_NO_FLUSH);
    from += in - stream.avail_in;
    to += room - stream.avail_out;
    if (state == Z_OK && stream.avail_in == in && stream.avail_out == room) break;  // nothing moves any more
  }
  inflateEnd(&stream);
  if (state != Z_STREAM_END || to != result.size())
    throw damaged_archive("the record " + record.name + " cannot be unpacked", path);
  return result;
}

std::string unpacked(std::string_view bytes, const ZipRecord& record, const std::string& path) {
  const std::string_view packed = stored_bytes(bytes, record, path);
  std::string values = record.deflated ? inflated(packed, record, path) : std::string(packed);
  if (crc_of(values, 0) != record.crc32)
    throw damaged_archive("the record " + record.name + " is not what it was", path);
  return values;
}

}  // namespace

namespace {

/// Runs `read`, which speaks of archives of models.
template <typename Read>
auto of_arrays(const Read& read) {
  try {
    return read();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    throw input_error(error.problem(), error.where(), "write it again: numpy.savez(FILE, **{name: array})");
  }
}

}  // namespace

NpzReader::NpzReader(const std::filesystem::path& path) : path_(path.string()), bytes_(read_file(path)) {
  for (const ZipRecord& record : of_arrays([&] { return read_zip_directory(bytes_, path_); })) {
    std::string name = record.name;
    if (name.ends_with(kNpyExtension)) name.resize(name.size() - kNpyExtension.size());
    names_.push_back(std::move(name));
  }
}

bool NpzReader::has(const std::string& name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

NpyArray NpzReader::read(const std::string& name) const {
  return of_arrays([&] {
    for (const ZipRecord& record : read_zip_directory(bytes_, path_)) {
      if (record.name == name + std::string(kNpyExtension) || record.name == name)
        return npy_from(unpacked(bytes_, record, path_), path_ + ": " + name);
    }
    throw input_error("there is no array '" + name + "'", path_);
  });
}

NpzWriter::NpzWriter(const std::filesystem::path& path, std::string shown)
    : shown_(std::move(shown)), file_(path, std::ios::binary | std::ios::trunc) {
  if (!file_) throw system_error("cannot be written", shown_, errno);
}

void NpzWriter::put(std::string_view bytes) {
  file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file_) throw system_error("cannot be written", shown_, errno);
  position_ += bytes.size();
}

std::string NpzWriter::local_header(const Record& record) const {
  std::string text;
  put_number(text, kLocalHeader, 4);
  put_common(text, record.crc32);
  put_number(text, record.name.size(), 2);
  put_number(text, 20, 2);  // of the extra field
  text += record.name;
  put_number(text, kZip64Extra, 2);
  put_number(text, 16, 2);
  put_number(text, record.size, 8);
  put_number(text, record.size, 8);
  return text;
}

void NpzWriter::begin(const std::string& name, const NpyHeader& header) {
  Record& record = records_.emplace_back();
  record.name = name + std::string(kNpyExtension);
  record.offset = position_;
  put(local_header(record));  // its checksum follows in end()
  const std::string text = npy_text(header);
  expected_ = text.size() + static_cast<std::uint64_t>(header.bytes());
  append(text);
}

void NpzWriter::append(std::string_view values) {
  Record& record = records_.back();
  record.crc32 = crc_of(values, record.crc32);
  record.size += values.size();
  put(values);
}

void NpzWriter::end() {
  const Record& record = records_.back();
  if (record.size != expected_)
    throw Error(ErrorKind::kInternal, "an array has other values than its header says", record.name);
  file_.seekp(static_cast<std::streamoff>(record.offset));
  const std::uint64_t end = position_;
  put(local_header(record));
  position_ = end;
  file_.seekp(static_cast<std::streamoff>(position_));
}

void NpzWriter::finish() {
  const std::uint64_t begin = position_;
  for (const Record& record : records_) {
    std::string text;
    put_number(text, kCentralHeader, 4);
    put_number(text, kZip64Version, 2);
    put_common(text, record.crc32);
    put_number(text, record.name.size(), 2);
    put_number(text, 28, 2);  // of the extra field
    put_number(text, 0, 2);   // of the comment
    put_number(text, 0, 2);   // disk
    put_number(text, 0, 2);   // attributes
    put_number(text, 0, 4);
    put_number(text, kInZip64, 4);
    text += record.name;
    put_number(text, kZip64Extra, 2);
    put_number(text, 24, 2);
    put_number(text, record.size, 8);
    put_number(text, record.size, 8);
    put_number(text, record.offset, 8);
    put(text);
  }
  const std::uint64_t end = position_, count = records_.size();
  std::string text;
  put_number(text, kZip64End, 4);
  put_number(text, 44, 8);  // of what follows of this record
  put_number(text, kZip64Version, 2);
  put_number(text, kZip64Version, 2);
  put_number(text, 0, 8);  // disks
  put_number(text, count, 8);
  put_number(text, count, 8);
  put_number(text, end - begin, 8);
  put_number(text, begin, 8);
  put_number(text, kZip64Locator, 4);
  put_number(text, 0, 4);
  put_number(text, end, 8);
  put_number(text, 1, 4);
  put_number(text, kEnd, 4);
  put_number(text, 0, 4);  // disks
  put_number(text, 0xffff, 2);
  put_number(text, 0xffff, 2);
  put_number(text, kInZip64, 4);
  put_number(text, kInZip64, 4);
  put_number(text, 0, 2);
  put(text);
  file_.close();
  if (!file_) throw system_error("cannot be written", shown_, errno);
}

}  // namespace repsim::model
