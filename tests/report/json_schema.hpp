#pragma once

#include <set>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"

namespace repsim::test {

/// The part of JSON Schema (draft 2020-12) that plan.schema.json uses. A keyword that it does not know is a complaint,
/// so that the schema cannot outgrow it unnoticed.
class JsonSchema {
 public:
  explicit JsonSchema(Json root) : root_(std::move(root)) {}

  [[nodiscard]] std::vector<std::string> complaints(const Json& value) const {
    std::vector<std::string> found;
    check(root_, value, "", found);
    return found;
  }

 private:
  static bool has_type(const Json& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "integer") return value.is_number_integer();
    if (type == "number") return value.is_number();
    return type == "null" && value.is_null();
  }

  static bool is_sha256(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  }

  void check(const Json& schema, const Json& value, const std::string& at, std::vector<std::string>& found) const {
    const auto complain = [&](const std::string& what) { found.push_back(at + ": " + what); };
    for (const auto& [keyword, rule] : schema.items()) {
      if (keyword == "$ref") {
        check(root_.at(Json::json_pointer(rule.get<std::string>().substr(1))), value, at, found);
      } else if (keyword == "type") {
        bool fits = false;
        for (const Json& type : rule.is_array() ? rule : Json::array({rule})) fits = fits || has_type(value, type);
        if (!fits) complain("is not of type " + rule.dump());
      } else if (keyword == "const") {
        if (value != rule) complain("is not " + rule.dump());
      } else if (keyword == "enum") {
        bool listed = false;
        for (const Json& word : rule) listed = listed || word == value;
        if (!listed) complain("is not in " + rule.dump());
      } else if (keyword == "pattern") {
        if (rule != "^[0-9a-f]{64}$") complain("the schema has an unknown pattern " + rule.dump());
        if (value.is_string() && !is_sha256(value.get<std::string>())) complain("is no SHA-256");
      } else if (keyword == "required") {
        for (const Json& key : rule) {
          if (value.is_object() && !value.contains(key.get<std::string>())) complain("lacks " + key.dump());
        }
      } else if (keyword == "properties") {
        check_members(schema, value, at, found);
      } else if (keyword == "items" || keyword == "minItems" || keyword == "maxItems" || keyword == "uniqueItems") {
        check_list(keyword, rule, value, at, found);
      } else if (keyword == "oneOf") {
        int fitting = 0;
        for (const Json& choice : rule) {
          std::vector<std::string> inner;
          check(choice, value, at, inner);
          fitting += inner.empty() ? 1 : 0;
        }
        if (fitting != 1) complain("fits " + std::to_string(fitting) + " choices");
      } else if (value.is_number() && (keyword == "minimum" || keyword == "exclusiveMinimum" || keyword == "maximum" ||
                                       keyword == "exclusiveMaximum")) {
        check_bound(keyword, rule.get<double>(), value.get<double>(), at, found);
      } else if (kSilent.count(keyword) == 0) {
        complain("the schema has an unknown keyword " + keyword);
      }
    }
  }

  void check_members(const Json& schema, const Json& value, const std::string& at,
                     std::vector<std::string>& found) const {
    if (!value.is_object()) return;
    for (const auto& [key, member] : value.items()) {
      if (schema.at("properties").contains(key)) {
        check(schema.at("properties").at(key), member, std::string(at).append("/").append(key), found);
      } else if (schema.value("additionalProperties", true) == false) {
        found.push_back(std::string(at).append(": has the unknown key ").append(key));
      }
    }
  }

  void check_list(const std::string& keyword, const Json& rule, const Json& value, const std::string& at,
                  std::vector<std::string>& found) const {
    if (!value.is_array()) return;
    if (keyword == "items") {
      for (std::size_t i = 0; i < value.size(); ++i) check(rule, value[i], at + "/" + std::to_string(i), found);
    } else if (keyword == "uniqueItems") {
      if (std::set<Json>(value.begin(), value.end()).size() != value.size()) found.push_back(at + ": repeats an item");
    } else {
      const bool fits =
          keyword == "minItems" ? value.size() >= rule.get<std::size_t>() : value.size() <= rule.get<std::size_t>();
      if (!fits) found.push_back(at + ": " + keyword);
    }
  }

  static void check_bound(const std::string& keyword, double bound, double value, const std::string& at,
                          std::vector<std::string>& found) {
    const bool fits = keyword == "minimum"            ? value >= bound
                      : keyword == "exclusiveMinimum" ? value > bound
                      : keyword == "maximum"          ? value <= bound
                                                      : value < bound;
    if (!fits) found.push_back(at + ": " + keyword);
  }

  /// Keywords that only tell, are read by another keyword, or bound numbers where the value is none.
  inline static const std::set<std::string> kSilent{"$schema",
                                                    "$id",
                                                    "$defs",
                                                    "title",
                                                    "description",
                                                    "minimum",
                                                    "maximum",
                                                    "exclusiveMinimum",
                                                    "exclusiveMaximum",
                                                    "additionalProperties"};
  Json root_;
};

}  // namespace repsim::test
