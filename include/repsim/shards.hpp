#pragma once

#include <string>
#include <vector>

#include "repsim/signature_cache.hpp"

/// A capture in parts, made on several machines, that add up to the bytes of one run.
namespace repsim::capture {

/// A part of a capture, and what errors call it.
struct NamedPart {
  std::string name;  ///< of its file
  SignatureFile file;
};

/// Puts the parts of a capture together. A minibatch is the unit: its values depend on no other minibatch, so the parts
/// are put beside each other and nothing is added up. The result does not depend on the order of `parts`, and is equal,
/// bit for bit, to the capture of one run with the same origin. Names and paths for people are those of shard 1.
/// @throws Error{kInput} naming the files where a part is missing, there twice, or whole already, or where parts are of
///         different captures: it says what differs
[[nodiscard]] SignatureFile merge(const std::vector<NamedPart>& parts);

}  // namespace repsim::capture
