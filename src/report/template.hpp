#pragma once

#include <string>

#include "repsim/base/json_io.hpp"

namespace repsim::report {

/// Fills a template in. Templates are those of src/report/templates, in the language of mustache(5): {{name}} is a
/// value, made safe for elements and quoted attributes; {{#name}} ... {{/name}} repeats for a list, stands once for an
/// object or a text and not at all for false and null; {{>file.html}} is another template.
/// @param file  its name: "report.html"
/// @param view  what the template shows: texts, true, false, null, and lists and objects of these
/// @throws Error{kInternal} where a template is malformed or uses a name that the view lacks, or where the view holds a
/// number (the view decides how numbers are written)
[[nodiscard]] std::string filled_in(const std::string& file, const Json& view);

/// A view's optional text: null for an empty one.
[[nodiscard]] Json text_or_null(const std::string& text);

}  // namespace repsim::report
