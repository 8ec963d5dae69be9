#pragma once

#include <cstddef>
#include <vector>

#include "repsim/similarity.hpp"

/// How alike whole models are, and a tree of them.
namespace repsim::similarity {

/// How alike two models are: for each layer of one model the largest S to a layer of the other, on average over these
/// layers; the mean of both directions. 1 where every layer of each has an equal one in the other.
/// Undefined values of S are left out, and so are layers without any other. Negative ones count as 0.
/// @return in [0, 1]; NaN where no value of S is defined
[[nodiscard]] double likeness(const Matrix& matrix);

/// Two clusters that become one.
struct Merge {
  std::size_t first = 0, second = 0;  ///< clusters: below n items, n + k is the cluster of merge k; first < second
  double distance = 0;                ///< mean distance of an item of one to an item of the other
};

/// Agglomerative clustering with average linkage (UPGMA: Sokal & Michener 1958): each step joins the two clusters whose
/// items have the smallest mean distance to each other. Distances between clusters follow by the formula of Lance and
/// Williams (1967). Of equal distances the one with the smaller clusters' numbers comes first.
/// Cost O(n^3).
/// @param distances  n*n, symmetric, finite; the diagonal is not read
/// @return n - 1 merges, their distances ascending up to rounding; none for less than two items
/// @throws Error{kInternal} where the sizes contradict each other
[[nodiscard]] std::vector<Merge> average_linkage(std::vector<double> distances, std::size_t items);

}  // namespace repsim::similarity
