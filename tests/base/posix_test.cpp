#include "repsim/base/posix.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/atomic_file.hpp"

namespace repsim {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Opening a named pipe would wait for ever: nobody writes into it.
TEST(OpenFile, DoesNotWaitForANamedPipe) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(test::error_text([&] { (void)open_file(folder / "pipe"); }),
              AllOf(StartsWith("input: " + (folder / "pipe").string()), HasSubstr("no regular file")));
}

TEST(OpenFile, RefusesANamedPipeThatSomebodyHoldsOpen) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const FileDescriptor writer = open_descriptor(folder / "pipe", O_RDWR);
  EXPECT_THAT(test::error_text([&] { (void)open_file(folder / "pipe"); }), HasSubstr("no regular file"));
}

TEST(OpenFile, RefusesFoldersDevicesAndSockets) {
  const test::TempFolder folder;
  EXPECT_THAT(test::error_text([&] { (void)open_file(folder.path()); }), HasSubstr("Is a directory"));
  EXPECT_THAT(test::error_text([] { (void)open_file("/dev/zero"); }), HasSubstr("no regular file"));
  const FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = (folder / "socket").string();
  ASSERT_LT(name.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(test::error_text([&] { (void)open_file(name); }), HasSubstr("no regular file"));
}

// A shell's <(...): the writer may begin late and write slowly.
TEST(OpenFile, ReadsAnInheritedPipeToItsEnd) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const FileDescriptor reader(ends[0]);
  std::thread writer([end = ends[1]] {
    const FileDescriptor file(end);
    for (const char* part : {"{", "}"}) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      EXPECT_EQ(::write(end, part, 1), 1);
    }
  });
  EXPECT_EQ(read_file("/proc/self/fd/" + std::to_string(reader.get())), "{}");
  writer.join();
}

TEST(OpenFile, SaysWhyLongNamesAndCirclesCannotBeOpened) {
  const test::TempFolder folder;
  EXPECT_THAT(test::error_text([&] { (void)open_file(folder / std::string(300, 'x')); }), HasSubstr("a shorter name"));
  std::filesystem::create_symlink("circle", folder / "circle");
  EXPECT_THAT(test::error_text([&] { (void)open_file(folder / "circle"); }), HasSubstr("circle: name the file"));
}

TEST(RootedPath, KeepsAbsolutePathsAndMakesFilesOfOthers) {
  EXPECT_EQ(rooted_path("/a/b"), "/a/b");
  EXPECT_EQ(rooted_path("concat:a.avi"), "./concat:a.avi");
}

}  // namespace
}  // namespace repsim
