// Arrays in NumPy's form: what is written is read again, and what is damaged is named.
#include "repsim/npz.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"

namespace repsim::model {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A record as numpy 2.4 writes it, with another header.
std::string record(const std::string& header, const std::string& values) {
  std::string text = header + std::string(53 - (9 + header.size()) % 53, ' ') + "\n";
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(text.size() & 0xffU) +
         static_cast<char>(text.size() >> 8U) + text + values;
}

std::string bytes_of(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string problem_of(const std::string& bytes) {
  try {
    static_cast<void>(npy_from(bytes, "o.npz: a"));
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_EQ(error.where(), "o.npz: a");
    return error.problem();
  }
  return "no error";
}

TEST(Npy, IsReadAsNumPyWritesIt) {
  const std::string values = bytes_of({1, 2, 3, 4, 5, 6});
  const NpyArray array = npy_from(record("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", values), "a");
  EXPECT_EQ(array.header.dtype, "<f4");
  EXPECT_THAT(array.header.shape, ElementsAre(2, 3));
  EXPECT_EQ(array.values, values);
  EXPECT_THAT(npy_from(record("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", "abc"), "a").header.shape,
              ElementsAre(3));
  EXPECT_TRUE(
      npy_from(record("{'descr': '|b1', 'fortran_order': False, 'shape': (), }", "\x01"), "a").header.shape.empty());
  EXPECT_EQ(npy_from(record("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4), }", ""), "a").values, "");
}

// [[1, 2, 3], [4, 5, 6]] column after column.
TEST(Npy, InFortranOrderBecomesRowMajor) {
  const std::string header = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
  EXPECT_EQ(npy_from(record(header, bytes_of({1, 4, 2, 5, 3, 6})), "a").values, bytes_of({1, 2, 3, 4, 5, 6}));
}

TEST(Npy, ThatIsDamagedOrOfAnotherTypeIsRefused) {
  EXPECT_THAT(problem_of("no array at all"), HasSubstr("no NumPy array"));
  EXPECT_THAT(problem_of(record("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "1234")),
              HasSubstr("has 4 bytes of values, its header says 8"));
  EXPECT_THAT(problem_of(record("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "1234")),
              HasSubstr("'>f4'"));
  EXPECT_THAT(problem_of(record("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234")),
              HasSubstr("records"));
  EXPECT_THAT(problem_of(record("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "")), HasSubstr("shape"));
  EXPECT_THAT(problem_of(record("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", "")),
              HasSubstr("too large"));
  EXPECT_THAT(problem_of(record("{'descr': '<f4', 'shape': (1,), }", "1234")), HasSubstr("fortran_order"));
  EXPECT_THAT(problem_of(record("{'fortran_order': False, 'shape': (1,), }", "1234")), HasSubstr("descr"));
}

/// Any prefix and any changed byte end with an error or an array, never otherwise.
TEST(Npy, OfAnyBytesIsAnArrayOrAnError) {
  const std::string whole = record("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", std::string(24, 'x'));
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(problem_of(whole.substr(0, length)), "no error") << length;
  std::mt19937 random(3);
  for (int turn = 0; turn < 2000; ++turn) {
    std::string changed = whole;
    changed[random() % changed.size()] = static_cast<char>(random());
    static_cast<void>(problem_of(changed));
  }
}

TEST(Npz, ThatIsWrittenPieceByPieceIsReadAgain) {
  const test::TempFolder folder;
  const auto path = folder.path() / "a.npz";
  NpzWriter writer(path, "a.npz");
  writer.begin("one/two/0", {"<f4", {2, 2}});
  writer.append(bytes_of({1, 2}));
  writer.append(bytes_of({3, 4}));
  writer.end();
  writer.begin("empty", {"<i8", {0, 7}});
  writer.end();
  writer.begin("byte", {"|u1", {}});
  writer.append("z");
  writer.end();
  writer.finish();
  const NpzReader reader(path);
  EXPECT_THAT(reader.names(), ElementsAre("one/two/0", "empty", "byte"));
  EXPECT_TRUE(reader.has("empty"));
  EXPECT_FALSE(reader.has("one"));
  const NpyArray one = reader.read("one/two/0");
  EXPECT_THAT(one.header.shape, ElementsAre(2, 2));
  EXPECT_EQ(one.values, bytes_of({1, 2, 3, 4}));
  EXPECT_THAT(reader.read("empty").header.shape, ElementsAre(0, 7));
  EXPECT_EQ(reader.read("byte").values, "z");
  EXPECT_THAT([&] { static_cast<void>(reader.read("two")); },
              testing::Throws<Error>(testing::Property(&Error::problem, "there is no array 'two'")));
}

TEST(Npz, WithOtherValuesThanItsHeaderSaysIsOurMistake) {
  const test::TempFolder folder;
  NpzWriter writer(folder.path() / "a.npz", "a.npz");
  writer.begin("a", {"<f4", {2}});
  writer.append("1234");
  EXPECT_THAT([&] { writer.end(); }, testing::Throws<Error>(testing::Property(&Error::kind, ErrorKind::kInternal)));
}

TEST(Npz, ThatIsDamagedIsNamedWithARemedy) {
  const test::TempFolder folder;
  const auto path = folder.path() / "a.npz";
  {
    NpzWriter writer(path, "a.npz");
    writer.begin("a", {"<f4", {4}});
    writer.append(bytes_of({1, 2, 3, 4}));
    writer.end();
    writer.finish();
  }
  const std::string whole = read_file(path);
  const auto remedy_of = [&](const std::string& bytes) -> std::string {
    write_file_atomically(path, bytes);
    try {
      static_cast<void>(NpzReader(path).read("a"));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.remedy();
    }
    return "no error";
  };
  EXPECT_EQ(remedy_of(whole), "no error");
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_THAT(remedy_of(whole.substr(0, length)), HasSubstr("numpy.savez")) << length;
  std::string changed = whole;
  changed[whole.find("\x93NUMPY") + 130] ^= 1;  // a value: the checksum sees it
  EXPECT_THAT(remedy_of(changed), HasSubstr("numpy.savez"));
}

}  // namespace
}  // namespace repsim::model
