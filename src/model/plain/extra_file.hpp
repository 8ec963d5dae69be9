#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

namespace repsim::model {

/// The input and output of a model, as its archive states them.
struct Metadata {
  std::optional<InputSpec> input;
  std::string input_record;  ///< the record that states the input: "config.txt", "traced_inputs.pkl"
  std::vector<std::string> classes;
  std::string classes_record;
};

/// Whether a picture may be that wide or high.
[[nodiscard]] bool usable_side(std::int64_t side);

/// Reads one extra file of an archive. A value that `found` holds already stays. Keys and files of other tools, and
/// values that repsim cannot read, are left out.
/// @param record  name of the extra file
/// @param path  of the model, for messages
void read_extra_file(const std::string& record, const std::string& text, const std::string& path, Metadata& found);

}  // namespace repsim::model
