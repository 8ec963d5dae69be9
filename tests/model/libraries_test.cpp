// Operators that Torch does not have, and models that cannot be judged.
#include "../../src/model/libraries.hpp"

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/script.h>

#include <filesystem>
#include <fstream>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

using test::error_text;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Library, ThatIsMissingOrNoLibraryIsAnInputError) {
  EXPECT_THAT(error_text([] { load_library("/nowhere/libx.so"); }),
              AllOf(StartsWith("input: /nowhere/libx.so: no such operator library"), HasSubstr("--library")));
  const test::TempFolder folder;
  test::write_text(folder / "libx.so", "no library");
  EXPECT_THAT(error_text([&] { load_library(folder / "libx.so"); }),
              AllOf(StartsWith("input: "), HasSubstr("cannot be loaded"), HasSubstr("for Torch")));
}

TEST(Library, LetsModelsUseItsOperators) {
  load_library(REPSIM_TEST_OPERATORS);
  load_library(REPSIM_TEST_OPERATORS);
  const test::Opened opened = test::open_fixtures({"custom_op", "small"});
  const std::string file = std::filesystem::path(REPSIM_TEST_OPERATORS).filename().string();
  EXPECT_THAT(opened.loaded[0].operator_libraries, testing::ElementsAre(OperatorLibrary{file, {"repsim_test::halve"}}));
  EXPECT_THAT(opened.loaded[1].operator_libraries, testing::IsEmpty());
  EXPECT_TRUE(opened.prepared[0].rewritable) << opened.prepared[0].opaque_reason;
}

// torchvision's, and what torch's tools for extensions build, name libtorch_python.so, which loads only where a Python
// is.
TEST(Library, MayNameTheLibraryOfTorchForPython) {
  std::ifstream file(REPSIM_TEST_PYTHON_OPERATORS, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  ASSERT_THAT(bytes, HasSubstr("libtorch_python.so"));
  EXPECT_NO_THROW(load_library(REPSIM_TEST_PYTHON_OPERATORS));
  const auto found = c10::Dispatcher::singleton().findSchema({"repsim_test_python::twice", ""});
  EXPECT_TRUE(found.has_value());
}

// Wheels of torch export std::filesystem, too, and theirs may call what is not there.
TEST(Library, OfCppComesBeforeTorchs) {
  std::uintmax_t (*const function)(const std::filesystem::path&, std::error_code&) = &std::filesystem::remove_all;
  Dl_info found{};
  ASSERT_NE(::dladdr(reinterpret_cast<const void*>(function), &found), 0);
  EXPECT_THAT(found.dli_fname, HasSubstr("libstdc++"));
}

// What lies in a folder of packages as pip installs them. The command line's cases load it for a model.
TEST(Torchvision, IsFoundBesideLibTorch) {
  const test::TempFolder packages;
  const std::string torch = packages / "torch" / "lib";
  std::filesystem::create_directories(torch);
  EXPECT_EQ(find_torchvision(torch), std::nullopt);
  std::filesystem::create_directories(packages / "torchvision");
  for (const char* other : {"_C.py", "image.so", "video_reader.so", "_meta.so"})
    test::write_text(packages / "torchvision" / other, "");
  EXPECT_EQ(find_torchvision(torch), std::nullopt);
  const std::string library = packages / "torchvision" / "_C.so";
  test::write_text(packages / "torchvision" / "_C_stable.so", "");
  test::write_text(library, "");
  EXPECT_EQ(find_torchvision(torch), library);
}

Loaded defined_as(const std::string& code) {
  Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.define(code);
  return loaded;
}

TEST(Randomness, InTheOutputIsRefused) {
  const Loaded noisy = defined_as("def forward(self, x):\n  return x + torch.rand_like(x)\n");
  EXPECT_THAT(error_text([&] { (void)graph::trace_run(noisy); }),
              AllOf(StartsWith("input: m.pt"), HasSubstr("random")));
}

TEST(Randomness, InTheNumberOfBoxesIsRefused) {
  const Loaded noisy = defined_as("def forward(self, x):\n  return x[0, 0][torch.rand([48, 64]) > 0.5]\n");
  EXPECT_THAT(error_text([&] { (void)graph::trace_run(noisy); }), HasSubstr("random"));
}

// A random number that is multiplied by nothing harms nobody, nor does a model that counts its calls.
TEST(Randomness, WithoutEffectIsFine) {
  EXPECT_NO_THROW((void)graph::trace_run(defined_as("def forward(self, x):\n  return x + 0.0 * torch.rand_like(x)\n")));
  EXPECT_NO_THROW((void)graph::trace_run(test::load_fixture("counter")));
}

}  // namespace
}  // namespace repsim::model
