#pragma once

#include <optional>
#include <string>
#include <vector>

#include "archive.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::model {

/// The input and output of a model, as its archive states them.
struct Metadata {
  std::optional<InputSpec> input;
  std::string input_record;  ///< the record that states the input: "config.txt", "traced_inputs.pkl"
  std::vector<std::string> classes;
  std::string classes_record;
};

/// Reads the extra files, config.txt first, then the others in the order of their names, then the traced inputs. The
/// first record that states a value wins. Keys and files of other tools, and values that repsim cannot read, are left
/// out.
/// @param path  of the model, for messages
Metadata read_metadata(const Archive& archive, const std::string& path);

}  // namespace repsim::model
