#pragma once

#include <torch/script.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "repsim/bundle_manifest.hpp"
#include "repsim/report.hpp"

/// A bundle that lies on disk, opened by what it says about itself: it needs neither its plan nor the models that it
/// was made of.
namespace repsim::rebuild {

struct OpenBundle {
  std::string path;
  torch::jit::Module module;
  report::BundleManifest manifest;
};

/// Where a bundle is, and its plan where one lies beside it.
struct BundlePlace {
  std::string path;                  ///< of bundle.pt
  std::optional<report::Plan> plan;  ///< nothing: the bundle itself was named, or it lies in a folder without plan
};
/// @param given  plan.json, the folder of a plan, or a bundle
/// @throws Error{kInput} when the plan cannot be read, or when the bundle beside it is another one (sha256)
[[nodiscard]] BundlePlace find_bundle(const std::string& given);

/// @throws Error{kInput} when the file is no bundle of repsim, or is damaged
[[nodiscard]] OpenBundle open_bundle(const std::string& path);

/// The input groups whose arguments a method of the bundle takes, in order.
[[nodiscard]] std::vector<int> groups_of(const OpenBundle& bundle, const std::string& method);

/// Computes a method of a bundle from the arguments of its groups.
using BundleMethod = std::function<c10::IValue(std::vector<c10::IValue>)>;
/// On the CPU the method as plain torch.jit runs it; elsewhere a copy of its graph. A bundle with opaque models, whose
/// graphs cannot be taken apart, runs on the CPU, and the log says so.
[[nodiscard]] BundleMethod method_of(const OpenBundle& bundle, const std::string& method, at::Device device);

/// A method of a bundle as a graph that runs on another device: the module's tensors become its last inputs.
/// @throws Error{kInput} when the graph reads something of the module that is no tensor
[[nodiscard]] BundleMethod lowered_method(const OpenBundle& bundle, const std::string& method, at::Device device);

}  // namespace repsim::rebuild
