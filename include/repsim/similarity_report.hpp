#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/signature_cache.hpp"
#include "repsim/similarity.hpp"

/// What `repsim similarity` and `repsim cache` write and print.
namespace repsim::report {

/// S of all pairs of layers of several models, the files of these models and the files of the result.
struct AllPairs {
  /// A model as it was given.
  struct Source {
    std::string path, sha256;
    std::string input;  ///< as --input takes it
  };
  /// Two models.
  struct Pair {
    std::size_t row_model = 0, col_model = 0;  ///< indices
    std::string heatmap;                       ///< name of its picture; empty: none, as one has no layers
  };

  similarity::AllPairs similarity;
  std::vector<Source> sources;  ///< per model
  std::vector<Pair> pairs;
  std::string video_path, video_sha256;
  std::int64_t frames = 0, minibatch = 0;
  std::string matrix_file;  ///< name of the .npy
};

/// similarity.json of `repsim similarity`: models, layers, and mean and largest S per pair. The values are in
/// `matrix_file`.
[[nodiscard]] Json to_json(const AllPairs& all);
/// For a terminal: per pair the mean and the largest S. At most 100 columns, final newline.
[[nodiscard]] std::string to_text(const AllPairs& all);

/// A matrix in NumPy's format (version 1.0), float64, row-major.
/// @param values  rows * cols
[[nodiscard]] std::string npy(const std::vector<double>& values, std::int64_t rows, std::int64_t cols);

/// S of two models' layers as a PNG picture: layers of the row model down, of the other across, in execution order,
/// with as many of their names as there is room for, and a colour bar from 0 (and below) to 1. Undefined values are
/// grey.
/// @param matrix  at least one row and one column
[[nodiscard]] std::string heatmap_png(const similarity::Matrix& matrix);

/// `repsim cache ls`: one line per entry. At most 100 columns, final newline.
[[nodiscard]] std::string to_text(const std::vector<capture::CacheEntry>& entries);
[[nodiscard]] Json to_json(const std::vector<capture::CacheEntry>& entries);

}  // namespace repsim::report
