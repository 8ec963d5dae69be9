#include <algorithm>

#include "repsim/config.hpp"
#include "setting.hpp"
#include "values.hpp"
#include "videos.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;

/// Where a value is read from.
struct Member {
  JsonReader& reader;
  const std::string& name;
  const fs::path& base;
};

void read(const WholeNumber& kind, const Member& from, Settings& out) {
  if (from.reader.child(from.name) == nullptr) return;
  std::int64_t value = 0;
  from.reader.optional(from.name, value);
  if (const auto found = problem_of(kind, value)) from.reader.fail(from.name, found->problem, found->remedy);
  kind.set(out, value);
}

/// A size in bytes: 1500000, or "1.5M".
void read(const Bytes& kind, const Member& from, Settings& out) {
  const Json* value = from.reader.child(from.name);
  if (value == nullptr) return;
  std::int64_t bytes = 0;
  if (value->is_string()) {
    const auto parsed = parse_bytes(value->get<std::string>());
    if (!parsed) from.reader.fail(from.name, "'" + value->get<std::string>() + "' is no size", size_remedy());
    bytes = *parsed;
  } else {
    from.reader.optional(from.name, bytes);
  }
  out.*kind.member = bytes;
}

void read(const Number& kind, const Member& from, Settings& out) { from.reader.optional(from.name, out.*kind.member); }

void read(const OnOff& kind, const Member& from, Settings& out) { from.reader.optional(from.name, out.*kind.member); }

void read(const OneWord& kind, const Member& from, Settings& out) {
  std::string word = kind.get(out);
  from.reader.optional(from.name, word, kind.words());
  kind.set(out, word);
}

void read(const Path& kind, const Member& from, Settings& out) {
  if (from.reader.child(from.name) == nullptr) return;
  std::string path;
  from.reader.optional(from.name, path);
  kind.set(out, resolve(path, from.base));
}

/// A path as it is: no pattern.
void read(const OneVideo& /*kind*/, const Member& from, Settings& out) {
  const Json* value = from.reader.child(from.name);
  if (value == nullptr) return;
  if (value->is_array())
    from.reader.fail(from.name, "expected a string, got a list", R"(for several videos: "videos": [...])");
  std::string path;
  from.reader.optional(from.name, path);
  out.videos.clear();
  if (!path.empty()) out.videos.push_back({resolve(path, from.base)});
}

void read(const SeveralVideos& /*kind*/, const Member& from, Settings& out) {
  read_videos(from.reader, from.name, from.base, out);
}

void read(const Texts& kind, const Member& from, Settings& out) {
  std::vector<std::string>& texts = out.*kind.member;
  from.reader.optional(from.name, texts);
  if (kind.of != Texts::Of::kPaths) return;
  for (std::string& path : texts) path = resolve(path, from.base);
}

/// One number for all models, or {"default": 0.9, "night": 0.95}.
void read(const MinFidelities& /*kind*/, const Member& from, Settings& out) {
  const Json* value = from.reader.child(from.name);
  if (value == nullptr) return;
  if (!value->is_object()) {
    from.reader.optional(from.name, out.min_fidelity);
    return;
  }
  JsonReader models(*value, from.reader.file(), from.reader.path_of(from.name));
  models.optional("default", out.min_fidelity);
  for (const auto& [name, ignored] : value->items()) {
    if (name != "default") models.optional(name, out.min_fidelity_of[name]);
  }
}

void read(const Directions& /*kind*/, const Member& from, Settings& out) {
  std::vector<std::string> texts;
  from.reader.optional(from.name, texts);
  for (const std::string& text : texts) {
    const auto direction = parse_direction(text);
    if (!direction) from.reader.fail(from.name, "'" + text + "' names no direction", R"("receiver<-donor")");
    out.share.push_back(*direction);
  }
}

void read(const DeviceName& /*kind*/, const Member& from, Settings& out) {
  std::string text = to_string(out.device);
  from.reader.optional(from.name, text);
  const auto device = parse_device(text);
  if (!device) from.reader.fail(from.name, no_device(text), device_remedy());
  out.device = *device;
}

}  // namespace

// "configs/../demo/a.pt" is shortened to "demo/a.pt" where both are the same file: a folder that is a link makes them
// differ.
std::string resolve(const std::string& path, const fs::path& base) {
  if (path.empty() || fs::path(path).is_absolute() || base.empty()) return path;
  const fs::path joined = base / path;
  const fs::path shorter = joined.lexically_normal();
  std::error_code failed;
  return fs::equivalent(joined, shorter, failed) ? shorter.string() : joined.string();  // false when it failed
}

void read_setting(const Setting& setting, JsonReader& reader, const std::string& name, const fs::path& base,
                  Settings& out) {
  std::visit([&](const auto& kind) { read(kind, {reader, name, base}, out); }, setting.kind);
}

}  // namespace repsim::config
