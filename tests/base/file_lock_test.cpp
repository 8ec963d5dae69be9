#include "repsim/base/file_lock.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "base/temp_folder.hpp"
#include "repsim/base/atomic_file.hpp"

namespace repsim {
namespace {

TEST(FileLock, IsHeldByOneAtATimeAndRemovesItsFile) {
  const test::TempFolder folder;
  const auto path = folder.path() / "lock";
  {
    const std::optional<FileLock> first = FileLock::try_take(path);
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->is_held());
    EXPECT_FALSE(FileLock::try_take(path));
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(FileLock::try_take(path));
}

TEST(FileLock, IsGivenUpOnceWhereItIsMoved) {
  const test::TempFolder folder;
  const auto a = folder.path() / "a", b = folder.path() / "b";
  std::optional<FileLock> one = FileLock::try_take(a);
  {
    FileLock moved = std::move(*one);
    one.reset();
    EXPECT_FALSE(FileLock::try_take(a));
    FileLock other = std::move(*FileLock::try_take(b));
    std::swap(moved, other);
    EXPECT_FALSE(FileLock::try_take(b));
  }
  EXPECT_FALSE(std::filesystem::exists(a));
  EXPECT_FALSE(std::filesystem::exists(b));
}

// What a killed process leaves is an unlocked file: the next one takes it.
TEST(FileLock, OfAKilledProcessIsFree) {
  const test::TempFolder folder;
  const auto path = folder.path() / "lock", ready = folder.path() / "ready";
  const pid_t child = ::fork();
  if (child == 0) {
    const std::optional<FileLock> lock = FileLock::try_take(path);
    std::ofstream(ready) << 'x';
    for (;;) ::pause();
  }
  ASSERT_GT(child, 0);
  while (!std::filesystem::exists(ready)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(FileLock::try_take(path));
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(std::filesystem::exists(path));
  const std::optional<FileLock> lock = FileLock::try_take(path);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(lock->is_held());
}

TEST(FileLock, HoldsNothingWhereTheFileCannotBeMade) {
  const test::TempFolder folder;
  write_file_atomically(folder.path() / "file", "x");
  const std::optional<FileLock> lock = FileLock::try_take(folder.path() / "file" / "lock");
  ASSERT_TRUE(lock);
  EXPECT_FALSE(lock->is_held());
}

// The file comes and goes with every holder: never do two hold it.
TEST(FileLock, IsNeverHeldByTwo) {
  const test::TempFolder folder;
  const auto path = folder.path() / "lock";
  std::atomic<int> holders{0}, wrong{0}, held{0};
  const auto use = [&] {
    while (held < 300) {
      const std::optional<FileLock> lock = FileLock::try_take(path);
      if (!lock || !lock->is_held()) continue;
      if (++holders != 1) ++wrong;
      ++held;
      std::this_thread::yield();
      --holders;
    }
  };
  std::vector<std::thread> users;
  for (int i = 0; i < 4; ++i) users.emplace_back(use);
  for (std::thread& user : users) user.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace repsim
