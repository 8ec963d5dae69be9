#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <numeric>
#include <optional>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/memory.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

model::InputSpec spec_of(std::int64_t width, std::int64_t height) {
  model::InputSpec spec;
  spec.width = width;
  spec.height = height;
  return spec;
}

/// A store of one 16x16 frame whose pixels have all 256 levels, the same in all three channels.
FrameStore all_levels(model::InputSpec spec) {
  spec.width = spec.height = 16;
  FrameStore store({0}, spec);
  for (std::size_t i = 0; i < 768; ++i) store.pixels(0)[i] = static_cast<std::uint8_t>(i / 3);
  return store;
}

std::vector<float> preprocessed(const FrameStore& store, const std::vector<std::int64_t>& positions) {
  const auto& spec = store.spec();
  std::vector<float> out(positions.size() * static_cast<std::size_t>(3 * spec.width * spec.height));
  store.preprocess(positions, out.data());
  return out;
}

/// Replaces TMPDIR for one test.
class Tmpdir {
 public:
  explicit Tmpdir(const std::string& value) {
    if (const char* old = ::getenv("TMPDIR")) old_ = old;
    ::setenv("TMPDIR", value.c_str(), 1);
  }
  ~Tmpdir() { old_ ? ::setenv("TMPDIR", old_->c_str(), 1) : ::unsetenv("TMPDIR"); }
  Tmpdir(const Tmpdir&) = delete;
  Tmpdir& operator=(const Tmpdir&) = delete;

 private:
  std::optional<std::string> old_;
};

// torch computes uint8.float() / 255 as one float32 division; a multiplication by 1/255 differs in the last bit for
// 126 of the levels, and then two programs that feed the same model would not agree bit for bit.
TEST(FrameStore, DividesBy255AsTorchDoes) {
  const std::vector<float> out = preprocessed(all_levels({}), {0});
  for (std::size_t level = 0; level < 256; ++level) {
    const float expected = static_cast<float>(level) / 255.0F;
    for (std::size_t channel = 0; channel < 3; ++channel) {
      // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): the bits have to be equal
      ASSERT_EQ(std::memcmp(&out[channel * 256 + level], &expected, sizeof(float)), 0) << level;
    }
  }
}

TEST(FrameStore, DividesBy255WhenTheScaleIsWrittenAsADecimalNumber) {
  model::InputSpec spec;
  spec.scale = 0.00392156862745098;
  EXPECT_EQ(preprocessed(all_levels(spec), {0}), preprocessed(all_levels({}), {0}));
}

// Against float64, tolerance of a few roundings to float32 of values up to 3.
TEST(FrameStore, SubtractsTheMeanAndDividesByTheDeviationOfEachChannel) {
  model::InputSpec spec;
  spec.mean = {0.485, 0.456, 0.406};
  spec.std = {0.229, 0.224, 0.225};
  const std::vector<float> out = preprocessed(all_levels(spec), {0});
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t level = 0; level < 256; ++level) {
      const double expected = (static_cast<double>(level) / 255.0 - spec.mean[channel]) / spec.std[channel];
      ASSERT_NEAR(out[channel * 256 + level], expected, 1e-6);
    }
  }
}

TEST(FrameStore, ScalesByAnyNumber) {
  model::InputSpec spec;
  spec.scale = 1;
  EXPECT_EQ(preprocessed(all_levels(spec), {0})[200], 200.0F);
  spec.scale = 2.0 / 255.0;
  spec.mean = {1, 1, 1};
  EXPECT_EQ(preprocessed(all_levels(spec), {0})[0], -1.0F);
  EXPECT_NEAR(preprocessed(all_levels(spec), {0})[255], 1.0F, 1e-6);
}

