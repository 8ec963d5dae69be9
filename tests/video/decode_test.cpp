#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "repsim/video.hpp"
#include "video/small_video.hpp"

namespace repsim::video {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

model::InputSpec spec_of(std::int64_t width, std::int64_t height, model::Resize resize = model::Resize::kStretch) {
  model::InputSpec spec;
  spec.width = width;
  spec.height = height;
  spec.resize = resize;
  return spec;
}

/// The stored pixels as an image, not copied.
cv::Mat image_of(const FrameStore& store, std::int64_t position) {
  return {static_cast<int>(store.spec().height), static_cast<int>(store.spec().width), CV_8UC3,
          const_cast<std::uint8_t*>(store.pixels(position).data())};
}

double largest_difference(const cv::Mat& a, const cv::Mat& b) { return cv::norm(a, b, cv::NORM_INF); }

class Decode : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { silence_opencv(); }

  VideoInfo lossless(const std::vector<cv::Mat>& frames) {
    test::write_lossless(folder_ / "v.png", frames);
    return probe(folder_ / "v.png", progress_);
  }
  VideoInfo striped(std::int64_t frames) {
    test::write_avi(folder_ / "v.avi", frames);
    return probe(folder_ / "v.avi", progress_);
  }
  /// The only frame of a video, decoded for one spec.
  FrameStore single(const cv::Mat& frame, const model::InputSpec& spec,
                    Perturbation perturbation = Perturbation::kNone) {
    const VideoInfo info = lossless({frame});
    const Request request{{0}, spec, perturbation};
    return std::move(decode(info, {&request, 1}, progress_).front());
  }

  test::TempFolder folder_;
  SilentProgress progress_;
};

TEST_F(Decode, FillsEachStoreWithTheFramesOfItsRequest) {
  const VideoInfo info = striped(200);
  const std::vector<Request> requests{
      {{0, 3, 198, 199}, spec_of(96, 32)}, {{}, spec_of(8, 8)}, {{3, 64, 65}, spec_of(32, 64)}};
  const auto stores = decode(info, requests, progress_);
  ASSERT_EQ(stores.size(), 3);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(stores[i].frames(), requests[i].frames);
    EXPECT_EQ(stores[i].spec(), requests[i].spec);
    for (std::int64_t k = 0; k < stores[i].size(); ++k) {
      EXPECT_EQ(test::index_of(stores[i].pixels(k).data(), stores[i].spec().width, stores[i].spec().height),
                requests[i].frames[static_cast<std::size_t>(k)]);
    }
  }
}

TEST_F(Decode, TakesAFrameTwiceWhenItIsAskedForTwice) {
  const VideoInfo info = striped(10);
  const Request request{{4, 4, 5}, spec_of(64, 48), Perturbation::kNone};
  const auto stores = decode(info, {&request, 1}, progress_);
  EXPECT_EQ(largest_difference(image_of(stores[0], 0), image_of(stores[0], 1)), 0);
  EXPECT_EQ(test::index_of(stores[0].pixels(2).data(), 64, 48), 5);
}

TEST_F(Decode, KeepsFramesOfTheRightSizeAsTheyAre) {
  const cv::Mat frame = test::noise_frame(1);
  EXPECT_EQ(largest_difference(image_of(single(frame, spec_of(64, 48)), 0), frame), 0);
}

// What people get who call cv2.resize(frame, (width, height)).
TEST_F(Decode, StretchesLikePlainOpenCv) {
  const cv::Mat frame = test::noise_frame(2);
  for (const auto& [width, height] : {std::pair{37, 91}, {352, 352}, {16, 12}}) {
    cv::Mat expected;
    cv::resize(frame, expected, cv::Size(width, height));
    EXPECT_EQ(largest_difference(image_of(single(frame, spec_of(width, height)), 0), expected), 0) << width;
  }
}

