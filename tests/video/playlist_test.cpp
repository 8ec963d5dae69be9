// Several videos as one list of frames: numbers, sampling, decoding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/video.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

PlaylistVideo assumed(const std::string& name, std::int64_t frames, double weight = 1) {
  return {{name + ".avi", name, frames, 64, 48, {}}, name, weight};
}

Playlist assumed(const std::vector<std::int64_t>& frames) {
  std::vector<PlaylistVideo> videos;
  for (std::size_t i = 0; i < frames.size(); ++i) videos.push_back(assumed("v" + std::to_string(i), frames[i]));
  return Playlist(std::move(videos));
}

TEST(Playlist, NumbersFramesThroughAllVideos) {
  const Playlist videos = assumed({10, 1, 5});
  EXPECT_EQ(videos.frame_count(), 16);
  std::vector<std::pair<std::size_t, std::int64_t>> places;
  for (const std::int64_t frame : {0, 9, 10, 11, 15})
    places.emplace_back(videos.place_of(frame).video, videos.place_of(frame).frame);
  using P = std::pair<std::size_t, std::int64_t>;
  EXPECT_THAT(places, ElementsAre(P{0, 0}, P{0, 9}, P{1, 0}, P{2, 0}, P{2, 4}));
  EXPECT_THAT(videos.counts_of(std::vector<std::int64_t>{0, 9, 11, 12, 15}), ElementsAre(2, 0, 3));
  EXPECT_THROW((void)videos.place_of(16), Error);
  EXPECT_THROW((void)videos.place_of(-1), Error);
}

TEST(Playlist, OfOneVideoIsThatVideo) {
  const Playlist one(VideoInfo{"street.mp4", "ab", 12, 64, 48, {}});
  EXPECT_EQ(one.path(), "street.mp4");
  EXPECT_EQ(one.sha256(), "ab");
  EXPECT_FALSE(one.has_several());
  EXPECT_TRUE(Playlist(VideoInfo{}).empty());
}

// A folder of two pictures has the SHA-256 of its pictures' SHA-256: two videos must not have the same.
TEST(Playlist, HashesSeveralVideosInTheirOrder) {
  const std::vector<std::string> hashes{"aa", "bb"}, turned{"bb", "aa"};
  EXPECT_EQ(sha256_of_hashes(hashes), sha256("videos\naa\nbb\n"));
  EXPECT_NE(sha256_of_hashes(hashes), sha256_of_hashes(turned));
}

/// Frames of each video, as indices in it.
std::vector<std::vector<std::int64_t>> by_video(const Playlist& videos, const std::vector<std::int64_t>& frames) {
  std::vector<std::vector<std::int64_t>> result(videos.videos().size());
  for (const std::int64_t frame : frames) result[videos.place_of(frame).video].push_back(videos.place_of(frame).frame);
  return result;
}

// The parts of a video lie one after the other in time, so no neighbours of one scene are on both sides but at the one
// border, and there they are as far apart as everywhere else.
TEST(PlaylistSampling, SplitsEachVideoInTime) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int64_t> lengths(2 + random() % 5);
    for (std::int64_t& length : lengths) length = 4 + static_cast<std::int64_t>(random() % 400);
    const Playlist videos = assumed(lengths);
    const std::int64_t most = videos.frame_count(), count = most / 2 + static_cast<std::int64_t>(random() % 20);
    const double holdout = 0.1 + 0.05 * static_cast<double>(random() % 10);
    Sampling sampling;
    try {
      sampling = sample_frames(videos, std::min(count, most), holdout);
    } catch (const Error&) {
      continue;  // too few frames: another test
    }
    EXPECT_EQ(std::ssize(sampling.calibration) + std::ssize(sampling.holdout), std::min(count, most));
    EXPECT_TRUE(std::is_sorted(sampling.calibration.begin(), sampling.calibration.end()));
    EXPECT_TRUE(std::is_sorted(sampling.holdout.begin(), sampling.holdout.end()));
    const auto fit = by_video(videos, sampling.calibration), judge = by_video(videos, sampling.holdout);
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      ASSERT_FALSE(fit[i].empty());
      ASSERT_FALSE(judge[i].empty());
      const auto all = std::ssize(fit[i]) + std::ssize(judge[i]);
      EXPECT_GE(all, kFewestPerVideo);
      EXPECT_LT(fit[i].back(), judge[i].front());
      EXPECT_GE(judge[i].front() - fit[i].back(), lengths[i] / all);
      EXPECT_LT(judge[i].back(), lengths[i]);
    }
  }
}

