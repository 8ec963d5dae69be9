#pragma once

#include <string>
#include <vector>

#include "plain/zip_directory.hpp"

namespace repsim::model {

/// Checks the tensors that an archive states, of the model and of constants in its code, against the records that hold
/// their elements. Torch believes their sizes, and reads and writes memory that is not theirs.
/// Cost: that of reading the pickles; the elements stay where they are.
/// @param bytes  of the archive
/// @throws Error{kInput} when a tensor has elements outside of its record. What cannot be read at all is left to Torch
void check_stated_tensors(const std::string& bytes, const std::vector<ZipRecord>& records, const std::string& path);

}  // namespace repsim::model
