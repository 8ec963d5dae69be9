#include "repsim/base/json_io.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <sstream>
#include <utility>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"

namespace repsim {
namespace {

/// What reads JSON calls itself for every level, and a thread's stack ends.
constexpr int kMostLevels = 500;

/// "c.json: line 3, column 7" for the byte before `end`.
std::string place_of(const std::string& text, std::size_t end, const std::string& file) {
  const std::string before = text.substr(0, end == 0 ? 0 : end - 1);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string::npos ? before.size() + 1 : before.size() - newline;
  return file + ": line " + std::to_string(line) + ", column " + std::to_string(column);
}

/// The parser's message without its id and position, short and printable whatever the file holds.
std::string complaint(const std::string& what) {
  constexpr std::size_t kLongest = 160;
  std::size_t begin = what.find("] ");
  begin = begin == std::string::npos ? 0 : begin + 2;
  if (what.compare(begin, 11, "parse error") == 0) {
    const std::size_t colon = what.find(": ", begin);
    if (colon != std::string::npos) begin = colon + 2;
  }
  std::string text = what.substr(begin, kLongest);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (what.size() - begin > kLongest) text += "...";
  return "is no valid JSON: " + text;
}

/// Throws on the second key of the same name in one object; the parser itself keeps the last one silently.
class DuplicateKeys {
 public:
  /// @return the key, when it was there before
  const std::string* see(Json::parse_event_t event, const Json& parsed) {
    if (event == Json::parse_event_t::object_start) {
      open_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      open_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto [key, first] = open_.back().insert(parsed.get_ref<const std::string&>());
      if (!first) return &*key;
    }
    return nullptr;
  }

 private:
  std::vector<std::set<std::string>> open_;
};

const char* kind_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "a list";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "true or false";
    default:
      return "a number";
  }
}

void check_finite(const Json& json, const std::string& path) {
  if (json.is_number_float() && !std::isfinite(json.get<double>())) {
    throw Error(ErrorKind::kInternal, "a number that is not finite cannot be written as JSON", path);
  }
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) check_finite(value, path.empty() ? key : path + "." + key);
  } else if (json.is_array()) {
    std::size_t index = 0;
    for (const Json& value : json) check_finite(value, path + "[" + std::to_string(index++) + "]");
  }
}

// Converts a member to the type of the variable. Each returns the error text, or sets `out` and returns an empty one.

std::string take(const Json& value, std::string& out) {
  if (!value.is_string()) return std::string("expected a string, got ") + kind_of(value);
  out = value.get<std::string>();
  if (out.find('\0') != std::string::npos) return "the text has a NUL character, and is cut there by the system";
  return {};
}

std::string take(const Json& value, bool& out) {
  if (!value.is_boolean()) return std::string("expected true or false, got ") + kind_of(value);
  out = value.get<bool>();
  return {};
}

std::string take(const Json& value, double& out) {
  if (!value.is_number()) return std::string("expected a number, got ") + kind_of(value);
  out = value.get<double>();
  return {};
}

std::string take(const Json& value, std::int64_t& out) {
  if (!value.is_number()) return std::string("expected a whole number, got ") + kind_of(value);
  if (value.is_number_float()) {
    constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it a double stands for several integers
    const double number = value.get<double>();
    if (number != std::floor(number)) return "expected a whole number, got " + value.dump();
    if (std::abs(number) > kExact) return "the number " + value.dump() + " is too large";
    out = static_cast<std::int64_t>(number);
    return {};
  }
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > kMost) {
    return "the number " + value.dump() + " is too large";
  }
  out = value.get<std::int64_t>();
  return {};
}

}  // namespace

Json parse_json(const std::string& text, const std::string& file) {
  std::istringstream stream(text);  // knows how far the parser is
  const auto position = [&] { return stream.good() ? static_cast<std::size_t>(stream.tellg()) : text.size(); };
  DuplicateKeys duplicates;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMostLevels)
      throw input_error("lists and objects lie more than " + std::to_string(kMostLevels) + " levels inside one another",
                        place_of(text, position(), file), "correct it there");
    if (const std::string* key = duplicates.see(event, parsed)) {
      throw input_error("the key '" + *key + "' is there twice in one object", place_of(text, position(), file),
                        "remove one of them");
    }
    return true;
  };
  try {
    return Json::parse(stream, watch);
  } catch (const Json::parse_error& error) {
    throw input_error(complaint(error.what()), place_of(text, error.byte, file), "correct it there");
  } catch (const Json::exception& error) {
    throw input_error(complaint(error.what()), place_of(text, position(), file), "correct it there");
  }
}