/// Bilinear interpolation in float64 with pixel centres at half coordinates, the border repeated.
double bilinear(const cv::Mat& frame, double x, double y, int channel) {
  const auto at = [&](double column, double row) {
    const int c = std::clamp(static_cast<int>(column), 0, frame.cols - 1),
              r = std::clamp(static_cast<int>(row), 0, frame.rows - 1);
    return static_cast<double>(frame.at<cv::Vec3b>(r, c)[channel]);
  };
  const double x0 = std::floor(x - 0.5), y0 = std::floor(y - 0.5), dx = x - 0.5 - x0, dy = y - 0.5 - y0;
  return (1 - dy) * ((1 - dx) * at(x0, y0) + dx * at(x0 + 1, y0)) +
         dy * ((1 - dx) * at(x0, y0 + 1) + dx * at(x0 + 1, y0 + 1));
}

// The map that boxes go back through and the resize must be inverse to each other: each pixel of the input shows what
// the frame has where the map says. Odd sizes, so that rounding to whole pixels matters. OpenCV rounds its weights to
// 1/2048: one level of difference.
TEST_F(Decode, ShowsInEachPixelWhatTheMapToTheFrameSays) {
  const cv::Mat frame = test::noise_frame(3, 61, 47);
  for (const auto resize : {model::Resize::kStretch, model::Resize::kLetterbox, model::Resize::kCrop}) {
    for (const auto& [width, height] : {std::pair{50, 83}, {97, 40}, {128, 128}, {33, 33}}) {
      const auto spec = spec_of(width, height, resize);
      const cv::Mat input = image_of(single(frame, spec), 0).clone();
      const AffineMap map = input_to_frame(spec, frame.cols, frame.rows);
      std::int64_t inside = 0;
      for (int row = 0; row < height; ++row) {
        for (int column = 0; column < width; ++column) {
          const double x = map.scale_x * (column + 0.5) / width + map.offset_x;
          const double y = map.scale_y * (row + 0.5) / height + map.offset_y;
          const bool border = x < 0 || x > 1 || y < 0 || y > 1;
          inside += border ? 0 : 1;
          for (int channel = 0; channel < 3; ++channel) {
            const double expected = border ? 114 : bilinear(frame, x * frame.cols, y * frame.rows, channel);
            ASSERT_NEAR(input.at<cv::Vec3b>(row, column)[channel], expected, 1.0)
                << to_string(resize) << " " << width << "x" << height << " at " << column << "," << row;
          }
        }
      }
      // Fewer would mean that the test looked at borders only.
      const bool bordered = resize == model::Resize::kLetterbox;
      EXPECT_GE(inside, bordered ? width * height / 3 : width * height);
    }
  }
}

// 64x48 into 61x61: 61x46 pixels (45.75), a border of 15 rows, which Ultralytics splits as round(7.5 -+ 0.1): 7 above,
// 8 below.
TEST_F(Decode, LetterboxesWithBordersOfTheGivenGrey) {
  auto spec = spec_of(61, 61, model::Resize::kLetterbox);
  spec.pad = 7;
  const FrameStore store = single(cv::Mat(48, 64, CV_8UC3, cv::Scalar::all(200)), spec);
  for (int row = 0; row < 61; ++row) {
    const int expected = row >= 7 && row < 53 ? 200 : 7;
    ASSERT_EQ(image_of(store, 0).at<cv::Vec3b>(row, 30)[0], expected) << row;
  }
}

TEST_F(Decode, LetterboxesNarrowFramesToOnePixelAtLeast) {
  const FrameStore store =
      single(cv::Mat(2, 1000, CV_8UC3, cv::Scalar::all(255)), spec_of(32, 32, model::Resize::kLetterbox));
  EXPECT_EQ(cv::countNonZero(cv::Mat(image_of(store, 0)).reshape(1) == 255), 32 * 3);
}

TEST_F(Decode, CropsTheMiddle) {
  cv::Mat frame(48, 64, CV_8UC3, cv::Scalar::all(0));
  frame(cv::Rect(8, 0, 48, 48)).setTo(cv::Scalar::all(255));
  const FrameStore store = single(frame, spec_of(48, 48, model::Resize::kCrop));
  EXPECT_EQ(cv::countNonZero(cv::Mat(image_of(store, 0)).reshape(1)), 48 * 48 * 3);
}

