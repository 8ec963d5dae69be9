#pragma once

#include <torch/script.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace repsim::model {

struct Archive {
  torch::jit::Module module;
  std::map<std::string, std::string> extra_files;  ///< name -> content; those of more than 1 MiB are left out
  std::optional<std::vector<c10::IValue>>
      traced_inputs;  ///< the inputs that forward was traced with, if the archive keeps them
  std::string sha256;
  std::int64_t file_bytes = 0;
};

/// Reads a TorchScript archive. For other files the error says which kind of file it is.
/// @param name  the model's, for messages
/// @throws Error{kInput}
Archive read_archive(const std::string& path, const std::string& name);

}  // namespace repsim::model
