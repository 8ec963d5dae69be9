#include <bit>
#include <cmath>
#include <cstring>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/similarity_report.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

/// The mean over the defined values of a pair, and its largest.
struct Digest {
  double mean = std::nan(""), largest = std::nan("");
  std::size_t row = 0, col = 0;
};

Digest digest_of(const similarity::Matrix& matrix) {
  Digest digest;
  double sum = 0;
  std::int64_t defined = 0;
  for (std::size_t row = 0; row < matrix.rows.size(); ++row) {
    for (std::size_t col = 0; col < matrix.cols.size(); ++col) {
      const double value = matrix.at(row, col);
      if (std::isnan(value)) continue;
      sum += value;
      if (defined++ == 0 || value > digest.largest) {
        digest.largest = value;
        digest.row = row;
        digest.col = col;
      }
    }
  }
  if (defined > 0) digest.mean = sum / static_cast<double>(defined);
  return digest;
}

}  // namespace

std::string npy(const std::vector<double>& values, std::int64_t rows, std::int64_t cols) {
  std::string header = "{'descr': '<f8', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
                       std::to_string(cols) + "), }";
  constexpr std::size_t kPrefix = 10, kAlignment = 64;
  while ((kPrefix + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xFFU);
  bytes += static_cast<char>(header.size() >> 8U);
  bytes += header;
  const std::size_t begin = bytes.size(), size = values.size() * sizeof(double);
  bytes.resize(begin + size);
  if (size > 0) std::memcpy(bytes.data() + begin, values.data(), size);
  return bytes;
}

Json to_json(const AllPairs& all) {
  const similarity::AllPairs& s = all.similarity;
  Json json;
  json["schema_version"] = 1;
  json["metric"] = "linear CKA, unbiased HSIC over minibatches";
  json["minibatch"] = all.minibatch;
  json["frames"] = all.frames;
  json["video"] = {{"path", all.video_path}, {"sha256", all.video_sha256}};
  json["matrix"] = {{"file", all.matrix_file}, {"shape", {s.size, s.size}}, {"dtype", "float64"}};
  json["nan_means"] = "undefined: a layer is constant on these frames";
  json["models"] = Json::array();
  for (std::size_t i = 0; i < s.models.size(); ++i) {
    json["models"].push_back({{"name", s.models[i]},
                              {"path", all.sources[i].path},
                              {"sha256", all.sources[i].sha256},
                              {"input", all.sources[i].input},
                              {"first", s.first[i]},
                              {"layers", s.layers[i]}});
  }
  json["pairs"] = Json::array();
  for (const AllPairs::Pair& pair : all.pairs) {
    const similarity::Matrix matrix = s.between(pair.row_model, pair.col_model);
    const Digest digest = digest_of(matrix);
    json["pairs"].push_back(
        {{"row_model", matrix.row_model},
         {"col_model", matrix.col_model},
         {"heatmap", pair.heatmap.empty() ? Json() : Json(pair.heatmap)},
         {"mean", rounded_or_null(digest.mean)},
         {"largest", std::isnan(digest.largest) ? Json()
                                                : Json{{"row", matrix.rows[digest.row]},
                                                       {"col", matrix.cols[digest.col]},
                                                       {"similarity", rounded_or_null(digest.largest)}}}});
  }
  return json;
}

std::string to_text(const AllPairs& all) {
  TextTable table({"Models", "Layers", "Mean S", "Largest S"});
  for (const AllPairs::Pair& pair : all.pairs) {
    const similarity::Matrix matrix = all.similarity.between(pair.row_model, pair.col_model);
    const Digest digest = digest_of(matrix);
    table.add_row({matrix.row_model + ", " + matrix.col_model,
                   std::to_string(matrix.rows.size()) + " x " + std::to_string(matrix.cols.size()),
                   fixed(digest.mean, 3), fixed(digest.largest, 3)});
    if (!std::isnan(digest.largest))
      table.add_note("largest: " + matrix.rows[digest.row] + " and " + matrix.cols[digest.col]);
  }
  return std::to_string(all.frames) + " frames of " + printable(all.video_path) + "\n\n" + table.text();
}

}  // namespace repsim::report
