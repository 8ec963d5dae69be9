// Signatures on disk: the file, and the cache of many of them.
#include "repsim/signature_cache.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <cmath>
#include <limits>
#include <thread>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::capture {
namespace {

namespace fs = std::filesystem;

/// Two minibatches of four frames, three layers.
SignatureFile sample(const std::string& model = "aa") {
  SignatureFile file;
  file.origin.model_sha256 = model;
  file.origin.video_sha256 = "bb";
  file.origin.input = "320x240,rgb";
  file.origin.frames = {0, 6, 12, 18, 3, 9, 15, 21};
  file.origin.minibatch = 4;
  file.origin.machinery = {"LibTorch 0", "2 threads"};
  file.model_path = "models/front.pt";
  file.video_path = "street.mp4";
  file.signatures.model = "front";
  file.signatures.layers = {"stem", "body.0", "body.1@2"};
  file.signatures.frames = file.origin.frames;
  file.signatures.minibatch = 4;
  file.signatures.length = 12;
  for (int i = 0; i < 36; ++i) file.signatures.values.push_back(std::ldexp(1.0 + i / 7.0, i - 18));
  return file;
}

void expect_equal(const SignatureFile& a, const SignatureFile& b) {
  EXPECT_EQ(a.origin, b.origin);
  EXPECT_EQ(a.model_path, b.model_path);
  EXPECT_EQ(a.video_path, b.video_path);
  EXPECT_EQ(a.signatures.model, b.signatures.model);
  EXPECT_EQ(a.signatures.layers, b.signatures.layers);
  EXPECT_EQ(a.signatures.frames, b.signatures.frames);
  EXPECT_EQ(a.signatures.minibatch, b.signatures.minibatch);
  EXPECT_EQ(a.signatures.length, b.signatures.length);
  EXPECT_EQ(a.signatures.values, b.signatures.values);
}

std::string only_file_in(const fs::path& cache) {
  std::string found;
  for (const auto& entry : fs::directory_iterator(cache / "signatures")) found = entry.path().string();
  return found;
}

TEST(SignatureFile, IsReadBackAsItWas) { expect_equal(signatures_from_bytes(to_bytes(sample()), "f"), sample()); }

TEST(SignatureFile, KeepsValuesThatAreNotFinite) {
  SignatureFile file = sample();
  file.signatures.values[0] = std::numeric_limits<double>::infinity();
  file.signatures.values[1] = std::nan("");
  const SignatureFile back = signatures_from_bytes(to_bytes(file), "f");
  EXPECT_EQ(back.signatures.values[0], file.signatures.values[0]);
  EXPECT_TRUE(std::isnan(back.signatures.values[1]));
}

TEST(SignatureFile, WithoutLayersIsOne) {
  SignatureFile file = sample();
  file.signatures.layers.clear();
  file.signatures.values.clear();
  EXPECT_TRUE(signatures_from_bytes(to_bytes(file), "f").signatures.layers.empty());
}

// A checksum that did not cover all of the file would let some of these through.
TEST(SignatureFile, EveryFlippedBitIsFound) {
  const std::string bytes = to_bytes(sample());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    const auto error = test::error_of([&] { (void)signatures_from_bytes(damaged, "f.signatures"); });
    ASSERT_TRUE(error) << "byte " << at;
    EXPECT_EQ(error->kind(), ErrorKind::kInput);
    EXPECT_EQ(error->where(), "f.signatures");
  }
}

TEST(SignatureFile, EveryCutIsFound) {
  const std::string bytes = to_bytes(sample());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto error = test::error_of([&] { (void)signatures_from_bytes(bytes.substr(0, size), "f"); });
    ASSERT_TRUE(error) << size << " bytes";
    EXPECT_EQ(error->kind(), ErrorKind::kInput);
  }
}

