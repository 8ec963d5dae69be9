#include "model_flags.hpp"

#include <algorithm>
#include <set>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"

namespace repsim::cli {
namespace {

/// One flag with an optional name before its value.
template <typename Value>
struct Named {
  std::string name;  ///< empty: every model
  Value value;
};

/// Calls `apply(index, value)` for every model that a flag speaks about, general flags first.
template <typename Value, typename Apply>
void apply_named(const std::string& flag, std::vector<Named<Value>> given, const std::vector<model::ModelSpec>& models,
                 const Apply& apply) {
  std::vector<std::string> names;
  for (const auto& spec : models) names.push_back(spec.name);
  std::set<std::string> seen;
  for (const auto& [name, value] : given) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) {
      throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", flag, did_you_mean(name, names));
    }
    if (!seen.insert(name).second) {
      const std::string whom = name.empty() ? "every model" : "model '" + name + "'";
      throw Error(ErrorKind::kUsage, "this flag is given twice for " + whom, flag, "keep one of them");
    }
  }
  std::stable_partition(given.begin(), given.end(), [](const Named<Value>& one) { return one.name.empty(); });
  for (const auto& [name, value] : given) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      if (name.empty() || models[i].name == name) apply(i, value);
    }
  }
}

}  // namespace

NamedPath parse_named_path(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw Error(ErrorKind::kUsage, "'" + text + "' is not NAME=PATH", "--model", "--model front=detector.pt");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void check_unique(const std::vector<NamedPath>& models) {
  for (std::size_t i = 0; i < models.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (models[i].name != models[j].name) continue;
      throw Error(ErrorKind::kUsage, "two models are named '" + models[i].name + "'",
                  models[j].path + ", " + models[i].path,
                  "give one a name of your own: --model NAME=" + models[i].path);
    }
  }
}

void apply_inputs(const std::vector<std::string>& texts, std::vector<model::ModelSpec>& models,
                  std::vector<std::string>& sources) {
  std::vector<Named<model::InputSpec>> given;
  for (const auto& text : texts) {
    auto [name, spec] = config::parse_input_flag(text);
    given.push_back({std::move(name), spec});
  }
  apply_named("--input", std::move(given), models, [&](std::size_t index, const model::InputSpec& spec) {
    models[index].input = spec;
    sources[index] = "flags";
  });
}

void apply_formats(const std::vector<std::string>& texts, std::vector<model::ModelSpec>& models) {
  std::vector<Named<model::OutputFormat>> given;
  for (const auto& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = equals == std::string::npos ? "" : text.substr(0, equals);
    const std::string word = equals == std::string::npos ? text : text.substr(equals + 1);
    const auto format = model::parse_output_format(word);
    if (!format) {
      throw Error(ErrorKind::kUsage, "unknown format '" + word + "'", "--format",
                  did_you_mean(word, model::output_format_names()));
    }
    given.push_back({name, *format});
  }
  apply_named("--format", std::move(given), models,
              [&](std::size_t index, model::OutputFormat format) { models[index].output.format = format; });
}

std::string input_help() {
  return "How frames become the model's input: WIDTHxHEIGHT, then any of ,rgb ,letterbox ,crop ,pad=114 ,scale=1/255 "
         ",mean=a:b:c ,std=a:b:c ,list ,nhwc ,uint8 ,float16 (what is not named: bgr, stretch, scale=1/255 (uint8: 1), "
         "mean 0, std 1, one batch tensor, nchw, float32)";
}

std::string format_list() { return join(model::output_format_names(), ", "); }

}  // namespace repsim::cli
