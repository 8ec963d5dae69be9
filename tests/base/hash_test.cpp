#include "repsim/base/hash.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"

namespace repsim {
namespace {

// Vectors of FIPS 180-4 (NIST's example files).
TEST(Sha256, GivesTheStandardsExamples) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, TakesBytesAndTextAlike) {
  const std::array<std::byte, 3> bytes{std::byte{'a'}, std::byte{'b'}, std::byte{'c'}};
  EXPECT_EQ(sha256(std::span<const std::byte>(bytes)), sha256("abc"));
}

// One million times 'a', NIST's long example: more bytes than a piece would be a second piece, so add another.
TEST(Sha256, OfAFileEqualsThatOfItsContentAcrossPieces) {
  const test::TempFolder folder;
  test::write_text(folder / "million", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(folder / "million"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  const std::string big(2'500'000, 'b');
  test::write_text(folder / "big", big);
  EXPECT_EQ(sha256_of_file(folder / "big"), sha256(big));
}

TEST(Sha256, NamesTheFileThatIsMissing) {
  EXPECT_THAT(test::error_text([] { (void)sha256_of_file("/no/such/file"); }),
              testing::StartsWith("input: /no/such/file: cannot be read: No such file"));
}

// The check value of the CRC catalogue (CRC-32/ISO-HDLC), and one of the zip file format's own: an empty record.
TEST(Crc32, GivesTheStandardsExamples) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
  EXPECT_EQ(crc32(""), 0U);
}

class Stopped : public SilentProgress {
 public:
  [[nodiscard]] bool stop_requested() const override { return true; }
};

TEST(Sha256, StopsWhenTheUserWants) {
  const test::TempFolder folder;
  test::write_text(folder / "a", "1");
  Stopped progress;
  EXPECT_EQ(test::error_text([&] { (void)sha256_of_file(folder / "a", progress); }), "interrupted: interrupted");
}

}  // namespace
}  // namespace repsim
