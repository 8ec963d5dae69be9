#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace repsim {

/// JSON whose keys keep the order in which they were written: outputs are byte-identical for equal content.
using Json = nlohmann::ordered_json;

/// Parses a file. @throws Error{kInput} with file, line and column.
[[nodiscard]] Json read_json(const std::filesystem::path& path);

/// Two spaces of indent, final newline, doubles that round-trip. @throws Error{kInternal} on NaN or infinity: write null
/// and a reason instead.
[[nodiscard]] std::string to_text(const Json& json);

/// Reads the members of one JSON object; knows where it is, so that every complaint names file and field.
///
///     JsonReader reader(json, "c.json", "models[0]");
///     reader.required("path", path);
///     reader.optional("pad", pad);       // untouched when absent
///     reader.finish();                   // unknown keys: Error with 'did you mean'
class JsonReader {
 public:
  /// @throws Error{kInput} when `json` is no object
  JsonReader(const Json& json, std::string file, std::string field = {});

  [[nodiscard]] bool has(const std::string& key) const;
  void required(const std::string& key, std::string& out);
  void required(const std::string& key, std::int64_t& out);
  void required(const std::string& key, double& out);
  void optional(const std::string& key, std::string& out);
  void optional(const std::string& key, std::int64_t& out);
  void optional(const std::string& key, double& out);  ///< any finite number
  void optional(const std::string& key, bool& out);
  void optional(const std::string& key, std::vector<std::string>& out);
  void optional(const std::string& key, std::vector<double>& out);
  void optional(const std::string& key, std::vector<std::int64_t>& out);
  /// One of `choices`; the error lists them with 'did you mean'.
  void optional(const std::string& key, std::string& out, const std::vector<std::string>& choices);
  /// The member as raw JSON (for nested readers), marked as known; null pointer when absent.
  [[nodiscard]] const Json* child(const std::string& key);
  /// "file" and "models[0].input" for a member, as errors print them.
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::string path_of(const std::string& key) const;
  /// Throws Error{kInput} at a member: where = "c.json: models[0].input.width".
  [[noreturn]] void fail(const std::string& key, const std::string& problem, const std::string& remedy = {}) const;
  /// @throws Error{kInput} on the first key that was never asked for
  void finish() const;

 private:
  const Json& json_;
  std::string file_, field_;
  std::set<std::string> known_;
};

}  // namespace repsim
