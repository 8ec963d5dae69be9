#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

/// Files of named arrays in NumPy's form (.npz): a zip archive with a .npy record per array.
namespace repsim::model {

/// One array as it lies in a file.
struct NpyHeader {
  std::string dtype;  ///< of NumPy, little-endian: "<f4", "<f2", "<f8", "<i8", "<i4", "|u1", "|b1"
  std::vector<std::int64_t> shape;
  [[nodiscard]] std::int64_t elements() const;
  [[nodiscard]] std::int64_t bytes() const;  ///< of the values; 0 for an unknown dtype
};

/// An array, its values in row-major order.
struct NpyArray {
  NpyHeader header;
  std::string values;
};

/// Bytes of an element; 0 for dtypes that are not listed at NpyHeader::dtype.
[[nodiscard]] std::int64_t npy_element_bytes(std::string_view dtype);

/// Reads a .npy record (format 1.0 to 3.0). Arrays in Fortran order come out in row-major order.
/// @param where  names file and record in errors
/// @throws Error{kInput} when it is damaged, cut short, or has a dtype that is not listed at NpyHeader::dtype
[[nodiscard]] NpyArray npy_from(std::string_view bytes, const std::string& where);

/// An .npz file, open for reading. Records are unpacked when they are asked for.
class NpzReader {
 public:
  /// @throws Error{kInput} when the file cannot be read, or is no zip archive
  explicit NpzReader(const std::filesystem::path& path);

  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }  ///< in the archive's order
  [[nodiscard]] bool has(const std::string& name) const;
  /// @throws Error{kInput} when there is no such array, or as npy_from() does
  [[nodiscard]] NpyArray read(const std::string& name) const;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_, bytes_;
  std::vector<std::string> names_;
};

/// Writes an .npz file array by array, each piece by piece, without holding any. numpy.load reads it.
class NpzWriter {
 public:
  /// @param path  a file to create; give it a place that becomes visible later (StagedFile)
  /// @param shown  its name in errors
  NpzWriter(const std::filesystem::path& path, std::string shown);

  void begin(const std::string& name, const NpyHeader& header);
  void append(std::string_view values);
  /// @throws Error{kInternal} when the array has fewer or more values than its header says
  void end();
  /// Writes the directory. @throws Error{kInput} when the disk is full
  void finish();

 private:
  struct Record {
    std::string name;
    std::uint64_t offset = 0, size = 0;
    std::uint32_t crc32 = 0;
  };
  void put(std::string_view bytes);
  [[nodiscard]] std::string local_header(const Record& record) const;

  std::string shown_;
  std::ofstream file_;
  std::uint64_t position_ = 0, expected_ = 0;
  std::vector<Record> records_;
};

}  // namespace repsim::model
