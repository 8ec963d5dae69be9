// The central directory of zip archives: what is told of it, and what is refused before anything is unpacked.
#include "../../src/model/plain/zip_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/error_matcher.hpp"
#include "repsim/base/hash.hpp"

namespace repsim::model {
namespace {

using test::error_text;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

/// What a record of a made-up archive declares; what is left open is true.
struct Member {
  std::string name, content = "content";
  std::uint64_t flags = 0, method = 0;
  std::optional<std::uint64_t> packed = std::nullopt, unpacked = std::nullopt, offset = std::nullopt;
  std::string extra = {};
};

std::string little(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
  return bytes;
}

/// An archive of the plain form: local headers with contents, directory, end of directory.
std::string archive_of(const std::vector<Member>& members, std::optional<std::uint64_t> count = std::nullopt) {
  std::string file, directory;
  for (const Member& member : members) {
    const std::string sums = little(crc32(member.content), 4) +
                             little(member.packed.value_or(member.content.size()), 4) +
                             little(member.unpacked.value_or(member.content.size()), 4);
    const std::string kind = little(member.flags, 2) + little(member.method, 2) + little(0, 4);
    directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + kind + sums + little(member.name.size(), 2) +
                 little(member.extra.size(), 2) + little(0, 2) + little(0, 2) + little(0, 2) + little(0, 4) +
                 little(member.offset.value_or(file.size()), 4) + member.name + member.extra;
    file += "PK\x03\x04" + little(20, 2) + kind + sums + little(member.name.size(), 2) + little(0, 2) + member.name +
            member.content;
  }
  const std::uint64_t records = count.value_or(members.size());
  return file + directory + "PK\x05\x06" + little(0, 4) + little(records, 2) + little(records, 2) +
         little(directory.size(), 4) + little(file.size(), 4) + little(0, 2);
}

std::string refusal_of(const std::string& bytes) {
  return error_text([&] { (void)read_zip_directory(bytes, "m.pt"); });
}

constexpr std::uint64_t kIn64BitField = 0xFFFFFFFF;

/// The extra field that holds numbers of 64 bits.
std::string extra64(const std::vector<std::uint64_t>& numbers) {
  std::string field = little(1, 2) + little(8 * numbers.size(), 2);
  for (const std::uint64_t number : numbers) field += little(number, 8);
  return field;
}

TEST(ZipDirectory, TellsNamesSizesAndContents) {
  const std::string bytes = archive_of({{.name = "m/a", .content = "first"}, {.name = "m/b", .content = "the second"}});
  const auto records = read_zip_directory(bytes, "m.pt");
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[1].name, "m/b");
  EXPECT_EQ(records[1].unpacked_bytes, 10U);
  EXPECT_FALSE(records[1].deflated);
  EXPECT_EQ(stored_bytes(bytes, records[0], "m.pt"), "first");
  EXPECT_EQ(stored_bytes(bytes, records[1], "m.pt"), "the second");
}

TEST(ZipDirectory, FindsItsEndBeforeAComment) {
  std::string bytes = archive_of({{.name = "m/a"}});
  bytes.replace(bytes.size() - 2, 2, little(9, 2));
  EXPECT_EQ(read_zip_directory(bytes + "a comment", "m.pt").size(), 1U);
}

// Only the fields that say so are in the extra field, in the order of section 4.5.3; other fields are skipped.
TEST(ZipDirectory, ReadsNumbersOf64Bits) {
  const std::string other = little(0x5455, 2) + little(3, 2) + "abc";
  const auto records = read_zip_directory(
      archive_of({{.name = "m/a", .method = 8, .unpacked = kIn64BitField, .extra = other + extra64({1234})},
                  {.name = "m/b", .unpacked = kIn64BitField, .extra = extra64({7})}}),
      "m.pt");
  EXPECT_EQ(records[0].unpacked_bytes, 1234U);
  EXPECT_EQ(records[0].packed_bytes, 7U);
  EXPECT_EQ(records[1].unpacked_bytes, 7U);
}

TEST(ZipDirectory, RefusesANumberOf64BitsThatIsNotThere) {
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a", .unpacked = kIn64BitField, .extra = extra64({})}})),
              HasSubstr("has no size"));
}