// What one video gives is what a plan on it alone would draw with as many frames.
TEST(PlaylistSampling, SamplesEachVideoAsIfItWereAlone) {
  const Playlist videos = assumed({200, 100});
  const Sampling both = sample_frames(videos, 90, 0.3), alone = sample_frames(videos.videos()[0].info, 60, 0.3);
  EXPECT_EQ(by_video(videos, both.calibration)[0], alone.calibration);
  EXPECT_EQ(by_video(videos, both.holdout)[0], alone.holdout);
}

TEST(PlaylistSampling, DividesFramesByLengthTimesWeight) {
  const auto counts = [](std::vector<PlaylistVideo> videos, std::int64_t count) {
    const Playlist playlist(std::move(videos));
    const Sampling sampling = sample_frames(playlist, count, 0.3);
    std::vector<std::int64_t> all = sampling.calibration;
    all.insert(all.end(), sampling.holdout.begin(), sampling.holdout.end());
    std::sort(all.begin(), all.end());
    return playlist.counts_of(all);
  };
  EXPECT_THAT(counts({assumed("a", 300), assumed("b", 100)}, 80), ElementsAre(60, 20));
  EXPECT_THAT(counts({assumed("a", 300), assumed("b", 100, 3)}, 80), ElementsAre(40, 40));
  EXPECT_THAT(counts({assumed("a", 300, 0.001), assumed("b", 300)}, 80), ElementsAre(4, 76));
  EXPECT_THAT(counts({assumed("a", 1000), assumed("b", 30, 1000)}, 80), ElementsAre(50, 30));  // it has no more
}

TEST(PlaylistSampling, SaysWhatIsTooFew) {
  const auto complaint = [](const std::vector<std::int64_t>& lengths, std::int64_t count) {
    return test::error_text([&] { (void)sample_frames(assumed(lengths), count, 0.3); });
  };
  EXPECT_THAT(complaint({100, 3}, 50), AllOf(HasSubstr("v1.avi"), HasSubstr("has 3 frames, fewer than the 4")));
  EXPECT_THAT(complaint({100, 100}, 201), AllOf(HasSubstr("have 200 frames"), HasSubstr("--frames 200 or fewer")));
  EXPECT_THAT(complaint({100, 100, 100, 100, 100}, 19), HasSubstr("--frames 20 or more"));
  EXPECT_THAT(complaint({100, 100}, 20), HasSubstr("fewer than 16 (one minibatch)"));
}

