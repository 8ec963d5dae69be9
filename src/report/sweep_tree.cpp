#include "sweep_tree.hpp"

#include <algorithm>

#include "format.hpp"
#include "repsim/base/text.hpp"

namespace repsim::report {
namespace {

/// Likeness of a cluster's two parts; of a model, which has no parts, less than all of these.
double likeness_of(const ModelTree& tree, std::size_t cluster) {
  const std::size_t models = tree.models.size();
  return cluster < models ? -1 : 1 - tree.merges[cluster - models].distance;
}

void add_lines(const ModelTree& tree, std::size_t cluster, std::size_t depth, std::vector<std::string>& lines) {
  const std::size_t models = tree.models.size();
  const std::string indent(2 * depth, ' ');
  if (cluster < models) {
    lines.push_back(indent + printable(tree.models[cluster]));
    return;
  }
  lines.push_back(indent + fixed(likeness_of(tree, cluster), 3));
  const similarity::Merge& merge = tree.merges[cluster - models];
  const bool is_swapped = likeness_of(tree, merge.second) > likeness_of(tree, merge.first);
  add_lines(tree, is_swapped ? merge.second : merge.first, depth + 1, lines);
  add_lines(tree, is_swapped ? merge.first : merge.second, depth + 1, lines);
}

/// Names of a cluster's models, in the order of the list.
std::vector<std::string> models_of(const ModelTree& tree, std::size_t cluster) {
  std::vector<std::size_t> open{cluster}, found;
  while (!open.empty()) {
    const std::size_t one = open.back();
    open.pop_back();
    if (one < tree.models.size()) {
      found.push_back(one);
      continue;
    }
    const similarity::Merge& merge = tree.merges[one - tree.models.size()];
    open.insert(open.end(), {merge.first, merge.second});
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (const std::size_t model : found) names.push_back(tree.models[model]);
  return names;
}

}  // namespace

std::vector<std::string> tree_lines(const ModelTree& tree) {
  std::vector<std::string> lines;
  if (!tree.merges.empty()) add_lines(tree, tree.models.size() + tree.merges.size() - 1, 0, lines);
  return lines;
}

Json tree_json(const ModelTree& tree) {
  const std::size_t size = tree.models.size();
  Json rows = Json::array(), merges = Json::array();
  for (std::size_t row = 0; row < size; ++row) {
    Json values = Json::array();
    for (std::size_t col = 0; col < size; ++col) values.push_back(rounded(tree.likeness[row * size + col]));
    rows.push_back(values);
  }
  for (std::size_t i = 0; i < tree.merges.size(); ++i) {
    const similarity::Merge& merge = tree.merges[i];
    merges.push_back({{"first", merge.first},
                      {"second", merge.second},
                      {"likeness", rounded(1 - merge.distance)},
                      {"models", models_of(tree, size + i)}});
  }
  return {{"models", tree.models}, {"likeness", rows}, {"merges", merges}, {"left_out", tree.left_out}};
}

}  // namespace repsim::report
