#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

/// Mutations of TorchScript archives that keep what repsim checks before Torch reads an archive: directory and
/// checksums.
namespace repsim::fuzz {

/// The records of an archive: name without the root folder -> content, unpacked.
using Records = std::map<std::string, std::string>;

/// Reads an archive. @throws c10::Error where Torch cannot read it
[[nodiscard]] Records records_of(const std::string& archive);

/// The archive with these records, stored, with right checksums.
[[nodiscard]] std::string archive_of(const Records& records);

/// One of `seeds` after one to four changes. The number decides which: records are dropped, swapped, cut short and
/// mixed with those of other seeds, code and pickles are changed token by token, tensors byte by byte.
[[nodiscard]] Records mutated(const std::vector<Records>& seeds, std::uint64_t number);

}  // namespace repsim::fuzz
