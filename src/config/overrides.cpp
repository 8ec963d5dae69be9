#include "parse.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"

namespace repsim::config {
namespace {

constexpr const char* kSetForm = "--set key.path=value, for example --set merge.min_fidelity=0.85";

/// Steps into one element of a list. @throws Error{kUsage}
Json& element_of(Json& list, const std::string& key, const std::string& assignment) {
  const auto index = parse_number<std::size_t>(key);
  if (!index || *index >= list.size()) {
    const std::string known = list.empty() ? "the list is empty" : "0 to " + std::to_string(list.size() - 1);
    throw Error(ErrorKind::kUsage, "'" + key + "' is no element of a list of " + std::to_string(list.size()),
                "--set " + assignment, known);
  }
  return list[*index];
}

}  // namespace

void apply_override(Json& config, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorKind::kUsage, "'" + assignment + "' is no assignment", "--set", kSetForm);
  }
  Json* target = &config;
  for (const std::string& key : split(assignment.substr(0, equals), '.')) {
    if (key.empty()) throw Error(ErrorKind::kUsage, "a part of the key is empty", "--set " + assignment, kSetForm);
    if (target->is_array()) {
      target = &element_of(*target, key, assignment);
    } else if (target->is_object() || target->is_null()) {
      target = &(*target)[key];
    } else {
      throw Error(ErrorKind::kUsage, "'" + key + "' is no member: what comes before it is a plain value",
                  "--set " + assignment, kSetForm);
    }
  }
  const std::string text = assignment.substr(equals + 1);
  Json value = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  *target = value.is_discarded() ? Json(text) : std::move(value);
}

}  // namespace repsim::config
