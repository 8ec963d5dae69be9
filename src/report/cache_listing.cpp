#include <ctime>

#include "repsim/base/text.hpp"
#include "repsim/report.hpp"
#include "repsim/similarity_report.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

/// "2026-01-31 17:05" in UTC.
std::string minute_of(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &parts)};
}

std::int64_t bytes_of(const std::vector<capture::CacheEntry>& entries) {
  std::int64_t bytes = 0;
  for (const capture::CacheEntry& entry : entries) bytes += entry.bytes;
  return bytes;
}

/// The last name of a path, a folder's too: "shot" of "videos/shot/".
std::string last_name(const std::filesystem::path& path) {
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

std::string to_text(const std::vector<capture::CacheEntry>& entries) {
  if (entries.empty()) return "no entries\n";
  TextTable table({"Model", "Layers", "Frames", "Video", "Size", "Last used (UTC)"});
  for (const capture::CacheEntry& entry : entries) {
    const std::string size = human_bytes(entry.bytes), used = minute_of(entry.last_used);
    if (!entry.file) {
      table.add_row({shortened(entry.path.filename().string(), 24), "-", "-", "-", size, used});
      table.add_note("damaged: " + entry.problem);
      continue;
    }
    const capture::SignatureFile& file = *entry.file;
    table.add_row({printable(file.signatures.model), std::to_string(file.signatures.layers.size()),
                   std::to_string(file.origin.frames.size()), shortened(printable(last_name(file.video_path)), 24),
                   size, used});
  }
  return table.text() + "\n" + std::to_string(entries.size()) + (entries.size() == 1 ? " entry, " : " entries, ") +
         human_bytes(bytes_of(entries)) + "\n";
}

Json to_json(const std::vector<capture::CacheEntry>& entries) {
  Json json;
  json["bytes"] = bytes_of(entries);
  json["entries"] = Json::array();
  for (const capture::CacheEntry& entry : entries) {
    Json one;
    one["path"] = escape_bytes(entry.path.string());  // from XDG_CACHE_HOME, which may hold any bytes
    one["bytes"] = entry.bytes;
    one["last_used"] = minute_of(entry.last_used);
    one["problem"] = entry.file ? Json() : Json(entry.problem);
    if (entry.file) {
      one["model"] = entry.file->signatures.model;
      one["model_path"] = entry.file->model_path;
      one["model_sha256"] = entry.file->origin.model_sha256;
      one["video_path"] = entry.file->video_path;
      one["video_sha256"] = entry.file->origin.video_sha256;
      one["input"] = entry.file->origin.input;
      one["frames"] = entry.file->origin.frames.size();
      one["layers"] = entry.file->signatures.layers.size();
      one["machinery"] = entry.file->origin.machinery;
      one["statistics_version"] = entry.file->origin.statistics_version;
    }
    json["entries"].push_back(std::move(one));
  }
  return json;
}

}  // namespace repsim::report