class SeveralVideos : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  /// Striped videos whose stripes count through all of them.
  Playlist striped(const std::vector<std::int64_t>& lengths) {
    std::vector<VideoSource> sources;
    std::int64_t first = 0;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
      const auto path = folder_ / ("v" + std::to_string(i) + ".avi");
      test::write_avi(path, lengths[i], [&](std::int64_t frame) { return test::striped_frame(first + frame); });
      sources.push_back({path.string(), "v" + std::to_string(i)});
      first += lengths[i];
    }
    return open_playlist(sources, progress_);
  }

  static std::vector<std::int64_t> shown(const FrameStore& store) {
    std::vector<std::int64_t> frames;
    for (std::int64_t k = 0; k < store.size(); ++k)
      frames.push_back(test::index_of(store.pixels(k).data(), store.spec().width, store.spec().height));
    return frames;
  }

  static Request request(std::vector<std::int64_t> frames) {
    Request result{std::move(frames), {}};
    result.spec.width = 32;
    result.spec.height = 24;
    return result;
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

TEST_F(SeveralVideos, DecodeToTheFramesOfTheirNumbers) {
  const Playlist videos = striped({20, 7, 1, 30});
  ASSERT_EQ(videos.frame_count(), 58);
  std::mt19937 random(3);
  for (int round = 0; round < 10; ++round) {
    std::vector<Request> requests;
    for (int i = 0; i < 3; ++i) {
      std::vector<std::int64_t> frames;
      for (std::int64_t frame = 0; frame < 58; ++frame) {
        if (random() % 4 == 0) frames.push_back(frame);
      }
      requests.push_back(request(frames));
    }
    const std::vector<FrameStore> stores = decode(videos, requests, progress_);
    for (std::size_t i = 0; i < requests.size(); ++i) EXPECT_EQ(shown(stores[i]), requests[i].frames);
  }
}

TEST_F(SeveralVideos, DecodeInTheBackgroundToo) {
  const Playlist videos = striped({20, 20});
  const std::vector<Request> first{request({0, 5, 20, 25})}, later{request({15, 25, 26, 39}), request({})};
  DecodeBehind decoding(videos, first, later, progress_);
  EXPECT_EQ(shown(decoding.first().front()), first[0].frames);
  EXPECT_EQ(shown(decoding.later(progress_).front()), later[0].frames);
}

TEST_F(SeveralVideos, SayWhichOneEndsEarly) {
  Playlist videos = striped({5, 5});
  std::vector<PlaylistVideo> longer = videos.videos();
  longer[1].info.frame_count = 9;
  const std::vector<Request> requests{request({1, 8, 12})};
  EXPECT_THAT(test::error_text([&] { (void)decode(Playlist(longer), requests, progress_); }),
              AllOf(HasSubstr("v1.avi"), HasSubstr("ends after 5 frames"), HasSubstr("frame 7 was asked for")));
}

TEST_F(SeveralVideos, MustDiffer) {
  test::write_avi(folder_ / "a.avi", 5);
  test::write_avi(folder_ / "b.avi", 5);
  const std::vector<VideoSource> sources{{(folder_ / "a.avi").string(), "a"}, {(folder_ / "b.avi").string(), "b"}};
  EXPECT_THAT(test::error_text([&] { (void)open_playlist(sources, progress_); }),
              AllOf(HasSubstr("two videos have the same content: 'a' and 'b'"), HasSubstr("weight")));
}

PlaylistVideo sized(const std::string& name, std::int64_t width, std::int64_t height) {
  return {{name + ".avi", name, 10, width, height, {}}, name};
}

model::InputSpec input(model::Resize resize) {
  model::InputSpec spec;
  spec.width = spec.height = 640;
  spec.resize = resize;
  return spec;
}

TEST(PlaylistViews, AreThoseOfAnyVideoOfTheAspectRatio) {
  const Playlist videos({sized("a", 1920, 1080), sized("b", 1280, 720), sized("c", 640, 360)});
  EXPECT_EQ(input_to_frame(input(model::Resize::kLetterbox), videos),
            input_to_frame(input(model::Resize::kLetterbox), 1920, 1080));
}

TEST(PlaylistViews, OfStretchedInputsFitEverySize) {
  const Playlist videos({sized("a", 1920, 1080), sized("b", 640, 480)});
  EXPECT_EQ(input_to_frame(input(model::Resize::kStretch), videos), AffineMap{});
}

TEST(PlaylistViews, OfOtherInputsNeedOneAspectRatio) {
  const Playlist videos({sized("a", 1920, 1080), sized("b", 640, 480)});
  for (const model::Resize resize : {model::Resize::kLetterbox, model::Resize::kCrop}) {
    EXPECT_THAT(test::error_text([&] { (void)input_to_frame(input(resize), videos); }),
                AllOf(HasSubstr("a 1920x1080, b 640x480"), HasSubstr("b.avi"), HasSubstr("plan them apart")));
  }
}

}  // namespace
}  // namespace repsim::video
