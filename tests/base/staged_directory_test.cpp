// Folders and files that appear whole or not at all.
#include "repsim/base/atomic_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"

namespace repsim {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

TEST(StagedDirectory, AppearsOnlyWithCommit) {
  const test::TempFolder folder;
  StagedDirectory staged(folder / "out", false);
  write_file_atomically(staged.path("plan.json"), "{}");
  EXPECT_FALSE(fs::exists(folder / "out"));
  staged.commit();
  EXPECT_EQ(read_file(folder / "out/plan.json"), "{}");
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(StagedDirectory, LeavesNothingWithoutCommit) {
  const test::TempFolder folder;
  {
    StagedDirectory staged(folder / "out", false);
    write_file_atomically(staged.path("plan.json"), "{}");
  }
  EXPECT_THAT(folder.entries(), IsEmpty());
}

TEST(StagedDirectory, TakesATrailingSlash) {
  const test::TempFolder folder;
  StagedDirectory staged(folder / "out/", false);
  write_file_atomically(staged.path("a"), "1");
  staged.commit();
  EXPECT_EQ(read_file(folder / "out/a"), "1");
}

TEST(StagedDirectory, RefusesAFolderWithFilesAndShowsForce) {
  const test::TempFolder folder;
  fs::create_directory(folder / "out");
  test::write_text(folder / "out/mine", "1");
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / "out", false); }),
              AllOf(StartsWith("input: " + (folder / "out").string()), HasSubstr("--force")));
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(StagedDirectory, UsesAnEmptyFolder) {
  const test::TempFolder folder;
  fs::create_directory(folder / "out");
  StagedDirectory staged(folder / "out", false);
  write_file_atomically(staged.path("a"), "1");
  staged.commit();
  EXPECT_EQ(read_file(folder / "out/a"), "1");
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(StagedDirectory, EmptyFolderIsEmptyAgainWithoutCommit) {
  const test::TempFolder folder;
  fs::create_directory(folder / "out");
  {
    StagedDirectory staged(folder / "out", false);
    write_file_atomically(staged.path("a"), "1");
  }
  EXPECT_TRUE(fs::is_empty(folder / "out"));
}

TEST(StagedDirectory, ForceReplacesFilesOfTheSameNameAndKeepsOthers) {
  const test::TempFolder folder;
  fs::create_directory(folder / "out");
  test::write_text(folder / "out/plan.json", "old");
  test::write_text(folder / "out/mine", "1");
  StagedDirectory staged(folder / "out", true);
  write_file_atomically(staged.path("plan.json"), "new");
  write_file_atomically(staged.path("bundle.pt"), "b");
  EXPECT_EQ(read_file(folder / "out/plan.json"), "old");
  staged.commit();
  EXPECT_EQ(read_file(folder / "out/plan.json"), "new");
  EXPECT_EQ(read_file(folder / "out/mine"), "1");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out"), fs::directory_iterator()), 3);
}

// Found before the first rename: old and new files must not be mixed.
TEST(StagedDirectory, ForceReplacesNothingWhenOneNameIsAFolder) {
  const test::TempFolder folder;
  fs::create_directories(folder / "out/z");
  test::write_text(folder / "out/a", "old");
  {
    StagedDirectory staged(folder / "out", true);
    write_file_atomically(staged.path("a"), "new");
    write_file_atomically(staged.path("z"), "new");
    EXPECT_THAT(test::error_text([&] { staged.commit(); }), HasSubstr("out/z: cannot be replaced: is a folder"));
  }
  EXPECT_EQ(read_file(folder / "out/a"), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out"), fs::directory_iterator()), 2);
}

// A file that cannot be put into its place: a folder of its name appears after the check, which a rename cannot
// replace.
TEST(StagedDirectory, ForceBringsBackTheOldFilesAfterAFailure) {
  const test::TempFolder folder;
  fs::create_directory(folder / "out");
  test::write_text(folder / "out/a", "old a");
  test::write_text(folder / "out/plan.json", "old plan");
  {
    StagedDirectory staged(folder / "out", true);
    write_file_atomically(staged.path("a"), "new a");
    write_file_atomically(staged.path("plan.json"), "new plan");
    fs::create_directory(staged.path("replaced"));  // where commit keeps old files
    EXPECT_THAT(test::error_text([&] { staged.commit("plan.json"); }), StartsWith("input: "));
  }
  EXPECT_EQ(read_file(folder / "out/a"), "old a");
  EXPECT_EQ(read_file(folder / "out/plan.json"), "old plan");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out"), fs::directory_iterator()), 2);
}

TEST(StagedDirectory, RefusesANameThatIsTooLongBeforeAnyWork) {
  const test::TempFolder folder;
  const std::string name(300, 'x');
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / name, false); }), HasSubstr("a shorter name"));
  std::string deep = folder.path().string();
  while (deep.size() < 3900) {
    deep += "/" + std::string(200, 'y');
    ASSERT_EQ(::mkdir(deep.c_str(), 0777), 0);
  }
  EXPECT_THAT(test::error_text([&] { StagedDirectory(deep + "/out", false); }), HasSubstr("a shorter name"));
  EXPECT_TRUE(fs::is_empty(deep));
}

