#pragma once

#include <span>
#include <string_view>

namespace repsim::report {

/// A file of src/report/templates, which the build makes part of the program (cmake/EmbedTemplates.cmake).
struct TemplateFile {
  std::string_view name;  ///< without its folder: "report.html"
  std::string_view text;
};

[[nodiscard]] std::span<const TemplateFile> template_files();

}  // namespace repsim::report
