#include "repsim/base/atomic_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/posix.hpp"

namespace repsim {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
namespace fs = std::filesystem;

TEST(AtomicFile, WritesEveryByteAndNothingElse) {
  const test::TempFolder folder;
  const std::string bytes("a\0b\r\n\xff", 6);
  write_file_atomically(folder / "out.bin", bytes);
  EXPECT_EQ(test::read_text(folder / "out.bin"), bytes);
  EXPECT_THAT(folder.entries(), ElementsAre("out.bin"));
}

TEST(AtomicFile, ReplacesAnOlderFile) {
  const test::TempFolder folder;
  test::write_text(folder / "out", "a much longer older content");
  write_file_atomically(folder / "out", "new");
  EXPECT_EQ(read_file(folder / "out"), "new");
}

TEST(AtomicFile, TakesANameAsLongAsTheFileSystemAllows) {
  const test::TempFolder folder;
  const std::string name(255, 'x');
  write_file_atomically(folder / name, "1");
  EXPECT_THAT(folder.entries(), ElementsAre(name));
}

TEST(AtomicFile, IsReadableAsTheUmaskSays) {
  const test::TempFolder folder;
  const ::mode_t before = ::umask(027);
  write_file_atomically(folder / "out", "1");
  ::umask(before);
  EXPECT_EQ(fs::status(folder / "out").permissions(), fs::perms(0640));
}

// Nobody has locked these: the processes that made them are dead, whatever their names say.
TEST(Leftovers, OfKilledProcessesAreRemoved) {
  const test::TempFolder folder;
  const std::string own = std::to_string(::getpid());
  test::write_text(folder / (".repsim-" + own + "-0.tmp"), "half a file");
  fs::create_directory(folder / ".repsim-2-1.tmp");
  test::write_text(folder / ".repsim-2-1.tmp/bundle.pt", "half a bundle");
  test::write_text(folder / ".repsim-2-1.lock", "");
  test::write_text(folder / ".repsim-3-0.lock", "");  // killed before it made its folder
  remove_leftovers(folder.path());
  EXPECT_THAT(folder.entries(), IsEmpty());
}

TEST(Leftovers, WhatIsBeingWrittenIsNone) {
  const test::TempFolder folder;
  StagedDirectory staged(folder / "out", false);
  write_file_atomically(staged.path("a"), "1");
  remove_leftovers(folder.path());
  const StagedDirectory other(folder / "other", false);  // looks for leftovers as well
  staged.commit();
  EXPECT_EQ(read_file(folder / "out/a"), "1");
}

TEST(Leftovers, FilesOfOtherNamesAreNotOurs) {
  const test::TempFolder folder;
  const std::vector<std::string> names{".repsim-1-0.tmp.old", ".repsim-a-0.tmp",    ".repsim-1.tmp",
                                       ".repsim--1.lock",     ".repsim-1-0-0.lock", "repsim-1-0.tmp"};
  for (const std::string& name : names) test::write_text(folder / name, "mine");
  fs::create_symlink(folder / "repsim-1-0.tmp", folder / ".repsim-7-0.tmp");
  remove_leftovers(folder.path());
  EXPECT_EQ(folder.entries().size(), names.size() + 1);
  EXPECT_EQ(read_file(folder / "repsim-1-0.tmp"), "mine");
}

TEST(Leftovers, AFolderThatHoldsNothingElseIsEmpty) {
  const test::TempFolder folder;
  fs::create_directories(folder / "out/.repsim-2-0.tmp");
  test::write_text(folder / "out/.repsim-2-0.lock", "");
  StagedDirectory staged(folder / "out", false);
  write_file_atomically(staged.path("a"), "1");
  staged.commit();
  EXPECT_EQ(std::distance(fs::directory_iterator(folder / "out"), fs::directory_iterator()), 1);
}

// A process that ends in the middle: its lock goes with it, its files stay until the next one comes.
TEST(Leftovers, OfAProcessThatWasKilledGoWithTheNextRun) {
  const test::TempFolder folder;
  const ::pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const StagedDirectory staged(folder / "out", false);
    write_file_atomically(staged.path("a"), "1");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(folder.entries().size(), 2U);
  {
    const StagedDirectory next(folder / "next", false);
  }
  EXPECT_THAT(folder.entries(), IsEmpty());
}

TEST(AbandonOutputs, RemovesWhatIsNotCommitted) {
  const test::TempFolder folder;
  StagedDirectory done(folder / "done", false), open(folder / "open", false);
  write_file_atomically(done.path("a"), "1");
  write_file_atomically(open.path("a"), "1");
  done.commit();
  abandon_outputs();
  EXPECT_THAT(folder.entries(), ElementsAre("done"));
  EXPECT_EQ(read_file(folder / "done/a"), "1");
}

// Two writers of one file: either content, never a mixture, no temporary left.
TEST(AtomicFile, StaysWholeWhenSeveralThreadsWriteIt) {
  const test::TempFolder folder;
  std::vector<std::thread> writers;
  for (const char c : {'a', 'b', 'c', 'd'}) {
    writers.emplace_back([&folder, c] {
      for (int i = 0; i < 20; ++i) {
        EXPECT_NO_THROW(write_file_atomically(folder / "out", std::string(100000, c)));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  const std::string content = read_file(folder / "out");
  EXPECT_EQ(content, std::string(100000, content[0]));
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(AtomicFile, NamesThePathAndTheReasonWhenTheFolderIsMissing) {
  const test::TempFolder folder;
  EXPECT_THAT(test::error_text([&] { write_file_atomically(folder / "no/out", "1"); }),
              AllOf(StartsWith("input: " + (folder / "no/out").string()), HasSubstr("No such file or directory")));
}

TEST(AtomicFile, NamesThePathAndTheReasonBelowAFile) {
  const test::TempFolder folder;
  test::write_text(folder / "file", "1");
  EXPECT_THAT(test::error_text([&] { write_file_atomically(folder / "file/out", "1"); }),
              AllOf(StartsWith("input: " + (folder / "file/out").string()), HasSubstr("Not a directory")));
}

// As root a rename would replace the device itself.
TEST(AtomicFile, RefusesToReplaceADeviceOrAFolder) {
  const test::TempFolder folder;
  EXPECT_THAT(test::error_text([] { write_file_atomically("/dev/null", "1"); }), HasSubstr("no regular file"));
  EXPECT_THAT(test::error_text([&] { write_file_atomically(folder.path(), "1"); }), HasSubstr("no regular file"));
}

// The rename would replace the link /dev/stdout itself, for all programs of the machine.
TEST(StagedFile, NeverReplacesALinkToAnOpenFile) {
  const test::TempFolder folder;
  test::write_text(folder / "open", "old");
  const FileDescriptor file = open_descriptor(folder / "open", O_RDONLY);
  const fs::path link = folder / "link", second = folder / "second";
  fs::create_symlink("/proc/self/fd/" + std::to_string(file.get()), link);
  fs::create_symlink("link", second);
  for (const fs::path& name : {link, second}) {
    EXPECT_THAT(test::error_text([&] { const StagedFile staged(name, true); }), HasSubstr("this is an open file"));
    EXPECT_THAT(test::error_text([&] { write_file_atomically(name, "new"); }), HasSubstr("no regular file"));
    EXPECT_TRUE(fs::is_symlink(name));
  }
  EXPECT_EQ(test::read_text(folder / "open"), "old");
}

TEST(StagedFile, ReplacesALinkToAnOrdinaryFile) {
  const test::TempFolder folder;
  test::write_text(folder / "file", "old");
  fs::create_symlink("file", folder / "link");
  StagedFile staged(folder / "link", true);
  write_file_atomically(staged.path(), "new");
  staged.commit();
  EXPECT_EQ(test::read_text(folder / "link"), "new");
}

TEST(StagedDirectory, TakesAFolderThatIsNamedByADot) {
  const test::TempFolder folder;
  StagedDirectory staged(folder / "made" / ".", false);
  write_file_atomically(staged.path("a"), "1");
  staged.commit();
  EXPECT_EQ(test::read_text(folder / "made" / "a"), "1");
}

// A limit on the size of files fails in the middle of writing, as a full disk does; the old file must survive.
TEST(AtomicFile, KeepsTheOldFileWhenWritingFailsHalfway) {
  const test::TempFolder folder;
  test::write_text(folder / "out", "old");
  ::rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ::rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text = test::error_text([&] { write_file_atomically(folder / "out", std::string(100000, 'x')); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(text, AllOf(StartsWith("input: " + (folder / "out").string()), HasSubstr("File too large")));
  EXPECT_EQ(read_file(folder / "out"), "old");
  EXPECT_THAT(folder.entries(), ElementsAre("out"));
}

TEST(ReadFile, NamesThePathAndTheReason) {
  const test::TempFolder folder;
  EXPECT_THAT(test::error_text([&] { (void)read_file(folder / "no"); }),
              AllOf(StartsWith("input: " + (folder / "no").string()), HasSubstr("No such file")));
  EXPECT_THAT(test::error_text([&] { (void)read_file(folder.path()); }), HasSubstr("Is a directory"));
}

TEST(ReadFile, ReadsFilesWhoseSizeIsNotKnownBefore) { EXPECT_THAT(read_file("/proc/self/status"), HasSubstr("Pid:")); }

TEST(ReadFile, ReadsMoreThanOnePiece) {
  const test::TempFolder folder;
  std::string bytes(3'000'001, 'a');
  bytes.back() = 'z';
  test::write_text(folder / "big", bytes);
  EXPECT_EQ(read_file(folder / "big"), bytes);
}

}  // namespace
}  // namespace repsim