Json read_json(const std::filesystem::path& path) { return parse_json(read_file(path), path.string()); }

std::string to_text(const Json& json) {
  check_finite(json, "");
  try {
    return json.dump(2) + "\n";
  } catch (const Json::exception& error) {
    throw input_error(std::string("a name or path cannot be written as JSON: ") + error.what(), "",
                      "rename it to valid UTF-8");
  }
}

JsonReader::JsonReader(const Json& json, std::string file, std::string field)
    : json_(json), file_(std::move(file)), field_(std::move(field)) {
  if (!json_.is_object()) fail("", std::string("expected an object, got ") + kind_of(json_));
}

bool JsonReader::has(const std::string& key) const { return json_.contains(key); }

const Json* JsonReader::child(const std::string& key) {
  known_.insert(key);
  const auto found = json_.find(key);
  return found == json_.end() ? nullptr : &*found;
}

std::string JsonReader::path_of(const std::string& key) const {
  if (field_.empty() || key.empty()) return field_ + key;
  return field_ + "." + key;
}

void JsonReader::fail(const std::string& key, const std::string& problem, const std::string& remedy) const {
  const std::string path = path_of(key);
  throw input_error(problem, path.empty() ? file_ : file_ + ": " + path, remedy);
}

template <typename Value>
bool JsonReader::read(const std::string& key, Value& out) {
  const Json* member = child(key);
  if (member == nullptr) return false;
  if (const std::string problem = take(*member, out); !problem.empty()) fail(key, problem);
  return true;
}

template <typename Value>
void JsonReader::read_list(const std::string& key, std::vector<Value>& out) {
  const Json* member = child(key);
  if (member == nullptr) return;
  if (!member->is_array()) fail(key, std::string("expected a list, got ") + kind_of(*member));
  std::vector<Value> values(member->size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string problem = take((*member)[i], values[i]);
    if (!problem.empty()) fail(key + "[" + std::to_string(i) + "]", problem);
  }
  out = std::move(values);
}

void JsonReader::missing(const std::string& key) const { fail(key, "the key is missing", "add \"" + key + "\""); }

void JsonReader::required(const std::string& key, std::string& out) {
  if (!read(key, out)) missing(key);
}
void JsonReader::required(const std::string& key, std::int64_t& out) {
  if (!read(key, out)) missing(key);
}
void JsonReader::required(const std::string& key, double& out) {
  if (!read(key, out)) missing(key);
}
void JsonReader::optional(const std::string& key, std::string& out) { read(key, out); }
void JsonReader::optional(const std::string& key, std::int64_t& out) { read(key, out); }
void JsonReader::optional(const std::string& key, double& out) { read(key, out); }
void JsonReader::optional(const std::string& key, bool& out) { read(key, out); }
void JsonReader::optional(const std::string& key, std::vector<std::string>& out) { read_list(key, out); }
void JsonReader::optional(const std::string& key, std::vector<double>& out) { read_list(key, out); }
void JsonReader::optional(const std::string& key, std::vector<std::int64_t>& out) { read_list(key, out); }

void JsonReader::optional(const std::string& key, std::string& out, const std::vector<std::string>& choices) {
  std::string value;
  if (!read(key, value)) return;
  if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
    std::string list;
    for (const std::string& choice : choices) list += (list.empty() ? "" : ", ") + choice;
    const auto match = closest(value, choices);
    fail(key, "'" + value + "' is none of " + list, match ? "did you mean '" + *match + "'?" : "use one of these");
  }
  out = value;
}

void JsonReader::finish() const {
  const std::vector<std::string> known(known_.begin(), known_.end());
  for (const auto& [key, value] : json_.items()) {
    if (known_.count(key) == 0) fail(key, "unknown key", did_you_mean(key, known));
  }
}

}  // namespace repsim
