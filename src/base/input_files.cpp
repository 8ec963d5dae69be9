#include "repsim/base/input_files.hpp"

#include "repsim/base/error.hpp"

namespace repsim {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

/// Whether the output replaces the input, or one of the files in the folder that the input is.
bool replaces(const fs::path& output, const fs::path& input) {
  std::error_code failed;
  if (is_same_file(output, input)) return true;
  return fs::is_directory(input, failed) && fs::exists(output, failed) && is_same_file(folder_of(output), input);
}

}  // namespace

bool is_same_file(const fs::path& left, const fs::path& right) {
  std::error_code failed;
  if (fs::equivalent(left, right, failed)) return true;
  if (fs::exists(left, failed) || fs::exists(right, failed)) return false;
  return left.filename() == right.filename() && fs::equivalent(folder_of(left), folder_of(right), failed);
}

void check_replaces_no_input(const fs::path& output, std::span<const InputFile> inputs, const std::string& flag) {
  for (const InputFile& input : inputs) {
    if (input.path.empty() || !replaces(output, input.path)) continue;
    throw Error(ErrorKind::kUsage, "this file is " + input.what + " that is read", flag + " " + output.string(),
                "another name");
  }
}

}  // namespace repsim