TEST(SignatureFile, OfAnotherVersionSaysSo) {
  std::string bytes = to_bytes(sample());
  bytes.replace(bytes.find('1'), 1, "7");
  const auto error = test::error_of([&] { (void)signatures_from_bytes(bytes, "f"); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->problem(), testing::HasSubstr("version '7'"));
}

TEST(SignatureFile, IsKnownByItsBeginning) {
  const test::TempFolder folder;
  write_file_atomically(folder.path() / "a", to_bytes(sample()));
  write_file_atomically(folder.path() / "b", "PK");
  EXPECT_TRUE(is_signature_file(folder.path() / "a"));
  EXPECT_FALSE(is_signature_file(folder.path() / "b"));
  EXPECT_FALSE(is_signature_file(folder.path() / "missing"));
  EXPECT_FALSE(is_signature_file(folder.path()));
}

// What decides the values decides the name: each alone.
TEST(Digest, DependsOnEveryPartOfTheOrigin) {
  const SignatureOrigin base = sample().origin;
  std::vector<SignatureOrigin> others(7, base);
  others[0].model_sha256 = "ab";
  others[1].video_sha256 = "ab";
  others[2].input = "320x240";
  others[3].frames[7] = 22;
  others[4].minibatch = 8;
  others[5].machinery[1] = "1 threads";
  others[6].statistics_version = kStatisticsVersion + 1;
  std::set<std::string> digests{digest(base)};
  for (const SignatureOrigin& other : others) EXPECT_TRUE(digests.insert(digest(other)).second);
  EXPECT_EQ(digest(base), digest(sample().origin));
}

TEST(SignatureCache, FindsWhatItKept) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path() / "new" / "cache");
  EXPECT_FALSE(cache.find(sample().origin));
  cache.keep(sample());
  cache.keep(sample("cc"));
  ASSERT_TRUE(cache.find(sample().origin));
  expect_equal(*cache.find(sample().origin), sample());
}

TEST(SignatureCache, ADamagedEntryIsThrownAway) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  cache.keep(sample());
  const std::string path = only_file_in(folder.path());
  std::string bytes = read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file_atomically(path, bytes);
  EXPECT_FALSE(cache.find(sample().origin));
  EXPECT_FALSE(fs::exists(path));
  cache.keep(sample());
  EXPECT_TRUE(cache.find(sample().origin));
}

TEST(SignatureCache, AnEntryUnderTheNameOfAnotherIsThrownAway) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  cache.keep(sample());
  fs::rename(cache.path_of(sample().origin), cache.path_of(sample("other").origin));
  EXPECT_FALSE(cache.find(sample("other").origin));
}

TEST(SignatureCache, AFolderThatCannotBeMadeIsAnError) {
  const test::TempFolder folder;
  write_file_atomically(folder.path() / "file", "x");
  const auto error = test::error_of([&] { const SignatureCache cache(folder.path() / "file" / "cache"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kInput);
}

TEST(SignatureCache, AnEntryIsClaimedByOne) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path()), other(folder.path());
  const SignatureOrigin origin = sample().origin, another = sample("cc").origin;
  std::optional<FileLock> claim = cache.try_claim(origin);
  ASSERT_TRUE(claim);
  EXPECT_FALSE(other.try_claim(origin));
  EXPECT_TRUE(other.try_claim(another));
  cache.keep(sample());
  claim.reset();
  EXPECT_TRUE(other.try_claim(origin));
  EXPECT_EQ(only_file_in(folder.path()), cache.path_of(origin).string());
}

// Those that nobody holds go with the rest; one that is held stays.
TEST(SignatureCache, ClaimsOfKilledProcessesAreRemoved) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  cache.keep(sample());
  const std::optional<FileLock> claim = cache.try_claim(sample("held").origin);
  write_file_atomically(cache.path_of(sample("left").origin).replace_extension(".claim"), "");
  (void)clear_cache(folder.path());
  EXPECT_EQ(only_file_in(folder.path()), cache.path_of(sample("held").origin).replace_extension(".claim").string());
  EXPECT_FALSE(cache.try_claim(sample("held").origin));
}

// Readers and writers of the same few entries, one of which damages what it finds: nobody ever gets half an entry.
TEST(SignatureCache, IsSafeUnderManyUsers) {
  const test::TempFolder folder;
  const std::vector<std::string> models{"a", "b", "c"};
  std::atomic<int> wrong{0}, found{0};
  const auto use = [&](int user) {
    const SignatureCache cache(folder.path());
    for (int round = 0; round < 60; ++round) {
      const SignatureFile file = sample(models[static_cast<std::size_t>(round + user) % models.size()]);
      if (const auto entry = cache.find(file.origin)) {
        ++found;
        if (entry->signatures.values != file.signatures.values || entry->origin != file.origin) ++wrong;
      }
      cache.keep(file);
      if (user == 0 && round % 10 == 9) (void)clear_cache(folder.path());
    }
  };
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) users.emplace_back(use, user);
  for (std::thread& user : users) user.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(found, 0);
  for (const auto& entry : fs::directory_iterator(folder.path() / "signatures"))
    EXPECT_TRUE(is_signature_file(entry.path())) << entry.path();
}

