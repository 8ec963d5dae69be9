#include "format.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

Json matrix_json(const similarity::Matrix& matrix) {
  Json json;
  json["row_model"] = matrix.row_model;
  json["col_model"] = matrix.col_model;
  json["rows"] = matrix.rows;
  json["cols"] = matrix.cols;
  Json values = Json::array();
  for (std::size_t row = 0; row < matrix.rows.size(); ++row) {
    Json line = Json::array();
    for (std::size_t col = 0; col < matrix.cols.size(); ++col) line.push_back(rounded_or_null(matrix.at(row, col)));
    values.push_back(std::move(line));
  }
  json["values"] = std::move(values);
  return json;
}

}  // namespace

Json to_json(const std::vector<similarity::Matrix>& matrices, std::int64_t minibatch, std::int64_t frames) {
  Json json;
  json["schema_version"] = 1;
  json["metric"] = "linear CKA, unbiased HSIC over minibatches";
  json["minibatch"] = minibatch;
  json["frames"] = frames;
  json["null_means"] = "undefined: a layer is constant on these frames";
  json["matrices"] = Json::array();
  for (const similarity::Matrix& matrix : matrices) json["matrices"].push_back(matrix_json(matrix));
  return json;
}

}  // namespace repsim::report
