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

/// Parses a JSON file. @throws Error{kInput} with file, line and column (in bytes) when it cannot be read, is no JSON
/// or has a key twice in one object
[[nodiscard]] Json read_json(const std::filesystem::path& path);
/// Parses JSON text. @param file  its name in errors
/// @throws Error{kInput} as read_json() does
[[nodiscard]] Json parse_json(const std::string& text, const std::string& file);

/// JSON as text with two spaces of indent and a final newline. Doubles read back equal.
/// @throws Error{kInternal} on NaN or infinity (write null and a reason instead), Error{kInput} on text that is not
/// UTF-8
///         (only a path or name from the user can be)
[[nodiscard]] std::string to_text(const Json& json);

/// Reads the members of one JSON object. Errors name the file and the field.
///
///     JsonReader reader(json, "c.json", "models[0]");
///     reader.required("path", path);
///     reader.optional("pad", pad);       // unchanged when absent
///     reader.finish();                   // unknown keys: Error with 'did you mean'
///
/// Whole numbers may be written 352 or 352.0. A value of another type, null included, is an error.
/// `json` must outlive the reader.
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
  /// Reads one of `choices`. The error for any other value lists them, with 'did you mean'.
  void optional(const std::string& key, std::string& out, const std::vector<std::string>& choices);
  /// The member as JSON, for nested readers; null pointer when absent. The key counts as known.
  [[nodiscard]] const Json* child(const std::string& key);
  /// The file's name, and a member's path in it ("models[0].input"), in the form of errors.
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::string path_of(const std::string& key) const;
  /// Throws an Error{kInput} about a member, with where = "c.json: models[0].input.width".
  [[noreturn]] void fail(const std::string& key, const std::string& problem, const std::string& remedy = {}) const;
  /// @throws Error{kInput} at the first key that nothing asked for
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
