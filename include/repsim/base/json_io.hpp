#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace repsim {

/// JSON whose keys keep the order in which they were written: outputs are byte-identical for equal content.
using Json = nlohmann::ordered_json;

/// Parses a file. A key twice in one object is an error. @throws Error{kInput} with file, line and column (in bytes).
[[nodiscard]] Json read_json(const std::filesystem::path& path);
/// The same for text that is in memory already; `file` names it in errors.
[[nodiscard]] Json parse_json(const std::string& text, const std::string& file);

/// Two spaces of indent, final newline, doubles that round-trip. @throws Error{kInternal} on NaN or infinity (write
/// null and a reason instead), Error{kInput} on text that is not UTF-8 (only a path or name given by the user can be
/// that).
[[nodiscard]] std::string to_text(const Json& json);

/// Reads the members of one JSON object; knows where it is, so that every complaint names file and field.
///
///     JsonReader reader(json, "c.json", "models[0]");
///     reader.required("path", path);
///     reader.optional("pad", pad);       // untouched when absent
///     reader.finish();                   // unknown keys: Error with 'did you mean'
///
/// Whole numbers may be written 352 or 352.0; a value of another type, null included, is an error.
/// The reader refers to `json`, which must live as long.
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
  /// One of `choices`; the error lists them, with 'did you mean'.
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
  /// False when the member is absent.
  template <typename Value>
  bool read(const std::string& key, Value& out);
  template <typename Value>
  void read_list(const std::string& key, std::vector<Value>& out);
  [[noreturn]] void missing(const std::string& key) const;

  const Json& json_;
  std::string file_, field_;
  std::set<std::string> known_;
};

}  // namespace repsim
