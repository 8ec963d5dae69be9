#include "cache_flag.hpp"

#include <cstdlib>
#include <filesystem>

#include "common_flags.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/signature_cache.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNone = "none";

/// Where the XDG base directory specification puts caches; empty where the environment does not say.
fs::path default_cache_folder() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && fs::path(xdg).is_absolute())
    return fs::path(xdg) / "repsim";  // relative ones are to be ignored
  const char* home = std::getenv("HOME");
  if (home != nullptr && fs::path(home).is_absolute()) return fs::path(home) / ".cache" / "repsim";
  return {};
}

}  // namespace

CLI::Option* add_cache(CLI::App& app, std::optional<std::string>& out) {
  return add_text(app, "--cache", "DIR", out,
                  "Where signatures are kept, so that the next run need not capture them again; none: nowhere "
                  "(default: $XDG_CACHE_HOME/repsim, else ~/.cache/repsim)");
}

std::string named_cache_folder(const std::optional<std::string>& flag) {
  if (flag && flag->empty())
    throw Error(ErrorKind::kUsage, "the path is empty", "--cache", "--cache DIR, or --cache none");
  if (flag && *flag == kNone) return {};
  return (flag ? fs::path(*flag) : default_cache_folder()).string();
}

std::string cache_folder(const std::optional<std::string>& flag) {
  const fs::path folder = named_cache_folder(flag);
  if (flag && folder.empty()) return {};
  if (folder.empty()) {
    log::debug("no cache: neither XDG_CACHE_HOME nor HOME names a folder");
    return {};
  }
  try {
    const capture::SignatureCache probe(folder);
  } catch (const Error& error) {
    if (flag) throw;
    log::warn("nothing is cached: " + error.where() + ": " + error.problem());
    return {};
  }
  return folder.string();
}

void check_cache_folder(const std::optional<std::string>& flag) {
  if (!flag || *flag == kNone) return;
  if (flag->empty()) throw Error(ErrorKind::kUsage, "the path is empty", "--cache", "--cache DIR, or --cache none");
  const fs::path folder = fs::path(*flag) / "signatures";
  const ParentFolders made(folder / "entry");  // removed again
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) {
    throw input_error("the folder of the cache cannot be made", folder.parent_path().string(),
                      "--cache DIR with a folder that can be written, or --cache none");
  }
}

std::string existing_cache_folder(const std::optional<std::string>& flag) {
  if (flag && (flag->empty() || *flag == kNone))
    throw Error(ErrorKind::kUsage, "'" + *flag + "' is no folder of a cache", "--cache", "--cache DIR");
  const fs::path folder = flag ? fs::path(*flag) : default_cache_folder();
  if (folder.empty()) {
    throw Error(ErrorKind::kUsage, "neither XDG_CACHE_HOME nor HOME names a folder", "repsim cache", "--cache DIR");
  }
  return folder.string();
}

}  // namespace repsim::cli
