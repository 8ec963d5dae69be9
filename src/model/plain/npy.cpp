#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include "repsim/base/error.hpp"
#include "repsim/npz.hpp"

namespace repsim::model {
namespace {

struct NpyDtype {
  std::string_view name;
  std::int64_t bytes;
};
constexpr std::array kNpyDtypes{NpyDtype{"<f4", 4}, NpyDtype{"<f2", 2}, NpyDtype{"<f8", 8}, NpyDtype{"<i8", 8},
                                NpyDtype{"<i4", 4}, NpyDtype{"|u1", 1}, NpyDtype{"|b1", 1}};
constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

Error damaged_array(const std::string& problem, const std::string& where) {
  return input_error(problem, where, "numpy.savez(FILE, **{name: array}) writes such files");
}

/// The text behind a key of the header's dictionary, which is a literal of Python: {'descr': '<f4', ...}.
std::string_view behind_key(std::string_view header, std::string_view key, const std::string& where) {
  const std::string quoted = "'" + std::string(key) + "'";
  const std::size_t found = header.find(quoted);
  const std::size_t colon = found == std::string_view::npos ? found : header.find(':', found);
  if (colon == std::string_view::npos) throw damaged_array("the header of the array has no " + quoted, where);
  const std::size_t begin = header.find_first_not_of(' ', colon + 1);
  if (begin == std::string_view::npos) throw damaged_array("the header of the array ends early", where);
  return header.substr(begin);
}

std::vector<std::int64_t> shape_in(std::string_view text, const std::string& where) {
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos)
    throw damaged_array("the header of the array has no shape", where);
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;
  for (std::string_view rest = text.substr(1, end - 1); !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view number = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const std::size_t first = number.find_first_not_of(' ');
    if (first == std::string_view::npos) continue;  // (3, ): a comma at the end
    number = number.substr(first, number.find_last_not_of(" L") + 1 - first);
    std::int64_t size = 0;
    const auto read = std::from_chars(number.data(), number.data() + number.size(), size);
    if (read.ec != std::errc() || read.ptr != number.data() + number.size() || size < 0)
      throw damaged_array("the shape of the array is no list of sizes", where);
    if (size > 0 && elements > kMostElements / size) throw damaged_array("the array is too large", where);
    elements *= size;
    shape.push_back(size);
  }
  return shape;
}

/// @param values  in Fortran order: the first index is the fastest
std::string row_major(std::string_view values, const NpyHeader& header) {
  const std::int64_t size = npy_element_bytes(header.dtype), count = header.elements();
  std::string result(values.size(), '\0');
  std::vector<std::int64_t> index(header.shape.size(), 0);
  for (std::int64_t place = 0; place < count; ++place) {
    std::int64_t from = 0;
    for (std::size_t axis = header.shape.size(); axis-- > 0;) from = from * header.shape[axis] + index[axis];
    std::memcpy(result.data() + place * size, values.data() + from * size, static_cast<std::size_t>(size));
    for (std::size_t axis = header.shape.size(); axis-- > 0;) {
      if (++index[axis] < header.shape[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

std::int64_t npy_element_bytes(std::string_view dtype) {
  const auto found =
      std::find_if(kNpyDtypes.begin(), kNpyDtypes.end(), [&](const NpyDtype& one) { return one.name == dtype; });
  return found == kNpyDtypes.end() ? 0 : found->bytes;
}

std::int64_t NpyHeader::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

std::int64_t NpyHeader::bytes() const { return npy_element_bytes(dtype) * elements(); }

NpyArray npy_from(std::string_view bytes, const std::string& where) {
  constexpr std::size_t kVersionEnd = 8;
  if (!bytes.starts_with(kNpyMagic) || bytes.size() < kVersionEnd + 4)
    throw damaged_array("this record is no NumPy array", where);
  const std::size_t length_bytes = bytes[kNpyMagic.size()] == 1 ? 2 : 4;
  const std::uint64_t length = little_endian(bytes.substr(kVersionEnd, length_bytes));
  const std::size_t begin = kVersionEnd + length_bytes;
  if (length > bytes.size() - begin) throw damaged_array("the array is cut short", where);
  const std::string_view header = bytes.substr(begin, length), values = bytes.substr(begin + length);
  NpyArray array;
  const std::string_view dtype = behind_key(header, "descr", where);
  if (!dtype.starts_with('\'')) throw damaged_array("arrays of records are not read", where);
  array.header.dtype = std::string(dtype.substr(1, std::min(dtype.find('\'', 1), dtype.size()) - 1));
  if (npy_element_bytes(array.header.dtype) == 0) {
    std::string known;
    for (const NpyDtype& one : kNpyDtypes) known += (known.empty() ? "" : ", ") + std::string(one.name);
    throw damaged_array("arrays of the type '" + array.header.dtype + "' are not read, only " + known, where);
  }
  array.header.shape = shape_in(behind_key(header, "shape", where), where);
  if (static_cast<std::uint64_t>(array.header.bytes()) != values.size()) {
    throw damaged_array("the array has " + std::to_string(values.size()) + " bytes of values, its header says " +
                            std::to_string(array.header.bytes()),
                        where);
  }
  const bool is_fortran = behind_key(header, "fortran_order", where).starts_with("True");
  array.values = is_fortran ? row_major(values, array.header) : std::string(values);
  return array;
}

}  // namespace repsim::model