TEST(StagedFile, AppearsOnlyWithCommit) {
  const test::TempFolder folder;
  StagedFile staged(folder / "a/b/file", false);
  write_file_atomically(staged.path(), "1");
  EXPECT_FALSE(fs::exists(folder / "a/b/file"));
  staged.commit();
  EXPECT_EQ(read_file(folder / "a/b/file"), "1");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "a/b"), fs::directory_iterator()), 1);
}

TEST(StagedFile, LeavesNothingWithoutCommit) {
  const test::TempFolder folder;
  {
    const StagedFile staged(folder / "a/b/file", false);
    write_file_atomically(staged.path(), "1");
  }
  EXPECT_THAT(folder.entries(), IsEmpty());
}

// One of them makes the folder of both.
TEST(StagedFile, TwoRunsAtOnceShareANewFolder) {
  const test::TempFolder folder;
  StagedFile one(folder / "a/one", false), two(folder / "a/two", false);
  write_file_atomically(one.path(), "1");
  write_file_atomically(two.path(), "2");
  one.commit();
  two.commit();
  EXPECT_EQ(read_file(folder / "a/one"), "1");
  EXPECT_EQ(read_file(folder / "a/two"), "2");
}

TEST(StagedFile, RefusesBeforeAnyWorkWhatItCannotReplace) {
  const test::TempFolder folder;
  test::write_text(folder / "file", "mine");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(test::error_text([&] { StagedFile(folder / "file", false); }), HasSubstr("--force"));
  EXPECT_THAT(test::error_text([&] { StagedFile(folder.path(), true); }), HasSubstr("this is a folder"));
  EXPECT_THAT(test::error_text([&] { StagedFile(folder / "new/", true); }), HasSubstr("this is a folder"));
  EXPECT_THAT(test::error_text([&] { StagedFile(folder / "pipe", true); }), HasSubstr("no regular file"));
  EXPECT_THAT(test::error_text([&] { StagedFile(folder / std::string(300, 'x'), true); }), HasSubstr("a shorter name"));
  EXPECT_THAT(test::error_text([&] { StagedFile(folder / "file/x", true); }), StartsWith("input: "));
  EXPECT_THAT(folder.entries(), UnorderedElementsAre("file", "pipe"));
}

TEST(StagedDirectory, RefusesAFileAndADanglingLinkEvenWithForce) {
  const test::TempFolder folder;
  test::write_text(folder / "file", "1");
  fs::create_symlink(folder / "nowhere", folder / "link");
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / "file", true); }), HasSubstr("exists and is no folder"));
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / "link", true); }), HasSubstr("exists and is no folder"));
}

