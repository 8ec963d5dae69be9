#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::model {

/// What an archive says about how its model is used.
struct Metadata {
  std::optional<InputSpec> input;
  std::string input_record;  ///< the record that says it: "config.txt", "traced_inputs.pkl"
  std::vector<std::string> classes;
  std::string classes_record;
};

/// Reads the extra files, config.txt first, else in the order of their names, then the traced inputs; the first that
/// says something is right. Other tools' keys and files are not judged; what cannot be understood is left out.
/// @param path  of the model, for messages
Metadata read_metadata(const Archive& archive, const std::string& path);

}  // namespace repsim::model
