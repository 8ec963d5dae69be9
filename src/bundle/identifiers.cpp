#include <cctype>
#include <map>
#include <set>

#include "repsim/base/error.hpp"
#include "repsim/bundle.hpp"

namespace repsim::bundle {
namespace {

/// Words that cannot be attribute names in TorchScript code, and names that the bundle itself uses.
bool is_reserved(const std::string& word) {
  static const std::set<std::string> kReserved = {
      "False",    "None",   "True",  "and",  "as",     "assert",   "async",   "await",    "break", "class",
      "continue", "def",    "del",   "elif", "else",   "except",   "finally", "for",      "from",  "global",
      "if",       "import", "in",    "is",   "lambda", "nonlocal", "not",     "or",       "pass",  "raise",
      "return",   "try",    "while", "with", "yield",  "self",     "forward", "training", "shared"};
  return kReserved.count(word) > 0;
}

std::string identifier(const std::string& name) {
  std::string result;
  for (const char c : name) {
    const bool word = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    result += word && static_cast<unsigned char>(c) < 128 ? c : '_';
  }
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result.front())) != 0)
    result.insert(result.begin(), '_');
  if (is_reserved(result)) result += '_';
  return result;
}

}  // namespace

std::vector<std::string> identifiers(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  std::map<std::string, std::string> owner;
  for (const std::string& name : names) {
    result.push_back(identifier(name));
    const auto [found, fresh] = owner.emplace(result.back(), name);
    if (!fresh) {
      throw input_error("the models '" + found->second + "' and '" + name + "' would both be called '" + result.back() +
                            "' in the bundle",
                        name, "rename one: --model NAME=PATH");
    }
  }
  for (const std::string& one : result) {
    if (const auto found = owner.find("run_" + one); found != owner.end()) {
      throw input_error("the model '" + found->second + "' would have the name of the bundle's method run_" + one,
                        found->second, "rename it: --model NAME=PATH");
    }
  }
  return result;
}

std::vector<StreamMethod> stream_methods(const std::vector<std::string>& streams,
                                         const std::vector<std::vector<ModelIndex>>& models,
                                         const std::vector<std::string>& identifiers) {
  // A method and a submodule of one name exclude each other.
  std::set<std::string> taken(identifiers.begin(), identifiers.end());
  std::vector<StreamMethod> methods;
  for (std::size_t i = 0; i < streams.size(); ++i) {
    std::string method = "forward_" + identifier(streams[i]);
    while (!taken.insert(method).second) method += '_';
    methods.push_back({streams[i], method, models[i]});
  }
  return methods;
}

}  // namespace repsim::bundle
