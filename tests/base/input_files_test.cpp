// Outputs that would replace what a command reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/temp_folder.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/input_files.hpp"

namespace repsim {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class InputFiles : public testing::Test {
 protected:
  void SetUp() override {
    test::write_text(folder_ / "v.mp4", "video");
    fs::create_directory(folder_ / "pictures");
    test::write_text(folder_ / "pictures" / "1.png", "picture");
  }

  /// Empty where there is none.
  std::string complaint_about(const fs::path& output) const {
    const std::vector<InputFile> inputs{{(folder_ / "v.mp4").string(), "the video"},
                                        {(folder_ / "pictures").string(), "the video"},
                                        {(folder_ / "missing.pt").string(), "the bundle"},
                                        {"", "nothing"}};
    try {
      check_replaces_no_input(output, inputs, "--out");
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  test::TempFolder folder_;
};

TEST_F(InputFiles, TheFileItselfIsRefused) {
  EXPECT_THAT(complaint_about(folder_ / "v.mp4"), HasSubstr("this file is the video that is read"));
  EXPECT_THAT(complaint_about(folder_ / "pictures" / ".." / "v.mp4"), HasSubstr("the video"));
}

TEST_F(InputFiles, LinksToItAreRefused) {
  fs::create_symlink("v.mp4", folder_ / "soft");
  fs::create_hard_link(folder_ / "v.mp4", folder_ / "hard");
  fs::create_directory_symlink("pictures", folder_ / "shots");
  for (const fs::path& name : {folder_ / "soft", folder_ / "hard", folder_ / "shots" / "1.png"})
    EXPECT_THAT(complaint_about(name), HasSubstr("the video that is read")) << name;
}

TEST_F(InputFiles, PicturesOfAFolderThatIsReadAreRefused) {
  EXPECT_THAT(complaint_about(folder_ / "pictures" / "1.png"), HasSubstr("the video that is read"));
}

TEST_F(InputFiles, OtherNamesAreFine) {
  test::write_text(folder_ / "old.mp4", "an older output");
  for (const fs::path& name : {folder_ / "new.mp4", folder_ / "old.mp4", folder_ / "pictures" / "new.png"})
    EXPECT_EQ(complaint_about(name), "") << name;
}

TEST_F(InputFiles, ANameThatIsNotThereYetIsTheSameFileHoweverItIsSpelled) {
  fs::create_directory_symlink("pictures", folder_ / "shots");
  EXPECT_TRUE(is_same_file(folder_ / "pictures" / "a.mp4", folder_ / "shots" / "a.mp4"));
  EXPECT_FALSE(is_same_file(folder_ / "pictures" / "a.mp4", folder_ / "shots" / "b.mp4"));
  EXPECT_FALSE(is_same_file(folder_ / "pictures" / "a.mp4", folder_ / "a.mp4"));
}

}  // namespace
}  // namespace repsim
