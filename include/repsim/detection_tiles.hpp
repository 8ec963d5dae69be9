#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "repsim/frame_picture.hpp"
#include "repsim/model_spec.hpp"

/// Detections drawn on a frame, one tile per model.
namespace repsim::report {

/// One tile: the frame with the boxes of one model, below a bar with a title.
struct Tile {
  std::string title;
  model::Detections boxes;      ///< relative to the frame; in the colour of their class
  model::Detections differing;  ///< relative to the frame; of `boxes`, or beside them; in the colour of differences
  bool is_original = false;     ///< what differs is missed by the merged model, else its false alarm
};

/// Where the tiles are. Cells are filled row by row, from the top left.
struct TileGrid {
  PictureSize picture;                 ///< of the frame in each tile
  std::int64_t bar = 0;                ///< pixels of the title above it
  std::int64_t columns = 0, rows = 0;  ///< of tiles
  PictureSize whole;                   ///< both sides even
};

/// Arranges tiles so that the whole is close to the form of a screen (16:9), with sides of at most 1920 pixels. Frames
/// are never made larger, smaller ones only where that is needed.
/// @param groups  of tiles that stay beside each other
/// @param per_group  tiles in each
[[nodiscard]] TileGrid tile_grid(const PictureSize& frame, std::int64_t groups, std::int64_t per_group);

/// Draws all tiles of one frame. Characters of titles and class names that are not ASCII appear as '?'.
/// @param bgr  the frame: height * width * 3 bytes
/// @param tiles  in the order of the cells, at most columns * rows
/// @param classes  per tile the names of labels; a label without name appears as its number
/// @return whole.height * whole.width * 3 bytes, BGR
[[nodiscard]] std::vector<std::uint8_t> draw_tiles(std::span<const std::uint8_t> bgr, const PictureSize& frame,
                                                   const TileGrid& grid, std::span<const Tile> tiles,
                                                   std::span<const std::vector<std::string>> classes);

}  // namespace repsim::report