TEST(StagedDirectory, MakesMissingParents) {
  const test::TempFolder folder;
  {
    StagedDirectory staged(folder / "a/b/out/", false);
    write_file_atomically(staged.path("file"), "1");
    staged.commit();
  }
  EXPECT_EQ(read_file(folder / "a/b/out/file"), "1");
}

TEST(StagedDirectory, RemovesParentsThatItMadeForNothing) {
  const test::TempFolder folder;
  fs::create_directory(folder / "mine");
  {
    const StagedDirectory staged(folder / "mine/a/b/out", false);
    EXPECT_TRUE(fs::exists(folder / "mine/a/b"));
  }
  EXPECT_TRUE(fs::exists(folder / "mine")) << "was there before";
  EXPECT_FALSE(fs::exists(folder / "mine/a"));
}

TEST(ParentFolders, StayWhereSomebodyUsesThem) {
  const test::TempFolder folder;
  {
    const ParentFolders parents(folder / "a/b/file");
    test::write_text(folder / "a/other", "1");
  }
  EXPECT_TRUE(fs::exists(folder / "a/other"));
  EXPECT_FALSE(fs::exists(folder / "a/b"));
}

TEST(ParentFolders, AreRemovedWhereTheNextOneCannotBeMade) {
  const test::TempFolder folder;
  const std::string too_long(300, 'x');
  EXPECT_THAT(test::error_text([&] { ParentFolders(folder / "a" / too_long / "file"); }), StartsWith("input: "));
  EXPECT_THAT(folder.entries(), IsEmpty());
}

TEST(ParentFolders, AreNotMadeForANameWithoutAFolder) { EXPECT_NO_THROW(ParentFolders("file")); }

TEST(StagedDirectory, RefusesAPlaceBelowAFile) {
  const test::TempFolder folder;
  test::write_text(folder / "file", "1");
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / "file/out", false); }), HasSubstr("Not a directory"));
  EXPECT_THAT(test::error_text([&] { StagedDirectory(folder / "file/a/out", false); }), HasSubstr("Not a directory"));
}

TEST(StagedDirectory, RefusesAnEmptyPath) {
  EXPECT_THAT(test::error_text([] { StagedDirectory("", false); }), StartsWith("input: "));
}

TEST(StagedDirectory, SaysSoWhereNothingMayBeWritten) {
  if (::access("/proc", W_OK) == 0 && ::geteuid() != 0) GTEST_SKIP() << "/proc is writable here";
  EXPECT_THAT(test::error_text([] { StagedDirectory("/proc/repsim-out", false); }),
              StartsWith("input: /proc/repsim-out"));
}

// Another run made the folder meanwhile: its files stay, ours are removed.
TEST(StagedDirectory, DoesNotReplaceAFolderThatAppearedMeanwhile) {
  const test::TempFolder folder;
  {
    StagedDirectory staged(folder / "out", false);
    write_file_atomically(staged.path("a"), "ours");
    fs::create_directory(folder / "out");
    test::write_text(folder / "out/a", "theirs");
    EXPECT_THAT(test::error_text([&] { staged.commit(); }), HasSubstr("Directory not empty"));
  }
  EXPECT_EQ(read_file(folder / "out/a"), "theirs");
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(StagedDirectory, TwoRunsAtOnceDoNotMeet) {
  const test::TempFolder folder;
  StagedDirectory one(folder / "one", false), two(folder / "two", false);
  write_file_atomically(one.path("a"), "1");
  write_file_atomically(two.path("a"), "2");
  one.commit();
  two.commit();
  EXPECT_EQ(read_file(folder / "one/a"), "1");
  EXPECT_EQ(read_file(folder / "two/a"), "2");
  EXPECT_THAT(folder.entries(), UnorderedElementsAre("one", "two"));
}

}  // namespace
}  // namespace repsim
