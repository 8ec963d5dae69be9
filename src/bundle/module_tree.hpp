#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "repsim/graph.hpp"

namespace repsim::bundle {

/// The bundle's root module and the tree of submodules that hold the parameters under their original names.
class ModuleTree {
 public:
  /// @param identifiers  per model the name of its submodule; outlives the tree
  explicit ModuleTree(const std::vector<std::string>& identifiers);

  torch::jit::Module& root() { return root_; }
  std::shared_ptr<torch::jit::CompilationUnit> unit() { return unit_; }

  /// The path of a value that place() has registered.
  [[nodiscard]] const std::string& path_of(const c10::IValue& value) const {
    return paths_.at(value.internalToPointer());
  }

  /// Registers a tensor, or an object that holds tensors, under the path of the parameter. If another value has that
  /// path already (the original of a refitted weight, which another model still uses), an underscore is added.
  void place(const graph::AssembledParameter& parameter, bool is_buffer);

  /// Moves tensors that are parts of larger memory to memory of what the tree shows of it.
  void cut_memory();

 private:
  torch::jit::Module make(const std::string& class_name);
  torch::jit::Module& module(const std::string& path);

  const std::vector<std::string>& identifiers_;
  std::shared_ptr<torch::jit::CompilationUnit> unit_;
  torch::jit::Module root_;
  std::map<std::string, torch::jit::Module> modules_;
  std::set<std::string> taken_;
  std::unordered_map<const void*, std::string> paths_;
};

/// Inserts reads of attributes of self into a graph, each prefix of a path once.
class AttributeReader {
 public:
  AttributeReader(torch::jit::Graph& graph, torch::jit::Value* self) : graph_(graph) { values_[""] = self; }

  torch::jit::Value* get(const std::string& path);

 private:
  torch::jit::Graph& graph_;
  std::map<std::string, torch::jit::Value*> values_;
};

}  // namespace repsim::bundle
