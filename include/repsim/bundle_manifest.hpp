#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// What a bundle says about itself: repsim.json in its archive.
namespace repsim::report {

struct ManifestModel {
  std::string name, run_method, sha256;
  std::int64_t input_group = 0;  ///< index in BundleManifest::inputs
  model::OutputSpec output;      ///< format and boxes never auto
};

/// Models that run on the same frames.
struct ManifestStream {
  std::string name, run_method;
  std::vector<std::size_t> models;  ///< indices in BundleManifest::models, in the order of the method's results
};

struct BundleManifest {
  std::vector<model::InputSpec> inputs;  ///< per argument of forward
  std::vector<ManifestModel> models;     ///< in the order of forward's results
  std::vector<ManifestStream> streams;   ///< empty: all models run on one frame, and forward runs them
};

/// @param text  of repsim.json
/// @param file  the bundle, for errors
/// @throws Error{kInput} naming the field
[[nodiscard]] BundleManifest read_manifest(const std::string& text, const std::string& file);

}  // namespace repsim::report
