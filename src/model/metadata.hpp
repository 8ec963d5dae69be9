#pragma once

#include <string>

#include "archive.hpp"
#include "plain/extra_file.hpp"

namespace repsim::model {

/// Reads the extra files, config.txt first, then the others in the order of their names, then the traced inputs. The
/// first record that states a value wins. Keys and files of other tools, and values that repsim cannot read, are left
/// out.
/// @param path  of the model, for messages
Metadata read_metadata(const Archive& archive, const std::string& path);

}  // namespace repsim::model
