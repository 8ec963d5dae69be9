#include <set>

#include "parse.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/config.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

constexpr const char* kInputForm =
    "--input [NAME=]WIDTHxHEIGHT[,rgb][,letterbox][,scale=1/255][,mean=a:b:c][,std=a:b:c][,list][,nhwc][,uint8]";

/// "0.5" or "1/255"; "1/0" is infinite, which no property may be.
std::optional<double> parse_fraction(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return parse_number<double>(text);
  const auto numerator = parse_number<double>(std::string_view(text).substr(0, slash));
  const auto denominator = parse_number<double>(std::string_view(text).substr(slash + 1));
  if (!numerator || !denominator) return std::nullopt;
  return *numerator / *denominator;
}

/// Everything that one --input flag says, part by part.
class InputFlag {
 public:
  explicit InputFlag(const std::string& text) : text_(text) {}

  std::pair<std::string, model::InputSpec> parse() {
    auto parts = split(text_, ',');
    // The size holds no '=', so one in the first part ends the name.
    const std::size_t equals = parts[0].find('=');
    std::string name;
    if (equals != std::string::npos) {
      name = parts[0].substr(0, equals);
      if (name.empty()) fail("the name before '=' is empty");
      parts[0].erase(0, equals + 1);
    }
    read_size(parts[0]);
    for (std::size_t i = 1; i < parts.size(); ++i) read_part(parts[i]);
    if (seen_.count("scale") == 0) spec_.scale = model::default_scale(spec_.dtype);
    if (const auto problem = problem_of(spec_)) fail(problem->first + ": " + problem->second);
    return {name, spec_};
  }

 private:
  [[noreturn]] void fail(const std::string& problem, const std::string& remedy = kInputForm) const {
    throw Error(ErrorKind::kUsage, problem, "--input " + text_, remedy);
  }

  /// Each property may be given once: "bgr,rgb" is a mistake, not a change of mind.
  void once(const std::string& property) {
    if (!seen_.insert(property).second) fail("the " + property + " is given twice");
  }

  void read_size(const std::string& part) {
    const std::size_t times = part.find('x');
    const auto width = parse_number<std::int64_t>(std::string_view(part).substr(0, times));
    const auto height = times == std::string::npos
                            ? std::nullopt
                            : parse_number<std::int64_t>(std::string_view(part).substr(times + 1));
    if (!width || !height)
      fail("'" + part + "' is no size in pixels",
           std::string("begin with the size, also one that the archive states: ") + kInputForm);
    spec_.width = *width;
    spec_.height = *height;
  }

  void read_part(const std::string& part) {
    const std::size_t equals = part.find('=');
    if (equals != std::string::npos) return read_value(part.substr(0, equals), part.substr(equals + 1));
    if (const auto color = model::parse_color(part)) {
      once("colour order");
      spec_.color = *color;
    } else if (const auto resize = model::parse_resize(part)) {
      once("way to resize");
      spec_.resize = *resize;
    } else if (const auto kind = model::parse_input_kind(part)) {
      once("kind of input");
      spec_.kind = *kind;
    } else if (const auto layout = model::parse_layout(part)) {
      once("layout");
      spec_.layout = *layout;
    } else if (const auto dtype = model::parse_input_dtype(part)) {
      once("dtype");
      spec_.dtype = *dtype;
    } else {
      fail("unknown part '" + part + "'", did_you_mean(part, words()));
    }
  }

  void read_value(const std::string& key, const std::string& value) {
    if (key == "pad") {
      const auto pad = parse_number<std::int64_t>(value);
      if (!pad) fail("pad '" + value + "' is no whole number");
      spec_.pad = *pad;
    } else if (key == "scale") {
      const auto scale = parse_fraction(value);
      if (!scale) fail("scale '" + value + "' is neither a number nor a fraction such as 1/255");
      spec_.scale = *scale;
    } else if (key == "mean") {
      spec_.mean = channels(key, value);
    } else if (key == "std") {
      spec_.std = channels(key, value);
    } else {
      fail("unknown part '" + key + "='", did_you_mean(key, words()));
    }
    once(key);
  }

  std::array<double, 3> channels(const std::string& key, const std::string& value) const {
    const auto parts = split(value, ':');
    std::array<double, 3> numbers{};
    if (parts.size() != numbers.size())
      fail(key + " '" + value + "' has " + std::to_string(parts.size()) + " numbers, not 3");
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto number = parse_fraction(parts[i]);
      if (!number) fail(key + " '" + parts[i] + "' is no number");
      numbers[i] = *number;
    }
    return numbers;
  }

  static std::vector<std::string> words() {
    std::vector<std::string> all{"pad", "scale", "mean", "std"};
    for (const auto& names : {model::color_names(), model::resize_names(), model::input_kind_names(),
                              model::layout_names(), model::input_dtype_names()}) {
      all.insert(all.end(), names.begin(), names.end());
    }
    return all;
  }

  std::string text_;
  model::InputSpec spec_;
  std::set<std::string> seen_;
};

}  // namespace

std::pair<std::string, model::InputSpec> parse_input_flag(const std::string& text) { return InputFlag(text).parse(); }

}  // namespace repsim::config
