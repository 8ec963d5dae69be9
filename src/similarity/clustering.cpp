#include "repsim/clustering.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "repsim/base/error.hpp"

namespace repsim::similarity {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// Mean of the largest values per layer, over the layers that have a value.
class MeanOfBest {
 public:
  explicit MeanOfBest(std::size_t layers) : best_(layers, kUndefined) {}
  void see(std::size_t layer, double value) {
    if (std::isnan(value)) return;
    const double known = std::max(value, 0.0);
    best_[layer] = std::isnan(best_[layer]) ? known : std::max(best_[layer], known);
  }
  [[nodiscard]] double value() const {
    double sum = 0;
    std::size_t count = 0;
    for (const double best : best_) {
      if (std::isnan(best)) continue;
      sum += best;
      ++count;
    }
    return count == 0 ? kUndefined : sum / static_cast<double>(count);
  }

 private:
  std::vector<double> best_;
};

/// The clusters while they are joined.
class Clusters {
 public:
  Clusters(std::vector<double> distances, std::size_t items) : distances_(std::move(distances)), items_(items) {
    for (std::size_t i = 0; i < items; ++i) open_.push_back({i, 1, i});
  }

  [[nodiscard]] bool is_one() const { return open_.size() < 2; }

  Merge join_nearest() {
    std::size_t left = 0, right = 1;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      for (std::size_t j = i + 1; j < open_.size(); ++j) {
        if (distance(i, j) < distance(left, right)) {
          left = i;
          right = j;
        }
      }
    }
    const Merge merge{open_[left].number, open_[right].number, distance(left, right)};
    join(left, right);
    return merge;
  }

 private:
  struct Open {
    std::size_t number, size, place;  ///< place: its row in the distances
  };

  double& distance(std::size_t i, std::size_t j) { return distances_[open_[i].place * items_ + open_[j].place]; }

  /// The joined cluster takes the place of the left one, and stands last: numbers of open clusters stay ascending.
  void join(std::size_t left, std::size_t right) {
    const auto size_left = static_cast<double>(open_[left].size), size_right = static_cast<double>(open_[right].size);
    for (std::size_t other = 0; other < open_.size(); ++other) {
      if (other == left || other == right) continue;
      const double mean =
          (size_left * distance(left, other) + size_right * distance(right, other)) / (size_left + size_right);
      distance(left, other) = distance(other, left) = mean;
    }
    const Open joined{items_ + joined_++, open_[left].size + open_[right].size, open_[left].place};
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(right));
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(left));
    open_.push_back(joined);
  }

  std::vector<double> distances_;
  std::size_t items_, joined_ = 0;
  std::vector<Open> open_;
};

}  // namespace

double likeness(const Matrix& matrix) {
  MeanOfBest of_rows(matrix.rows.size()), of_cols(matrix.cols.size());
  for (std::size_t row = 0; row < matrix.rows.size(); ++row) {
    for (std::size_t col = 0; col < matrix.cols.size(); ++col) {
      of_rows.see(row, matrix.at(row, col));
      of_cols.see(col, matrix.at(row, col));
    }
  }
  return (of_rows.value() + of_cols.value()) / 2;
}

std::vector<Merge> average_linkage(std::vector<double> distances, std::size_t items) {
  if (distances.size() != items * items)
    throw Error(ErrorKind::kInternal, "the distances of items to cluster are no square");
  Clusters clusters(std::move(distances), items);
  std::vector<Merge> merges;
  while (!clusters.is_one()) merges.push_back(clusters.join_nearest());
  return merges;
}

}  // namespace repsim::similarity
