// Long files: which frames there are without decoding them, and frames drawn by seeking. The oracle decodes all frames
// from the start.
#include "../../src/video/frame_index.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

extern "C" {
#include <libavcodec/avcodec.h>
}

#include <algorithm>
#include <limits>
#include <random>

#include "../../src/video/access_points.hpp"
#include "../../src/video/reader.hpp"
#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/video.hpp"
#include "video/containers.hpp"

namespace repsim::video {
namespace {

using test::EncodedStream;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kFrames = 230, kNever = std::numeric_limits<std::int64_t>::max();

/// Blocks that move and change from frame to frame.
void draw_blocks(AVFrame& frame, std::int64_t index) {
  for (int plane = 0; plane < 3; ++plane) {
    const int shift = plane > 0 ? 1 : 0;
    for (int y = 0; y < frame.height >> shift; ++y) {
      for (int x = 0; x < frame.width >> shift; ++x) {
        const std::int64_t block = (x + index) / (8 >> shift) * 37 + (y + index / 3) / (8 >> shift) * 101;
        frame.data[plane][y * frame.linesize[plane] + x] =
            static_cast<std::uint8_t>(16 + (block * 29 + index * 3) % 200);
      }
    }
  }
}

/// One form of file.
struct Form {
  std::string name;  ///< of the file
  EncodedStream stream;
  bool has_index = true;
};

EncodedStream encoded(const std::string& encoder, std::vector<std::pair<std::string, std::string>> options,
                      std::function<std::int64_t(std::int64_t)> time = nullptr) {
  EncodedStream stream{.width = 96, .height = 80, .frames = kFrames, .draw = draw_blocks, .time = std::move(time)};
  stream.encoder = encoder;
  stream.options = std::move(options);
  if (encoder == "mjpeg") stream.format = AV_PIX_FMT_YUVJ420P;
  return stream;
}

/// Files as cameras, phones and encoders write them.
std::vector<Form> forms() {
  const auto uneven = [](std::int64_t i) { return i * 3 + i * i % 3 + (i > 100 ? 500 : 0); };
  return {
      {"closed.mp4", encoded("libx264", {{"x264-params", "keyint=24:bframes=3:b-pyramid=normal:scenecut=0"}})},
      {"closed.mkv", encoded("libx264", {{"x264-params", "keyint=24:bframes=3:b-pyramid=normal:scenecut=0"}})},
      {"open.mp4", encoded("libx264", {{"x264-params", "keyint=24:bframes=3:open-gop=1:ref=4:scenecut=0"}})},
      {"open.mkv", encoded("libx264", {{"x264-params", "keyint=24:bframes=3:open-gop=1:ref=4:scenecut=0"}})},
      {"plain.mp4", encoded("libx264", {{"x264-params", "keyint=20:bframes=0"}})},
      {"uneven.mp4", encoded("libx264", {{"x264-params", "keyint=24:bframes=2:scenecut=0"}}, uneven)},
      {"uneven.mkv", encoded("libx264", {{"x264-params", "keyint=24:bframes=2:open-gop=1:scenecut=0"}}, uneven)},
      {"refresh.mp4", encoded("libx264", {{"x264-params", "keyint=24:intra-refresh=1:bframes=0"}})},
      {"hevc.mp4", encoded("libx265", {{"x265-params", "keyint=24:bframes=3:open-gop=1:scenecut=0:log-level=none"}})},
      {"hevc.mkv", encoded("libx265", {{"x265-params", "keyint=24:bframes=3:open-gop=0:scenecut=0:log-level=none"}})},
      {"camera.avi", encoded("mjpeg", {})},
      {"lossless.mkv", encoded("ffv1", {{"g", "1"}}), false},
      {"phone.mp4", encoded("mpeg4", {{"g", "24"}, {"bf", "2"}}), false},
      {"stream.ts", encoded("libx264", {{"x264-params", "keyint=24:bframes=2"}}), false},
      {"fields.mp4", encoded("libx264", {{"x264-params", "keyint=24:tff=1:bframes=2"}, {"flags", "+ildct+ilme"}})},
  };
}

class LongVideos : public testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  /// False where this machine's FFmpeg cannot write such a file.
  bool write(const Form& form) {
    if (avcodec_find_encoder_by_name(form.stream.encoder.c_str()) == nullptr) return false;
    test::write_container(folder_ / form.name, {form.stream});
    return true;
  }
  VideoInfo info_of(const std::string& name, std::int64_t long_video) {
    return probe(folder_ / name, progress_, long_video);
  }
  FrameStore drawn(const VideoInfo& info, std::vector<std::int64_t> frames) {
    Request request{std::move(frames), {}, Perturbation::kNone};
    request.spec.width = info.width;
    request.spec.height = info.height;
    return std::move(decode(info, {&request, 1}, progress_).front());
  }
  static std::vector<std::int64_t> all_of(const VideoInfo& info) {
    std::vector<std::int64_t> frames;
    for (std::int64_t i = 0; i < info.frame_count; ++i) frames.push_back(i);
    return frames;
  }
  static void expect_same(const FrameStore& drawn, const FrameStore& all, const std::string& what) {
    for (std::int64_t i = 0; i < drawn.size(); ++i) {
      const std::int64_t frame = drawn.frames()[static_cast<std::size_t>(i)];
      EXPECT_TRUE(std::ranges::equal(drawn.pixels(i), all.pixels(frame))) << what << ", frame " << frame;
    }
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

// Frames drawn by seeking are those of decoding from the start: each alone, and in random sets.
TEST_F(LongVideos, GiveTheFramesOfDecodingFromTheStart) {
  std::mt19937 random(3);
  int written = 0;
  for (const Form& form : forms()) {
    if (!write(form)) continue;
    ++written;
    const VideoInfo decoded = info_of(form.name, kNever), indexed = info_of(form.name, 1);
    EXPECT_EQ(decoded.index, nullptr);
    ASSERT_EQ(decoded.frame_count, kFrames) << form.name;
    EXPECT_EQ(indexed.frame_count, kFrames) << form.name;
    EXPECT_EQ(indexed.index != nullptr, form.has_index) << form.name;
    const FrameStore all = drawn(decoded, all_of(decoded));
    for (std::int64_t frame = 0; frame < kFrames; frame += 19) expect_same(drawn(indexed, {frame}), all, form.name);
    for (int round = 0; round < 4; ++round) {
      std::vector<std::int64_t> frames;
      for (std::int64_t i = 0; i < kFrames; ++i) {
        if (random() % 17 == 0) frames.push_back(i);
      }
      expect_same(drawn(indexed, frames), all, form.name);
    }
    expect_same(drawn(indexed, all_of(indexed)), all, form.name);
  }
  if (written == 0) GTEST_SKIP() << "FFmpeg has no encoder";
}

// Without this, a reader that never seeks would pass the test above.
TEST_F(LongVideos, AreNotDecodedWhole) {
  for (const Form& form : forms()) {
    if (!form.has_index || form.name == "refresh.mp4" || !write(form)) continue;
    const VideoInfo info = info_of(form.name, 1);
    ASSERT_NE(info.index, nullptr) << form.name;
    EXPECT_GT(info.index->points.size(), 8U) << form.name;
    const auto reader = open_reader(folder_ / form.name);
    reader->use(info.index);
    reader->go_near(200);
    EXPECT_GT(reader->index(), 170) << form.name;
    EXPECT_LT(reader->index(), 200) << form.name;
    ASSERT_TRUE(reader->next());
    reader->go_near(201);
    EXPECT_LE(reader->index(), 201) << form.name;
  }
}

// Frames that an intra refresh has not reached yet would look different.
TEST_F(LongVideos, WithAnIntraRefreshHaveNoPlacesToSeek) {
  const Form form = forms()[7];
  if (!write(form)) GTEST_SKIP() << "FFmpeg has no encoder for H.264";
  const VideoInfo info = info_of(form.name, 1);
  ASSERT_NE(info.index, nullptr);
  EXPECT_LE(info.index->points.size(), 1U);
}

TEST_F(LongVideos, AreThoseThatAnnounceManyFrames) {
  const Form form = forms()[10];
  if (!write(form)) GTEST_SKIP() << "FFmpeg has no encoder for MJPEG";
  EXPECT_NE(info_of(form.name, kFrames).index, nullptr);
  EXPECT_EQ(info_of(form.name, kFrames + 1).index, nullptr);
}

// The end of a file that was cut short is left out, as in decoding.
TEST_F(LongVideos, ThatAreCutShortHaveTheFramesThatDecode) {
  for (const Form& form : forms()) {
    if (!form.name.ends_with(".mkv") || !form.has_index || !write(form)) continue;
    const std::string bytes = test::read_text(folder_ / form.name);
    for (const double part : {0.5, 0.71}) {
      test::write_text(folder_ / "cut.mkv",
                       bytes.substr(0, static_cast<std::size_t>(static_cast<double>(bytes.size()) * part)));
      const VideoInfo decoded = info_of("cut.mkv", kNever), indexed = info_of("cut.mkv", 1);
      EXPECT_EQ(indexed.frame_count, decoded.frame_count) << form.name << " " << part;
      const FrameStore all = drawn(decoded, all_of(decoded));
      expect_same(drawn(indexed, {5, 90, indexed.frame_count - 1}), all, form.name);
    }
  }
}

// Pictures of a group without its beginning: frame 0 is the first one that decodes, in both ways of counting.
TEST_F(LongVideos, DamagedAtTheStartBeginAtTheFirstFrameThatDecodes) {
  const Form form = forms()[0];
  if (!write(form)) GTEST_SKIP() << "FFmpeg has no encoder for H.264";
  std::string bytes = test::read_text(folder_ / form.name);
  const std::size_t data = bytes.find("mdat");
  ASSERT_NE(data, std::string::npos);
  for (std::size_t at = data + 4; at < data + 3000; ++at) bytes[at] = 0;
  test::write_text(folder_ / "cut.mp4", bytes);
  const VideoInfo decoded = info_of("cut.mp4", kNever), indexed = info_of("cut.mp4", 1);
  EXPECT_LT(decoded.frame_count, kFrames);
  EXPECT_EQ(indexed.frame_count, decoded.frame_count);
  const FrameStore all = drawn(decoded, all_of(decoded));
  expect_same(drawn(indexed, {0, 100, indexed.frame_count - 1}), all, form.name);
}

// Damage between the drawn frames is not looked for; a drawn frame that is damaged is an error.
TEST_F(LongVideos, NameADamagedFrameThatIsDrawn) {
  const Form form = forms()[10];  // MJPEG: a frame is damaged alone
  if (!write(form)) GTEST_SKIP() << "FFmpeg has no encoder for MJPEG";
  std::string bytes = test::read_text(folder_ / form.name);
  std::size_t at = bytes.find("movi");
  for (int frame = 0; frame <= 100; ++frame) at = bytes.find("00dc", at) + 4;
  const auto size = static_cast<unsigned char>(bytes[at]) + 256U * static_cast<unsigned char>(bytes[at + 1]);
  for (std::size_t i = at + 4; i < at + 4 + size; ++i) bytes[i] = 7;
  test::write_text(folder_ / "damaged.avi", bytes);
  const auto decoded = test::error_of([&] { (void)info_of("damaged.avi", kNever); });
  ASSERT_TRUE(decoded);
  EXPECT_THAT(decoded->where(), HasSubstr("frame 100"));
  const VideoInfo info = info_of("damaged.avi", 1);
  EXPECT_EQ(info.frame_count, kFrames);
  EXPECT_EQ(drawn(info, {50, 150}).size(), 2);
  const auto error = test::error_of([&] { (void)drawn(info, {50, 101}); });
  ASSERT_TRUE(error);
  EXPECT_THAT(error->where(), HasSubstr("frame 100"));
}

TEST(FrameIndexes, CountFramesInTheOrderInWhichTheyAreShown) {
  PacketTimes times;
  times.pts = {0, 40, 10, 20, 30, 80, 50, 60, 70};
  for (std::int64_t i = 9; i < 60; ++i) times.pts.push_back(i * 10);
  times.points = {{0, 0, -10}, {0, 40, 0}, {0, 200, 190}, {0, 300, 290}, {0, 400, 390}};
  const auto index = index_of(times, 0);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->frame_count, 60);
  std::vector<std::int64_t> frames;
  for (const AccessPoint& point : index->points) frames.push_back(point.frame);
  EXPECT_THAT(frames, ElementsAre(0, 20, 40));  // 4 and 30 are close to others
}

TEST(FrameIndexes, LeaveOutWhatComesBeforeTheFirstFrameThatDecodes) {
  PacketTimes times;
  for (std::int64_t i = 0; i < 60; ++i) times.pts.push_back(i * 10);
  times.points = {{0, 0, 0}, {0, 300, 300}};
  const auto index = index_of(times, 20);
  ASSERT_TRUE(index);
  EXPECT_EQ(index->frame_count, 58);
  ASSERT_EQ(index->points.size(), 1U);
  EXPECT_EQ(index->points[0].frame, 28);
}

TEST(FrameIndexes, NeedDifferentTimesAndTheFirstFrame) {
  EXPECT_FALSE(index_of({{0, 10, 10, 20}, {}}, 0));
  EXPECT_FALSE(index_of({{0, 10, 20}, {}}, 5));
  EXPECT_FALSE(index_of({{}, {}}, 0));
}

using Packet = std::vector<std::uint8_t>;

TEST(AccessPoints, OfH264AreIdrPicturesAndExactRecoveryPoints) {
  const UnitFormat codes;
  const auto is_point = [&](const Packet& packet) { return is_access_point(packet, codes); };
  const Packet slice{0, 0, 1, 0x41, 0x9A}, idr{0, 0, 0, 1, 0x65, 0x88},
      parameters{0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2};
  const auto with = [](const Packet& a, const Packet& b) {
    Packet both = a;
    both.insert(both.end(), b.begin(), b.end());
    return both;
  };
  EXPECT_TRUE(is_point(idr));
  EXPECT_TRUE(is_point(with(parameters, idr)));
  EXPECT_FALSE(is_point(slice));
  EXPECT_FALSE(is_point(with(parameters, slice)));
  // A message of another type (5) with an escaped byte before the recovery point (6): 1 is the code of 0 frames.
  const auto recovery = [](std::uint8_t first) { return Packet{0, 0, 1, 6, 5, 3, 0, 0, 3, 1, 6, 1, first, 0x80}; };
  EXPECT_TRUE(is_point(with(recovery(0xC4), slice)));
  EXPECT_FALSE(is_point(with(recovery(0x84), slice))) << "no exact match";
  EXPECT_FALSE(is_point(with(recovery(0x44), slice))) << "exact after some frames";
  EXPECT_FALSE(is_point(recovery(0xC4))) << "no picture";
  EXPECT_FALSE(is_point({}));
  EXPECT_FALSE(is_point({0, 0, 1}));
}

TEST(AccessPoints, OfHevcAreIrapPictures) {
  const UnitFormat lengths{true, 4};
  for (int type = 0; type < 40; ++type) {
    const Packet packet{0, 0, 0, 2, 0x40, 1, 0, 0, 0, 3, static_cast<std::uint8_t>(type << 1), 1, 0x80};  // after a VPS
    EXPECT_EQ(is_access_point(packet, lengths), type >= 16 && type <= 23) << type;
  }
}

// Behind such a place decoders leave leading pictures out: there are fewer frames than packets.
TEST(AccessPoints, ArePlacesOfHevcWherePicturesAreDropped) {
  const auto packet_of = [](int type) {
    return Packet{0, 0, 0, 1, 2, 0, 0, 0, 3, static_cast<std::uint8_t>(type << 1), 1, 0x80};
  };
  for (int type = 0; type < 48; ++type) {
    EXPECT_EQ(drops_pictures(packet_of(type), {true, 4}), type == 16 || type == 17 || type == 36 || type == 37) << type;
    EXPECT_FALSE(drops_pictures(packet_of(type), {false, 4}));
  }
}

TEST(AccessPoints, OfDamagedPacketsAreNone) {
  const UnitFormat lengths{false, 4};
  EXPECT_FALSE(is_access_point(Packet{0, 0, 0, 200, 0x65}, lengths));
  EXPECT_FALSE(is_access_point(Packet{0, 0, 0}, lengths));
  EXPECT_FALSE(is_access_point(Packet{0, 0, 0, 3, 6, 6, 255}, lengths));
  EXPECT_TRUE(is_access_point(Packet{0, 0, 0, 1, 0x65}, lengths));
}

}  // namespace
}  // namespace repsim::video
