// Captures in parts: which minibatches a shard has, its file, and that parts add up to the whole.
#include "repsim/shards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/atomic_file.hpp"

namespace repsim::capture {
namespace {

using testing::HasSubstr;

/// A capture of three layers on so many minibatches of four frames.
SignatureFile whole_of(std::int64_t minibatches) {
  SignatureFile file;
  file.origin.model_sha256 = "aa";
  file.origin.video_sha256 = "bb";
  file.origin.input = "320x240,rgb";
  for (std::int64_t i = 0; i < 4 * minibatches; ++i) file.origin.frames.push_back(i * 7 % (4 * minibatches));
  file.origin.minibatch = 4;
  file.origin.machinery = {"LibTorch 0", "2 threads"};
  file.model_path = "models/front.pt";
  file.video_path = "street.mp4";
  file.signatures.model = "front";
  file.signatures.layers = {"stem", "body.0", "body.1@2"};
  file.signatures.frames = file.origin.frames;
  file.signatures.minibatch = 4;
  file.signatures.length = 6 * minibatches;
  for (std::int64_t i = 0; i < 3 * file.signatures.length; ++i)
    file.signatures.values.push_back(std::sin(static_cast<double>(i)));
  file.signatures.values[0] = std::nan("");
  file.signatures.values[1] = -0.0;
  file.signatures.values[2] = std::numeric_limits<double>::infinity();
  return file;
}

/// The part of a shard, cut out of the whole value by value.
NamedPart part_of(const SignatureFile& whole, const Shard& shard) {
  const std::int64_t all = whole.signatures.length / 6;
  SignatureFile part = whole;
  part.shard = shard;
  part.signatures.frames.clear();
  part.signatures.values.clear();
  part.signatures.length = 0;
  const auto is_of_shard = [&](std::int64_t k) {
    const MinibatchRange range = minibatches_of(shard, all);
    return range.begin <= k && k < range.end;
  };
  for (std::int64_t k = 0; k < all; ++k) {
    if (!is_of_shard(k)) continue;
    part.signatures.length += 6;
    for (std::int64_t i = 0; i < 4; ++i) part.signatures.frames.push_back(whole.origin.frames[k * 4 + i]);
  }
  for (std::int64_t layer = 0; layer < 3; ++layer) {
    for (std::int64_t k = 0; k < all; ++k) {
      if (!is_of_shard(k)) continue;
      for (std::int64_t i = 0; i < 6; ++i)
        part.signatures.values.push_back(whole.signatures.values[layer * whole.signatures.length + k * 6 + i]);
    }
  }
  return {"part-" + std::to_string(shard.index), part};
}

std::vector<NamedPart> parts_of(const SignatureFile& whole, std::int64_t count) {
  std::vector<NamedPart> parts;
  for (std::int64_t index = 1; index <= count; ++index) parts.push_back(part_of(whole, {index, count}));
  return parts;
}

/// The error of a merge.
Error error_of(const std::vector<NamedPart>& parts) {
  const auto error = test::error_of([&] { (void)merge(parts); });
  return error ? *error : Error(ErrorKind::kInternal, "there was no error");
}

// Every minibatch is in one shard, and none has more work than another by more than one.
TEST(Shards, DivideTheMinibatchesEvenly) {
  for (std::int64_t minibatches = 1; minibatches <= 40; ++minibatches) {
    for (std::int64_t count = 1; count <= minibatches; ++count) {
      std::int64_t next = 0;
      for (std::int64_t index = 1; index <= count; ++index) {
        const MinibatchRange range = minibatches_of({index, count}, minibatches);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.end - range.begin, minibatches / count);
        EXPECT_LE(range.end - range.begin, (minibatches + count - 1) / count);
        next = range.end;
      }
      EXPECT_EQ(next, minibatches);
    }
  }
}

TEST(Shards, AreReadBackAsTheyWere) {
  const SignatureFile whole = whole_of(5);
  for (const NamedPart& part : parts_of(whole, 3)) {
    const std::string bytes = to_bytes(part.file);
    EXPECT_TRUE(bytes.starts_with("repsim signatures 2\n"));
    const SignatureFile back = signatures_from_bytes(bytes, part.name);
    EXPECT_EQ(back.shard, part.file.shard);
    EXPECT_EQ(back.origin, whole.origin);
    EXPECT_EQ(back.signatures.frames, part.file.signatures.frames);
    EXPECT_EQ(to_bytes(back), bytes);
  }
}

// The order of the parts is the only thing that a merge could get wrong without an error.
TEST(Shards, AddUpToTheWholeInAnyOrder) {
  for (const std::int64_t minibatches : {4, 5, 9}) {
    const SignatureFile whole = whole_of(minibatches);
    std::vector<std::size_t> order(4);
    std::iota(order.begin(), order.end(), std::size_t{0});
    do {
      const std::vector<NamedPart> parts = parts_of(whole, 4);
      std::vector<NamedPart> shuffled;
      for (const std::size_t index : order) shuffled.push_back(parts[index]);
      EXPECT_EQ(to_bytes(merge(shuffled)), to_bytes(whole));
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST(Shards, OfOneAddUpToTheWhole) {
  const SignatureFile whole = whole_of(3);
  EXPECT_EQ(to_bytes(merge(parts_of(whole, 1))), to_bytes(whole));
}

TEST(Shards, ThatAreMissingAreNamed) {
  std::vector<NamedPart> parts = parts_of(whole_of(5), 4);
  parts.erase(parts.begin() + 1);
  const Error error = error_of(parts);
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_EQ(error.problem(), "shards are missing: 2/4");
  EXPECT_THAT(error.remedy(), HasSubstr("--shard 2/4"));
}

TEST(Shards, ThatAreThereTwiceAreNamed) {
  std::vector<NamedPart> parts = parts_of(whole_of(5), 4);
  parts.push_back(parts[2]);
  parts.back().name = "again";
  const Error error = error_of(parts);
  EXPECT_EQ(error.problem(), "shard 3/4 is there twice");
  EXPECT_EQ(error.where(), "part-3 and again");
}

TEST(Shards, AreNoWholeCaptures) {
  std::vector<NamedPart> parts = parts_of(whole_of(5), 2);
  parts.push_back({"whole", whole_of(5)});
  const Error error = error_of(parts);
  EXPECT_THAT(error.problem(), HasSubstr("whole capture"));
  EXPECT_EQ(error.where(), "whole");
}

TEST(Shards, OfOtherCapturesAreRefused) {
  const auto refused = [&](const std::function<void(SignatureFile&)>& change) {
    std::vector<NamedPart> parts = parts_of(whole_of(5), 2);
    change(parts[1].file);
    const Error error = error_of(parts);
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_EQ(error.where(), "part-1 and part-2");
    EXPECT_FALSE(error.remedy().empty());
    return error.problem();
  };
  EXPECT_THAT(refused([](SignatureFile& file) { file.origin.model_sha256 = "cc"; }), HasSubstr("different models"));
  EXPECT_THAT(refused([](SignatureFile& file) { file.origin.video_sha256 = "cc"; }), HasSubstr("different videos"));
  EXPECT_THAT(refused([](SignatureFile& file) { file.origin.input = "1x1"; }), HasSubstr("320x240,rgb and 1x1"));
  EXPECT_THAT(refused([](SignatureFile& file) { ++file.origin.frames[0]; }), HasSubstr("the frames differ"));
  EXPECT_THAT(refused([](SignatureFile& file) { file.origin.machinery[1] = "1 threads"; }), HasSubstr("2 threads and"));
  EXPECT_THAT(refused([](SignatureFile& file) { ++file.origin.statistics_version; }), HasSubstr("versions of repsim"));
  EXPECT_THAT(refused([](SignatureFile& file) { file.signatures.layers[0] = "x"; }), HasSubstr("layers differ"));
  EXPECT_THAT(refused([](SignatureFile& file) { file.shard->count = 3; }), HasSubstr("2 shards, the other of 3"));
}

TEST(Shards, ThatCannotBeAreDamage) {
  for (const Shard shard : {Shard{0, 2}, {3, 2}, {1, 6}, {-1, -1}}) {
    SignatureFile file = part_of(whole_of(5), {1, 2}).file;
    file.shard = shard;
    const auto error = test::error_of([&] { (void)signatures_from_bytes(to_bytes(file), "f"); });
    ASSERT_TRUE(error) << shard.index << "/" << shard.count;
    EXPECT_EQ(error->kind(), ErrorKind::kInput);
  }
}

// A part under the name of the whole would give a plan fewer frames than it asks for.
TEST(Shards, InACacheAreNoEntries) {
  const test::TempFolder folder;
  const SignatureCache cache(folder.path());
  const SignatureFile part = part_of(whole_of(5), {1, 2}).file;
  write_file_atomically(cache.path_of(part.origin), to_bytes(part));
  EXPECT_FALSE(cache.find(part.origin));
}

}  // namespace
}  // namespace repsim::capture
