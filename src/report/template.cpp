#include "template.hpp"

#include <algorithm>
#include <kainjow/mustache.hpp>
#include <map>

#include "repsim/base/error.hpp"
#include "template_files.hpp"

namespace repsim::report {
namespace {

namespace mustache = kainjow::mustache;

Error template_error(const std::string& problem, const std::string& file) {
  return {ErrorKind::kInternal, problem, "template " + file};
}

std::string text_of(const std::string& file) {
  const auto files = template_files();
  const auto found = std::find_if(files.begin(), files.end(), [&](const auto& one) { return one.name == file; });
  if (found == files.end()) throw template_error("there is no such template", file);
  return std::string(found->text);
}

mustache::data data_of(const Json& value) {
  if (value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    mustache::list list;
    for (const Json& item : value) list.push_back(data_of(item));
    return list;
  }
  if (!value.is_object()) throw Error(ErrorKind::kInternal, "a template's view holds the number " + value.dump());
  mustache::object object;
  for (const auto& [name, member] : value.items()) object.emplace(name, data_of(member));
  return object;
}

/// A name that the view lacks is an error; the library alone would print nothing.
class StrictContext : public mustache::context<std::string> {
 public:
  StrictContext(const mustache::data& view, std::string file) : context(&view), file_(std::move(file)) {}

  [[nodiscard]] const mustache::data* get(const std::string& name) const override {
    const mustache::data* found = context::get(name);
    if (found == nullptr) throw template_error("the view has no '" + name + "'", file_);
    return found;
  }

  [[nodiscard]] const mustache::data* get_partial(const std::string& name) const override {
    const auto known = partials_.find(name);
    return known != partials_.end() ? &known->second : &partials_.emplace(name, text_of(name)).first->second;
  }

 private:
  std::string file_;
  mutable std::map<std::string, mustache::data> partials_;
};

}  // namespace

std::string filled_in(const std::string& file, const Json& view) {
  mustache::mustache page(text_of(file));
  if (!page.is_valid()) throw template_error(page.error_message(), file);
  const mustache::data data = data_of(view);
  StrictContext context(data, file);
  std::string text = page.render(context);
  if (!page.is_valid()) throw template_error(page.error_message(), file);
  return text;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace repsim::report