TEST(CacheEntries, ListTheLastUsedFirstAndNameDamage) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  const auto now = fs::file_time_type::clock::now();
  const std::vector<std::string> models{"old", "new", "damaged"};
  for (const std::string& model : models) cache.keep(sample(model));
  fs::last_write_time(cache.path_of(sample("old").origin), now - std::chrono::hours(5));
  fs::last_write_time(cache.path_of(sample("new").origin), now - std::chrono::hours(1));
  write_file_atomically(cache.path_of(sample("damaged").origin), "repsim signatures 1\n");
  fs::last_write_time(cache.path_of(sample("damaged").origin), now - std::chrono::hours(9));
  write_file_atomically(folder.path() / "signatures" / "notes.txt", "mine");

  const std::vector<CacheEntry> entries = cache_entries(folder.path());
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].file->origin.model_sha256, "new");
  EXPECT_EQ(entries[1].file->origin.model_sha256, "old");
  EXPECT_TRUE(entries[1].file->signatures.values.empty());
  EXPECT_GT(entries[1].bytes, 36 * 8);
  EXPECT_FALSE(entries[2].file);
  EXPECT_FALSE(entries[2].problem.empty());
}

TEST(CacheEntries, OfNoFolderAreNone) { EXPECT_TRUE(cache_entries("/nowhere/at/all").empty()); }

/// Ages of the entries "0", "1", ... in days.
void fill(const SignatureCache& cache, const std::vector<int>& days) {
  for (std::size_t i = 0; i < days.size(); ++i) {
    const SignatureFile file = sample(std::to_string(i));
    cache.keep(file);
    fs::last_write_time(cache.path_of(file.origin),
                        fs::file_time_type::clock::now() - std::chrono::hours(24 * days[i] + 1));
  }
}

std::set<std::string> models_in(const fs::path& folder) {
  std::set<std::string> models;
  for (const CacheEntry& entry : cache_entries(folder)) models.insert(entry.file->origin.model_sha256);
  return models;
}

TEST(CollectGarbage, RemovesWhatIsOldDamagedOrOfAnotherVersion) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  fill(cache, {0, 40, 20});
  SignatureFile other = sample("other version");
  other.origin.statistics_version = kStatisticsVersion + 1;
  cache.keep(other);
  write_file_atomically(cache.path_of(sample("damaged").origin), "repsim");
  EXPECT_EQ(collect_garbage(folder.path(), {}).size(), 3U);
  EXPECT_THAT(models_in(folder.path()), testing::ElementsAre("0", "2"));
}

TEST(CollectGarbage, KeepsTheLastUsedWithinTheBytes) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  fill(cache, {3, 1, 2, 4});
  const auto size = static_cast<std::int64_t>(fs::file_size(cache.path_of(sample("0").origin)));
  (void)collect_garbage(folder.path(), {30, 2 * size});
  EXPECT_THAT(models_in(folder.path()), testing::ElementsAre("1", "2"));
}

// A lock says that a process still writes, not an age: a stopped one may take its time.
TEST(CollectGarbage, RemovesWhatKilledProcessesLeft) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  const fs::path written = folder.path() / "signatures" / ".repsim-1-0.tmp",
                 left = folder.path() / "signatures" / ".repsim-2-0.tmp";
  for (const fs::path& path : {written, left}) test::write_text(path, "x");
  const FileDescriptor writer = open_descriptor(written, O_RDWR);
  ASSERT_EQ(::flock(writer.get(), LOCK_EX), 0);
  fs::last_write_time(written, fs::file_time_type::clock::now() - std::chrono::hours(2));
  (void)collect_garbage(folder.path(), {});
  EXPECT_TRUE(fs::exists(written));
  EXPECT_FALSE(fs::exists(left));
}

TEST(SignatureCache, WhoKeepsAnEntryRemovesWhatKilledProcessesLeft) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  const fs::path left = folder.path() / "signatures" / ".repsim-2-0.tmp";
  test::write_text(left, "half an entry");
  cache.keep(sample("one"));
  EXPECT_FALSE(fs::exists(left));
  EXPECT_EQ(cache_entries(folder.path()).size(), 1U);
}

TEST(ClearCache, RemovesEntriesAndNothingElse) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  fill(cache, {0, 1});
  write_file_atomically(folder.path() / "signatures" / "notes.txt", "mine");
  EXPECT_EQ(clear_cache(folder.path()).size(), 2U);
  EXPECT_TRUE(cache_entries(folder.path()).empty());
  EXPECT_TRUE(fs::exists(folder.path() / "signatures" / "notes.txt"));
}

}  // namespace
}  // namespace repsim::capture
