#include "libraries.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <dlfcn.h>
#include <link.h>
#include <sys/mman.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/version.h>

#include <filesystem>
#include <set>
#include <tuple>

#include "no_python.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::model {
namespace {

namespace fs = std::filesystem;

std::set<std::string> operator_names() {
  std::set<std::string> names;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) names.insert(name.name);
  return names;
}

/// The file name of the library that brought an operator, by operator. Libraries stay in the process, and so do their
/// operators.
std::map<std::string, std::string>& brought() {
  static std::map<std::string, std::string> operators;
  return operators;
}

void collect(const torch::jit::Block* block, std::map<std::string, std::set<std::string>>& used) {
  for (const torch::jit::Node* node : block->nodes()) {
    const auto found = brought().find(node->kind().toQualString());
    if (found != brought().end()) used[found->second].insert(found->first);
    for (const torch::jit::Block* inner : node->blocks()) collect(inner, used);
  }
}

/// Opens a library. @return its handle, or why it cannot be opened
std::pair<void*, std::string> opened(const std::string& path) {
  void* handle = nullptr;
  try {
    ::dlerror();
    handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) return {handle, {}};
    const char* text = ::dlerror();
    return {nullptr, text == nullptr ? "unknown reason" : text};
  } catch (const std::exception& error) {  // its registrations run while it is opened
    const std::string problem = error.what();
    return {nullptr, problem.substr(0, problem.find('\n'))};
  }
}

/// Puts an empty libtorch_python.so into the process. @return whether that worked
bool stand_in_for_python() {
  const FileDescriptor file(::memfd_create("libtorch_python", MFD_CLOEXEC));
  if (!file.valid()) return false;
  std::string_view left = no_python_library();
  while (!left.empty()) {
    const ::ssize_t written = ::write(file.get(), left.data(), left.size());
    if (written <= 0) return false;
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::dlopen(("/proc/self/fd/" + std::to_string(file.get())).c_str(), RTLD_NOW | RTLD_LOCAL) != nullptr;
}

}  // namespace

void load_library(const std::string& path) {
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) {
    throw input_error("no such operator library", path, "the path of a shared library: --library libNAME.so");
  }
  const std::string absolute = rooted_path(path).string();  // a name without folder would be searched for elsewhere
  const std::set<std::string> before = operator_names();
  auto [handle, problem] = opened(absolute);
  // libtorch_python.so is not found, or cannot be loaded without a Python. Most libraries that name it do not use it.
  if (handle == nullptr && problem.find("libtorch_python.so") != std::string::npos && stand_in_for_python()) {
    log::debug(path + ": loaded without libtorch_python.so: " + problem);
    std::tie(handle, problem) = opened(absolute);
  }
  if (handle == nullptr) {
    throw input_error("the operator library cannot be loaded: " + problem, path,
                      std::string("a library that was built for Torch ") + TORCH_VERSION + " as repsim runs with it (" +
                          torch_folder() + ")");
  }
  const std::string file = fs::path(path).filename().string();
  std::size_t added = 0;
  for (const std::string& name : operator_names()) {
    if (before.contains(name)) continue;
    brought()[name] = file;
    ++added;
  }
  log::debug("operator library " + path + ": " + std::to_string(added) + " new operators");
}

void load_libraries(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) load_library(path);
}

std::string torch_folder() {
  std::string found;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* out) {
        const fs::path path(info->dlpi_name == nullptr ? "" : info->dlpi_name);
        if (path.filename() != "libtorch_cpu.so") return 0;
        *static_cast<std::string*>(out) = path.parent_path().string();
        return 1;
      },
      &found);
  return found;
}

std::optional<std::string> find_torchvision(const std::string& torch_folder) {
  const fs::path packages = (fs::path(torch_folder) / ".." / "..").lexically_normal();
  std::set<std::string> candidates;  // in a fixed order
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(packages / "torchvision", failed)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("_C") && name.ends_with(".so")) candidates.insert(entry.path().string());
  }
  if (candidates.empty()) return std::nullopt;
  return *candidates.begin();
}

std::vector<OperatorLibrary> libraries_of(const torch::jit::Module& module) {
  const auto graph = module.get_method("forward").graph()->copy();
  torch::jit::Inline(*graph);
  std::map<std::string, std::set<std::string>> used;
  collect(graph->block(), used);
  std::vector<OperatorLibrary> libraries;
  for (const auto& [file, operators] : used) libraries.push_back({file, {operators.begin(), operators.end()}});
  return libraries;
}

}  // namespace repsim::model
