#include <cctype>
#include <charconv>
#include <cmath>
#include <functional>
#include <set>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/config.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

constexpr const char* kSetForm = "--set key.path=value, for example --set merge.min_fidelity=0.85";
constexpr const char* kInputForm =
    "--input [NAME=]WIDTHxHEIGHT[,rgb][,letterbox][,scale=1/255][,mean=a:b:c][,std=a:b:c][,list][,nhwc][,uint8]";

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t end = text.find(separator); end != std::string::npos; end = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

/// "0.5" or "1/255"; "1/0" is infinite, which no property may be.
std::optional<double> parse_fraction(const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) return parse_number<double>(text);
  const auto numerator = parse_number<double>(std::string_view(text).substr(0, slash));
  const auto denominator = parse_number<double>(std::string_view(text).substr(slash + 1));
  if (!numerator || !denominator) return std::nullopt;
  return *numerator / *denominator;
}

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
    if (!width || !height) fail("'" + part + "' is no size in pixels");
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

std::pair<std::string, model::InputSpec> parse_input_flag(const std::string& text) { return InputFlag(text).parse(); }

std::optional<Direction> parse_direction(const std::string& text) {
  static constexpr std::string_view kArrow = "<-";
  const std::size_t arrow = text.find(kArrow);
  if (arrow == std::string::npos) return std::nullopt;
  Direction direction{text.substr(0, arrow), text.substr(arrow + kArrow.size())};
  if (direction.receiver.empty() || direction.donor.empty()) return std::nullopt;
  if (direction.donor.find(kArrow) != std::string::npos) return std::nullopt;
  return direction;
}

std::optional<std::int64_t> parse_bytes(const std::string& text) {
  double factor = 1;
  std::string number = text;
  if (!number.empty()) {
    const std::string_view suffixes = "KMG";
    const std::size_t at = suffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(number.back()))));
    if (at != std::string_view::npos) {
      factor = at == 0 ? 1e3 : at == 1 ? 1e6 : 1e9;
      number.pop_back();
    }
  }
  double value = 0;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
  constexpr double kMost = 1e15;
  if (failed != std::errc() || end != number.data() + number.size() || !(value * factor >= 1) || value * factor > kMost)
    return std::nullopt;
  return std::llround(value * factor);
}

void apply_min_fidelity(const std::vector<std::string>& flags, Settings& settings) {
  for (const std::string& text : flags) {
    std::size_t equals = text.rfind('=');
    if (equals == std::string::npos) equals = text.rfind(':');
    const std::string number = equals == std::string::npos ? text : text.substr(equals + 1);
    double value = 0;
    const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (failed != std::errc() || end != number.data() + number.size() || equals == 0) {
      throw Error(ErrorKind::kUsage, "'" + text + "' is no fidelity", "--min-fidelity",
                  "--min-fidelity 0.9 for all models, --min-fidelity NAME=0.95 for one");
    }
    if (!std::isfinite(value))
      throw Error(ErrorKind::kUsage, "'" + text + "' is not a finite number", "--min-fidelity");
    if (equals == std::string::npos) {
      settings.min_fidelity = value;
    } else {
      settings.min_fidelity_of[text.substr(0, equals)] = value;
    }
  }
}

}  // namespace repsim::config