TEST_F(Decode, RefusesToCropFramesThatAreTooNarrow) {
  EXPECT_THAT(
      test::error_text([&] { (void)single(test::noise_frame(0, 2000, 2), spec_of(640, 640, model::Resize::kCrop)); }),
      HasSubstr("use letterbox or stretch"));
}

TEST_F(Decode, OrdersTheChannelsAsTheSpecSays) {
  const cv::Mat frame(48, 64, CV_8UC3, cv::Scalar(10, 20, 30));
  auto spec = spec_of(8, 8);
  EXPECT_THAT(single(frame, spec).pixels(0).first(3), testing::ElementsAre(10, 20, 30));
  spec.color = model::Color::kRgb;
  EXPECT_THAT(single(frame, spec).pixels(0).first(3), testing::ElementsAre(30, 20, 10));
}

TEST_F(Decode, RecompressesTheWholeFrameBeforeItIsResized) {
  const cv::Mat frame = test::noise_frame(4);
  for (const auto& [perturbation, quality] : {std::pair{Perturbation::kJpeg95, 95}, {Perturbation::kJpeg80, 80}}) {
    std::vector<unsigned char> bytes;
    cv::imencode(".jpg", frame, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
    cv::Mat expected;
    cv::resize(cv::imdecode(bytes, cv::IMREAD_COLOR), expected, cv::Size(31, 29));
    const FrameStore store = single(frame, spec_of(31, 29), perturbation);
    EXPECT_EQ(largest_difference(image_of(store, 0), expected), 0) << quality;
  }
}

TEST_F(Decode, ShiftsToTheRightAndRepeatsTheFirstColumn) {
  const cv::Mat frame = test::noise_frame(5);
  const FrameStore store = single(frame, spec_of(64, 48), Perturbation::kShiftOnePixel);
  for (int row = 0; row < 48; ++row) {
    for (int column = 0; column < 64; ++column) {
      ASSERT_EQ(image_of(store, 0).at<cv::Vec3b>(row, column), frame.at<cv::Vec3b>(row, std::max(column - 1, 0)));
    }
  }
}

// Requests share the perturbed frames: one must not see what another one asked for.
TEST_F(Decode, KeepsPerturbationsOfTheSameFrameApart) {
  const VideoInfo info = lossless({test::noise_frame(6), test::noise_frame(7)});
  const auto spec = spec_of(64, 48);
  const std::vector<Request> requests{{{1}, spec, Perturbation::kJpeg80},
                                      {{0, 1}, spec, Perturbation::kNone},
                                      {{1}, spec, Perturbation::kShiftOnePixel},
                                      {{1}, spec, Perturbation::kJpeg95},
                                      {{1}, spec, Perturbation::kJpeg80}};
  const auto stores = decode(info, requests, progress_);
  EXPECT_EQ(largest_difference(image_of(stores[1], 1), test::noise_frame(7)), 0);
  EXPECT_EQ(largest_difference(image_of(stores[0], 0), image_of(stores[4], 0)), 0);
  EXPECT_GT(largest_difference(image_of(stores[0], 0), image_of(stores[3], 0)), 0);
  EXPECT_GT(largest_difference(image_of(stores[3], 0), image_of(stores[1], 1)), 0);
}

TEST_F(Decode, NamesThePerturbations) {
  EXPECT_STREQ(to_string(Perturbation::kNone), "none");
  EXPECT_STREQ(to_string(Perturbation::kJpeg95), "jpeg-95");
  EXPECT_STREQ(to_string(Perturbation::kJpeg80), "jpeg-80");
  EXPECT_STREQ(to_string(Perturbation::kShiftOnePixel), "shift-1px");
}

TEST_F(Decode, SaysSoWhenTheVideoEndsEarly) {
  const VideoInfo info = striped(10);
  const Request request{{2, 10}, spec_of(8, 8), Perturbation::kNone};
  EXPECT_THAT(test::error_text([&] { (void)decode(info, {&request, 1}, progress_); }),
              AllOf(StartsWith("input: " + info.path), HasSubstr("ends after 10 frames, but frame 10 was asked for")));
}

TEST_F(Decode, NamesTheFrameOfAnotherSize) {
  VideoInfo info = striped(10);
  info.width = 65;
  const Request request{{3}, spec_of(8, 8), Perturbation::kNone};
  EXPECT_THAT(test::error_text([&] { (void)decode(info, {&request, 1}, progress_); }),
              StartsWith("input: " + info.path + ": frame 3: has 64x48 pixels, the first frame 65x48"));
}

TEST_F(Decode, RefusesFramesOutOfOrder) {
  const VideoInfo info = striped(10);
  for (const auto& frames : {std::vector<std::int64_t>{3, 2}, {-1, 2}}) {
    const Request request{frames, spec_of(8, 8), Perturbation::kNone};
    EXPECT_THAT(test::error_text([&] { (void)decode(info, {&request, 1}, progress_); }), StartsWith("internal: "));
  }
}

class Recorder : public SilentProgress {
 public:
  void begin(std::string_view, std::int64_t steps) override { total = steps; }
  void advance(std::int64_t steps) override { done += steps; }
  [[nodiscard]] bool stop_requested() const override { return done >= stop_after; }
  std::int64_t total = -1, done = 0, stop_after = 1000;
};

TEST_F(Decode, ReportsEachFrameUpToTheLastOneThatIsWanted) {
  const VideoInfo info = striped(30);
  const Request request{{2, 20}, spec_of(8, 8), Perturbation::kNone};
  Recorder progress;
  (void)decode(info, {&request, 1}, progress);
  EXPECT_EQ(progress.total, 21);
  EXPECT_EQ(progress.done, 21);
}

TEST_F(Decode, StopsWithinAFrame) {
  const VideoInfo info = striped(30);
  const Request request{{29}, spec_of(8, 8), Perturbation::kNone};
  Recorder progress;
  progress.stop_after = 5;
  EXPECT_THAT(test::error_text([&] { (void)decode(info, {&request, 1}, progress); }), StartsWith("interrupted"));
  EXPECT_EQ(progress.done, 5);
}

TEST_F(Decode, BehindOtherWorkGivesTheSamePixels) {
  const VideoInfo info = striped(120);
  const std::vector<Request> first{{{0, 7, 40}, spec_of(32, 24)}, {{1, 41}, spec_of(64, 48)}},
      later{{{3, 40, 41, 119}, spec_of(32, 24)},
            {{99, 100}, spec_of(32, 24), Perturbation::kJpeg80},
            {{}, spec_of(8, 8)}};
  Recorder progress;
  DecodeBehind decoding(info, first, later, progress);
  EXPECT_EQ(progress.done, 42);
  std::vector<Request> all = first;
  all.insert(all.end(), later.begin(), later.end());
  const std::vector<FrameStore> expected = decode(info, all, progress_);
  std::vector<FrameStore> found = decoding.first();
  ASSERT_EQ(found.size(), first.size());
  for (FrameStore& store : decoding.later(progress_)) found.push_back(std::move(store));
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].frames(), expected[i].frames());
    for (std::int64_t k = 0; k < found[i].size(); ++k)
      EXPECT_EQ(largest_difference(image_of(found[i], k), image_of(expected[i], k)), 0) << i << " " << k;
  }
}

TEST_F(Decode, BehindOtherWorkIsGivenUpOrFailsWhereItIsAskedFor) {
  VideoInfo info = striped(60);
  const std::vector<Request> first{{{0}, spec_of(8, 8)}}, later{{{59}, spec_of(8, 8)}}, beyond{{{60}, spec_of(8, 8)}};
  {
    const DecodeBehind decoding(info, first, later, progress_);
  }
  DecodeBehind decoding(info, first, beyond, progress_);
  EXPECT_EQ(decoding.first().size(), 1U);
  EXPECT_THAT(test::error_text([&] { (void)decoding.later(progress_); }), HasSubstr("ends after 60 frames"));
  EXPECT_TRUE(DecodeBehind(info, first, {}, progress_).later(progress_).empty());
}

}  // namespace
}  // namespace repsim::video
