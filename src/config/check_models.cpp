#include <algorithm>
#include <cmath>

#include "repsim/base/text.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

constexpr std::int64_t kMaxSide = 8192;
constexpr std::int64_t kMaxPad = 255;

/// Names are written in flags (NAME=PATH, NAME=320x240, A<-B) and in tables.
bool is_model_name(const std::string& name) {
  const auto unfit = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' || byte == 0x7f || c == '=' || c == ',' || c == '<' || c == '>';
  };
  return !name.empty() && std::none_of(name.begin(), name.end(), unfit);
}

void check_ssd(const model::SsdOptions& options, const std::string& field, const Complain& complain) {
  for (const double variance : options.variances) {
    if (!std::isfinite(variance) || variance <= 0) {
      complain(field + "variances", "the value " + shortest(variance) + " is not above 0", "for example [0.1, 0.2]");
    }
  }
  if (!options.priors) return;
  const model::Priors& priors = *options.priors;
  const std::string where = field + "priors";
  if (priors.strides.empty() || priors.strides.size() != priors.min_sizes.size()) {
    complain(where,
             std::to_string(priors.min_sizes.size()) + " levels of min_sizes for " +
                 std::to_string(priors.strides.size()) + " strides",
             "one list of sizes per stride");
  }
  for (const std::int64_t stride : priors.strides) {
    if (stride < 1 || stride > kMaxSide) {
      complain(where + ".strides", "the value is " + std::to_string(stride) + ", not 1 to " + std::to_string(kMaxSide),
               "");
    }
  }
  for (const auto& level : priors.min_sizes) {
    if (level.empty()) complain(where + ".min_sizes", "a level has no sizes", "one list of sizes per stride");
    for (const double size : level) {
      if (!std::isfinite(size) || size <= 0) {
        complain(where + ".min_sizes", "the size " + shortest(size) + " is not above 0", "pixels of the input");
      }
    }
  }
}

}  // namespace

std::string model_field(std::size_t index) { return "models[" + std::to_string(index) + "]"; }

std::optional<std::pair<std::string, std::string>> problem_of(const model::InputSpec& spec) {
  const auto bad_side = [](std::int64_t side) { return side < 1 || side > kMaxSide; };
  const auto side_problem = [](std::int64_t side) {
    return "the value is " + std::to_string(side) + ", not 1 to " + std::to_string(kMaxSide) + " pixels";
  };
  if (bad_side(spec.width)) return std::pair("width", side_problem(spec.width));
  if (bad_side(spec.height)) return std::pair("height", side_problem(spec.height));
  if (spec.pad < 0 || spec.pad > kMaxPad)
    return std::pair("pad", "the value is " + std::to_string(spec.pad) + ", not 0 to 255");
  if (!std::isfinite(spec.scale) || spec.scale == 0) return std::pair("scale", "the value is 0 or not finite");
  for (std::size_t channel = 0; channel < spec.mean.size(); ++channel) {
    if (!std::isfinite(spec.mean[channel])) return std::pair("mean", "a value is not finite");
    if (!std::isfinite(spec.std[channel]) || spec.std[channel] == 0) {
      return std::pair("std", "a value is 0 or not finite");
    }
  }
  if (spec.dtype == model::InputDtype::kUint8) {
    // Levels that were scaled or centred are no bytes any more: rounding them would feed something nobody asked for.
    const std::string rule = " is given with the dtype uint8, which takes the pixels as they are";
    if (spec.scale != 1) return std::pair("scale", "a scale" + rule);
    if (spec.mean != model::InputSpec{}.mean) return std::pair("mean", "a mean" + rule);
    if (spec.std != model::InputSpec{}.std) return std::pair("std", "a deviation" + rule);
  }
  return std::nullopt;
}

void check_models(const Settings& settings, const Complain& complain) {
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const model::ModelSpec& spec = settings.models[i];
    const std::string field = model_field(i);
    if (!is_model_name(spec.name)) {
      complain(field + ".name", "'" + spec.name + "' cannot be a model's name",
               "a name without any of = , < > and without control characters: --model NAME=" + spec.path);
    }
    const auto same = [&](const model::ModelSpec& other) { return other.name == spec.name; };
    const auto end = settings.models.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(settings.models.begin(), end, same)) {
      complain(field + ".name", "two models are named '" + spec.name + "'",
               "name one of them: --model NAME=" + spec.path);
    }
    if (spec.path.empty()) complain(field + ".path", "the path is empty", "the path of a TorchScript file");
    if (spec.input) {
      if (const auto problem = problem_of(*spec.input))
        complain(field + ".input." + problem->first, problem->second, "");
    }
    check_ssd(spec.output.ssd, field + ".output.", complain);
    const double threshold = spec.output.score_threshold;
    if (!(threshold > 0 && threshold < 1)) {
      complain(field + ".output.score_threshold", "the value is " + shortest(threshold) + ", not between 0 and 1", "");
    }
  }
}

}  // namespace repsim::config
