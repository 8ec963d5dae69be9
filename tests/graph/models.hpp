#pragma once

#include <string>
#include <vector>

#include "fixtures/fixtures.hpp"

namespace repsim::graph {

/// The fixtures whose graphs can be rewritten.
inline const std::vector<std::string> kRewritable{"small",     "wide",         "dict",           "list", "images",
                                                  "control",   "inplace",      "shuffle",        "tied", "frozen_a",
                                                  "one_frame", "small.traced", "shuffle.traced", "bytes"};

inline std::vector<std::string> layer_names(const Program& program) {
  std::vector<std::string> names;
  for (const Layer& layer : program.layers) names.push_back(layer.name);
  return names;
}

/// A model whose forward has this source.
inline model::Loaded defined_as(const std::string& forward) {
  model::Loaded loaded;
  loaded.spec = {"m", "m.pt", test::fixture_input(), {}};
  loaded.module = torch::jit::Module("__torch__.M");
  loaded.module.define(forward);
  return loaded;
}

}  // namespace repsim::graph
