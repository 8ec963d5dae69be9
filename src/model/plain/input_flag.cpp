#include "repsim/base/text.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::model {
namespace {

std::string channels(const std::array<double, 3>& values) {
  return shortest(values[0]) + ":" + shortest(values[1]) + ":" + shortest(values[2]);
}

}  // namespace

std::string input_flag(const InputSpec& spec) {
  const InputSpec defaults;
  std::string text = std::to_string(spec.width) + "x" + std::to_string(spec.height);
  const auto say = [&](bool differs, const std::string& part) {
    if (differs) text += "," + part;
  };
  say(spec.resize != defaults.resize, to_string(spec.resize));
  say(spec.pad != defaults.pad, "pad=" + std::to_string(spec.pad));
  say(spec.color != defaults.color, to_string(spec.color));
  say(spec.scale != default_scale(spec.dtype), "scale=" + shortest(spec.scale));
  say(spec.mean != defaults.mean, "mean=" + channels(spec.mean));
  say(spec.std != defaults.std, "std=" + channels(spec.std));
  say(spec.kind != defaults.kind, to_string(spec.kind));
  say(spec.layout != defaults.layout, to_string(spec.layout));
  say(spec.dtype != defaults.dtype, to_string(spec.dtype));
  return text;
}

}  // namespace repsim::model