// Every value says which frame, channel, row and column it is.
TEST(FrameStore, OrdersFramesThenChannelsThenRowsThenColumns) {
  model::InputSpec spec = spec_of(5, 3);
  spec.scale = 1;
  FrameStore store({10, 20, 30}, spec);
  for (std::int64_t frame = 0; frame < 3; ++frame) {
    for (std::size_t i = 0; i < 45; ++i)
      store.pixels(frame)[i] = static_cast<std::uint8_t>(frame * 60 + static_cast<std::int64_t>(i));
  }
  const std::vector<float> out = preprocessed(store, {2, 0});
  std::size_t at = 0;
  for (const std::size_t frame : {2U, 0U}) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      for (std::size_t pixel = 0; pixel < 15; ++pixel) {
        ASSERT_EQ(out[at++], static_cast<float>(frame * 60 + pixel * 3 + channel));
      }
    }
  }
  EXPECT_EQ(at, out.size());
  EXPECT_THAT(store.frames(), ElementsAre(10, 20, 30));
  EXPECT_EQ(store.size(), 3);
}

TEST(FrameStore, KeepsItsFramesWhenMoved) {
  FrameStore store({1}, spec_of(2, 1));
  store.pixels(0)[5] = 77;
  FrameStore other = std::move(store);
  EXPECT_EQ(std::as_const(other).pixels(0)[5], 77);
  other = FrameStore({1, 2}, spec_of(1, 1));
  EXPECT_EQ(other.size(), 2);
  EXPECT_EQ(other.pixels(1)[2], 0);
}

TEST(FrameStore, SomeOfItsFramesAreThoseFrames) {
  std::optional<FrameStore> store(std::in_place, std::vector<std::int64_t>{10, 20, 30, 40}, spec_of(2, 1));
  for (std::int64_t frame = 0; frame < 4; ++frame) store->pixels(frame)[1] = static_cast<std::uint8_t>(50 + frame);
  const std::vector<std::int64_t> every_second{1, 3};
  FrameStore some = store->some(every_second);
  EXPECT_THAT(some.frames(), ElementsAre(20, 40));
  EXPECT_EQ(some.spec(), store->spec());
  EXPECT_EQ(preprocessed(some, {1, 0}), preprocessed(*store, {3, 1}));
  const std::vector<std::int64_t> last{1};
  EXPECT_EQ(preprocessed(some.some(last), {0}), preprocessed(*store, {3}));
  store.reset();
  EXPECT_EQ(std::as_const(some).pixels(0)[1], 51);
  EXPECT_THAT(test::error_text([&] { (void)some.pixels(2); }), HasSubstr("position 2"));
}

TEST(FrameStore, MayBeEmpty) {
  const FrameStore store({}, spec_of(4, 4));
  EXPECT_EQ(store.size(), 0);
  store.preprocess({}, nullptr);
}

TEST(FrameStore, RefusesPositionsThatItDoesNotHold) {
  FrameStore store({5}, spec_of(1, 1));
  EXPECT_THAT(test::error_text([&] { (void)store.pixels(1); }), HasSubstr("position 1"));
  EXPECT_THAT(test::error_text([&] { (void)store.pixels(-1); }), HasSubstr("position -1"));
}

TEST(FrameStore, RefusesSpecsOutOfRange) {
  const auto complaint = [](const model::InputSpec& spec) { return test::error_text([&] { FrameStore({0}, spec); }); };
  EXPECT_THAT(complaint(spec_of(0, 10)), HasSubstr("input: input: a size of 0x10"));
  EXPECT_THAT(complaint(spec_of(10, 8193)), HasSubstr("1 to 8192"));
  model::InputSpec spec = spec_of(1, 1);
  spec.pad = 256;
  EXPECT_THAT(complaint(spec), HasSubstr("input.pad"));
  spec.pad = 0;
  spec.std[1] = 0;
  EXPECT_THAT(complaint(spec), HasSubstr("input.std"));
  spec.std[1] = 1;
  spec.dtype = model::InputDtype::kUint8;
  EXPECT_THAT(complaint(spec), HasSubstr("input.dtype"));
}

