#include "repsim/detection_tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace repsim::report {
namespace {

TEST(DetectionTiles, AreArrangedLikeAScreenAndNeverLarger) {
  const TileGrid one = tile_grid({640, 480}, 1, 1);
  EXPECT_EQ(one.picture.width, 640);
  EXPECT_EQ(one.whole.width, 640);
  EXPECT_EQ(one.whole.height, 480 + one.bar);
  const TileGrid four = tile_grid({640, 360}, 4, 1);
  EXPECT_EQ(four.columns, 2);
  EXPECT_EQ(four.rows, 2);
  for (const std::int64_t groups : {1, 3, 16}) {
    for (const std::int64_t per_group : {1, 2}) {
      const TileGrid grid = tile_grid({3840, 2161}, groups, per_group);
      EXPECT_GE(grid.columns * grid.rows, groups * per_group);
      EXPECT_EQ(grid.columns % per_group, 0) << "a model and its original stay beside each other";
      EXPECT_LE(std::max(grid.whole.width, grid.whole.height), 1920);
      EXPECT_EQ(grid.whole.width % 2 + grid.whole.height % 2, 0);
      EXPECT_GE(grid.whole.width, grid.columns * grid.picture.width);
    }
  }
}

TEST(DetectionTiles, ShowBoxesWhereTheyAre) {
  const PictureSize frame{200, 100};
  const std::vector<std::uint8_t> grey(60'000, 90);
  Tile found, nothing;
  found.boxes = {{0.25, 0.5, 0.75, 0.9, 0.8, 0}};
  const TileGrid grid = tile_grid(frame, 2, 1);
  const std::vector<std::vector<std::string>> classes(2);
  const std::vector<Tile> tiles{found, nothing};
  const std::vector<std::uint8_t> pixels = draw_tiles(grey, frame, grid, tiles, classes);
  ASSERT_EQ(pixels.size(), static_cast<std::size_t>(3 * grid.whole.width * grid.whole.height));
  const auto is_drawn = [&](std::int64_t tile, std::int64_t x, std::int64_t y) {
    const std::int64_t column = tile % grid.columns, row = tile / grid.columns;
    const std::int64_t left = column * grid.picture.width + x,
                       top = row * (grid.picture.height + grid.bar) + grid.bar + y;
    const std::uint8_t* pixel = pixels.data() + 3 * (top * grid.whole.width + left);
    return pixel[0] != 90 || pixel[1] != 90 || pixel[2] != 90;
  };
  EXPECT_TRUE(is_drawn(0, 50, 70)) << "left edge";
  EXPECT_TRUE(is_drawn(0, 100, 90)) << "lower edge";
  EXPECT_FALSE(is_drawn(0, 100, 70)) << "inside";
  EXPECT_FALSE(is_drawn(0, 180, 70)) << "outside";
  for (std::int64_t x = 0; x < 200; ++x) EXPECT_FALSE(is_drawn(1, x, 70)) << x;
}

TEST(DetectionTiles, DrawBoxesThatReachBeyondTheFrame) {
  const PictureSize frame{50, 40};
  const std::vector<std::uint8_t> grey(6000, 90);
  Tile tile;
  tile.title = "caf\u00e9";
  tile.boxes = {{-3, -2, 5, 7, 0.5, 12}, {0.99, 0.99, 1.5, 1.5, 0.5, -4}};
  tile.differing = {{2, 2, 3, 3, 0.5, 0}};
  const TileGrid grid = tile_grid(frame, 1, 1);
  const std::vector<std::vector<std::string>> classes{{"a name that is longer than the picture is wide"}};
  EXPECT_EQ(draw_tiles(grey, frame, grid, {&tile, 1}, classes).size(),
            static_cast<std::size_t>(3 * grid.whole.width * grid.whole.height));
}

}  // namespace
}  // namespace repsim::report