TEST(ZipDirectory, RefusesABomb) {
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a", .method = 8, .unpacked = 0xFFFFFFFE}})),
              AllOf(StartsWith("input: m.pt: the archive claims to unpack to more than"), HasSubstr("torch.jit.save")));
}

// Two halves of 2^64: a sum of them would be 0.
TEST(ZipDirectory, RefusesABombWhoseSizesOverflow) {
  const Member half{.name = "m/a", .method = 8, .unpacked = kIn64BitField, .extra = extra64({std::uint64_t{1} << 63U})};
  Member other = half;
  other.name = "m/b";
  EXPECT_THAT(refusal_of(archive_of({half, other})), HasSubstr("claims to unpack"));
}

TEST(ZipDirectory, TakesAllThatTheLimitAllowsAndNoByteMore) {
  const auto with = [](std::uint64_t bytes) {
    return archive_of(
        {{.name = "m/a", .method = 8, .unpacked = bytes - 5}, {.name = "m/b", .content = "12345", .method = 8}});
  };
  EXPECT_EQ(read_zip_directory(with(kFreeUnpackedBytes), "m.pt").size(), 2U);
  EXPECT_THAT(refusal_of(with(kFreeUnpackedBytes + 1)), HasSubstr("claims to unpack"));
}

// A larger file may unpack to more: its weights may have been zipped by another tool.
TEST(ZipDirectory, AllowsMoreToALargerFile) {
  const std::string content(8U << 20U, 'x');
  const auto with = [&](std::uint64_t bytes) {
    return archive_of({{.name = "m/a", .content = content, .method = 8, .unpacked = bytes}});
  };
  const std::uint64_t limit = kMaxUnpackedRatio * with(0).size();
  EXPECT_EQ(read_zip_directory(with(limit), "m.pt").size(), 1U);
  EXPECT_THAT(refusal_of(with(limit + 1)), HasSubstr("claims to unpack"));
}

// The other kind of bomb: a thousand names for the same bytes.
TEST(ZipDirectory, RefusesRecordsThatShareTheirBytes) {
  std::vector<Member> members{{.name = "m/0", .content = std::string(100'000, 'x')}};
  for (int i = 1; i < 20; ++i) {
    members.push_back(
        {.name = "m/" + std::to_string(i), .content = "", .packed = 100'000, .unpacked = 100'000, .offset = 0});
  }
  EXPECT_THAT(refusal_of(archive_of(members)), HasSubstr("larger than the file"));
}

TEST(ZipDirectory, RefusesWhatTorchReadsInAnotherWay) {
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a"}, {.name = "m/a"}})), HasSubstr("two records 'm/a'"));
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a", .flags = 1}})), HasSubstr("encrypted"));
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a", .method = 12}})), HasSubstr("does not read (12)"));
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a", .unpacked = 8}})), HasSubstr("contradict"));
}

TEST(ZipDirectory, RefusesEntriesThatAreNotThere) {
  EXPECT_THAT(refusal_of(archive_of({{.name = "m/a"}}, 2)), HasSubstr("broken"));
  EXPECT_THAT(refusal_of("PK\x03\x04 and then nothing of the kind"), HasSubstr("missing"));
  const std::string bytes = archive_of({{.name = "m/a", .offset = 0x7FFFFFFF}});
  const auto records = read_zip_directory(bytes, "m.pt");
  EXPECT_THAT(error_text([&] { (void)stored_bytes(bytes, records[0], "m.pt"); }), HasSubstr("leaves the file"));
}

/// Reads all that there is; an Error is fine, anything else is not.
void read_all(const std::string& bytes) {
  try {
    for (const ZipRecord& record : read_zip_directory(bytes, "m.pt")) {
      if (!record.deflated) (void)crc32(stored_bytes(bytes, record, "m.pt"));
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
  }
}

// Under the address sanitizer this is the proof that no offset is believed. All bits, as the archive is small.
TEST(ZipDirectory, SurvivesEveryCutAndEveryFlippedBit) {
  const std::string whole = archive_of(
      {{.name = "m/a", .content = "first"}, {.name = "m/b", .unpacked = kIn64BitField, .extra = extra64({7})}});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_THROW((void)read_zip_directory(whole.substr(0, size), "m.pt"), Error) << size;
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
      EXPECT_NO_THROW(read_all(damaged)) << "bit " << bit << " of byte " << at;
    }
  }
}

}  // namespace
}  // namespace repsim::model