// The folder of temporary files shows nothing, so a killed process leaves nothing.
TEST(FrameStore, LeavesNoNameInTheTemporaryFolder) {
  const test::TempFolder folder;
  const Tmpdir tmpdir(folder.path().string());
  const FrameStore store({0, 1}, spec_of(64, 64));
  EXPECT_THAT(folder.entries(), IsEmpty());
}

/// Resident memory in kB that is the process's own, not of mapped files.
std::int64_t anonymous_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8));
  }
  return -1;
}

#ifdef __SANITIZE_THREAD__
constexpr bool kCountsShadowMemory = true;  // ThreadSanitizer keeps some bytes of its own for each one that is touched
#else
constexpr bool kCountsShadowMemory = false;
#endif

TEST(FrameStore, KeepsItsPixelsOutsideTheProcess) {
  if (kCountsShadowMemory) GTEST_SKIP() << "memory of the process holds that of ThreadSanitizer";
  const std::int64_t before = anonymous_kilobytes();
  if (before < 0) GTEST_SKIP() << "no RssAnon in /proc/self/status";
  std::vector<std::int64_t> frames(40);
  std::iota(frames.begin(), frames.end(), 0);
  FrameStore store(frames, spec_of(640, 640));  // 49 MB
  for (const std::int64_t frame : frames) std::ranges::fill(store.pixels(frame), std::uint8_t{1});
  EXPECT_LT(anonymous_kilobytes() - before, 5000);
}

TEST(FrameStore, TakesNoMemoryForWhatWasReadAndKeepsIt) {
  if (kCountsShadowMemory) GTEST_SKIP() << "memory of the process holds that of ThreadSanitizer";
  std::vector<std::int64_t> frames(40);
  std::iota(frames.begin(), frames.end(), 0);
  FrameStore store(frames, spec_of(640, 640));  // 49 MB
  const std::int64_t before = resident_bytes();
  if (before == 0) GTEST_SKIP() << "no VmRSS in /proc/self/status";
  for (const std::int64_t frame : frames) {
    std::ranges::fill(store.pixels(frame), static_cast<std::uint8_t>(frame));
    store.release({&frame, 1});
  }
  std::vector<float> values(3 * 640 * 640);
  for (const std::int64_t frame : frames) {
    store.preprocess({&frame, 1}, values.data());
    const float expected = static_cast<float>(frame) / 255.0F;
    EXPECT_TRUE(std::ranges::all_of(values, [&](float value) { return value == expected; })) << frame;
  }
  EXPECT_LT(resident_bytes() - before, 15'000'000);  // the values of one frame take 5 MB
}

const std::vector<std::int64_t> kTooMany(5'000'000);  // of the largest size: 1 PB

// Reserving the space up front is what turns a full disk into a message instead of a signal while pixels are written.
// A file system in memory refuses at once, others fill up first.
TEST(FrameStore, SaysSoWhenTheDiskHasNotEnoughSpace) {
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "no /dev/shm here";
  const Tmpdir tmpdir("/dev/shm");
  EXPECT_THAT(test::error_text([] { FrameStore(kTooMany, spec_of(8192, 8192)); }),
              AllOf(StartsWith("input: /dev/shm: no space for "), HasSubstr("TMPDIR"), HasSubstr("No space left")));
}

TEST(FrameStore, SaysSoWhenNoFileCanBeThatLarge) {
  if (std::filesystem::space("/tmp").capacity > std::uintmax_t{1} << 49U) GTEST_SKIP() << "the disk may have the space";
  EXPECT_THAT(test::error_text([] { FrameStore(kTooMany, spec_of(8192, 8192)); }), StartsWith("input: "));
}

TEST(FrameStore, NamesATemporaryFolderThatCannotBeUsed) {
  const Tmpdir tmpdir("/proc/no/such/folder");
  EXPECT_THAT(test::error_text([] { FrameStore({0}, spec_of(8, 8)); }), HasSubstr("TMPDIR"));
}

}  // namespace
}  // namespace repsim::video
