#include "repsim/findings.hpp"

#include <algorithm>

#include "repsim/base/text.hpp"
#include "template.hpp"

namespace repsim::report {
namespace {

using Level = Finding::Level;

/// The escapes of GitHub's workflow commands (actions/toolkit, packages/core/src/command.ts): data, and properties,
/// which end at a comma or colon.
std::string github_escaped(const std::string& text, bool is_property) {
  std::string safe;
  for (const char c : text) {
    if (c == '%')
      safe += "%25";
    else if (c == '\r')
      safe += "%0D";
    else if (c == '\n')
      safe += "%0A";
    else if (is_property && c == ':')
      safe += "%3A";
    else if (is_property && c == ',')
      safe += "%2C";
    else
      safe += c;
  }
  return safe;
}

/// Without the control characters that no XML 1.0 document may hold, even as references.
std::string xml_characters(const std::string& text) {
  std::string kept;
  std::copy_if(text.begin(), text.end(), std::back_inserter(kept), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 || c == '\t' || c == '\n' || c == '\r';
  });
  return kept;
}

std::string label_escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\\' || c == '"') safe += '\\';
    safe += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return safe;
}

}  // namespace

std::string github_annotations(const Findings& findings) {
  std::string text;
  for (const Finding& finding : findings.findings) {
    if (finding.level == Level::kPassed) continue;
    const char* command = finding.level == Level::kError     ? "error"
                          : finding.level == Level::kWarning ? "warning"
                                                             : "notice";
    text += std::string("::") + command + " file=" + github_escaped(findings.file, true) +
            ",title=" + github_escaped("repsim " + findings.command + ": " + finding.name, true) +
            "::" + github_escaped(finding.message, false) + "\n";
  }
  return text;
}

std::string junit_xml(const Findings& findings) {
  const auto failures = std::count_if(findings.findings.begin(), findings.findings.end(),
                                      [](const Finding& one) { return one.level == Level::kError; });
  Json cases = Json::array();
  for (const Finding& finding : findings.findings) {
    const bool is_error = finding.level == Level::kError;
    const std::string message = xml_characters(finding.message);
    cases.push_back({{"name", xml_characters(finding.name)},
                     {"suite", "repsim." + findings.command},
                     {"failure", is_error ? Json{{"message", message}} : Json()},
                     {"output", is_error ? Json() : text_or_null(message)}});
  }
  return filled_in("junit.xml", {{"suite", "repsim." + findings.command},
                                 {"tests", std::to_string(findings.findings.size())},
                                 {"failures", std::to_string(failures)},
                                 {"file", xml_characters(findings.file)},
                                 {"cases", cases}});
}

std::string openmetrics(const Findings& findings) {
  std::string text, name;
  for (const Metric& metric : findings.metrics) {
    if (metric.name != name) {
      name = metric.name;
      text += "# TYPE " + name + " gauge\n# HELP " + name + " " + metric.help + "\n";
    }
    text += name + (metric.model.empty() ? "" : "{model=\"" + label_escaped(metric.model) + "\"}") + " " +
            shortest(metric.value) + "\n";
  }
  return text + "# EOF\n";
}

}  // namespace repsim::report
