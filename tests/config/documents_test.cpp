// configs/repsim.schema.json and the table of docs/config.md are made from the table of settings. To write them again:
//   REPSIM_WRITE_DOCUMENTS=1 build/release/bin/repsim_plain_tests --gtest_filter='Documents.*'
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "base/temp_folder.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBegin = "<!-- settings: written from the table in include/repsim/settings.hpp -->\n";
constexpr const char* kEnd = "<!-- end of settings -->\n";
constexpr std::size_t kColumns = 120;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// JSON on one line.
std::string on_a_line(const Json& json) {
  if (!json.is_structured() || json.empty()) return json.dump();
  std::string text;
  for (const auto& [key, value] : json.items())
    text += (text.empty() ? "" : ", ") + (json.is_object() ? Json(key).dump() + ": " : "") + on_a_line(value);
  return json.is_object() ? "{" + text + "}" : "[" + text + "]";
}

/// JSON with what fits into a line on one line. @param used  columns before and after it
std::string laid_out(const Json& json, const std::string& indent = "", std::size_t used = 0) {
  std::string line = on_a_line(json);
  if (!json.is_structured() || json.empty() || used + line.size() <= kColumns) return line;
  std::string text;
  for (const auto& [key, value] : json.items()) {
    const std::string name = json.is_object() ? Json(key).dump() + ": " : "";
    text += (text.empty() ? "\n" : ",\n") + indent + "  " + name;
    text += laid_out(value, indent + "  ", indent.size() + 2 + name.size() + 1);
  }
  return (json.is_object() ? "{" : "[") + text + "\n" + indent + (json.is_object() ? "}" : "]");
}

/// Markdown as plain text: links to other pages become the pages' paths, code loses its quotes.
std::string plain(std::string text) {
  text = std::regex_replace(text, std::regex(R"(\[[^\]]*\]\(([^)#]*)[^)]*\))"), "docs/$1");
  if (text[0] != '`') text[0] = static_cast<char>(std::toupper(text[0]));
  text = std::regex_replace(text, std::regex("`"), "");
  return text + (text.back() == '?' ? "" : ".");
}

/// The schema in the repository with the properties that the table says.
Json expected_schema(Json schema) {
  for (const Json& row : describe_settings()) {
    const std::string key = row["key"];
    const std::size_t dot = key.find('.');
    Json* properties = &schema["properties"];
    if (dot != std::string::npos) properties = &(*properties)[key.substr(0, dot)]["properties"];
    Json property = row["schema"];
    if (!row["default"].is_null()) property["default"] = row["default"];
    if (row["default"].is_null() && property.value("type", "") == "integer") property["examples"] = {1};
    property["description"] = plain(row["meaning"]);
    (*properties)[key.substr(dot + 1)] = property;
  }
  return schema;
}

std::string expected_table() {
  std::string table;
  for (const Json& row : describe_settings()) {
    const std::string flag = std::regex_replace(row["flag"].get<std::string>(), std::regex(R"(\|)"), R"(\|)");
    const std::string fallback = row["default"].is_null() ? "" : "`" + row["default"].dump() + "`";
    table += "| `" + row["key"].get<std::string>() + "` | `" + flag + "` | " + row["values"].get<std::string>() +
             " | " + std::regex_replace(fallback, std::regex("\""), "") + " | " + row["meaning"].get<std::string>() +
             " |\n";
  }
  return table;
}

void expect_document(const fs::path& path, const std::string& expected) {
  if (std::getenv("REPSIM_WRITE_DOCUMENTS") != nullptr) test::write_text(path, expected);
  EXPECT_TRUE(text_of(path) == expected)
      << path << " differs from the table of settings; write it again:\n  REPSIM_WRITE_DOCUMENTS=1 "
      << "build/release/bin/repsim_plain_tests --gtest_filter='Documents.*'";
}

TEST(Documents, TheSchemaStatesEveryRow) {
  const fs::path path = fs::path(REPSIM_SOURCE_DIR) / "configs" / "repsim.schema.json";
  expect_document(path, laid_out(expected_schema(Json::parse(text_of(path)))) + "\n");
}

TEST(Documents, ThePageAboutSettingsStatesEveryRow) {
  const fs::path path = fs::path(REPSIM_SOURCE_DIR) / "docs" / "config.md";
  const std::string text = text_of(path);
  const std::size_t begin = text.find(kBegin), end = text.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos);
  const std::size_t head = begin + std::string(kBegin).size();
  const std::string titles = "\n| key | flag | values | default | meaning |\n| --- | --- | --- | --- | --- |\n";
  expect_document(path, text.substr(0, head) + titles + expected_table() + "\n" + text.substr(end));
}

}  // namespace
}  // namespace repsim::config
