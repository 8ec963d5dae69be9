#include "repsim/model_spec.hpp"

namespace repsim::model {
namespace {

template <typename Enum, std::size_t kCount>
const char* word_of(const std::array<Word<Enum>, kCount>& words, Enum value) {
  for (const auto& entry : words) {
    if (entry.value == value) return entry.word;
  }
  return "?";  // no enumerator: only a cast can make one
}

template <typename Enum, std::size_t kCount>
std::optional<Enum> value_of(const std::array<Word<Enum>, kCount>& words, std::string_view word) {
  for (const auto& entry : words) {
    if (entry.word == word) return entry.value;
  }
  return std::nullopt;
}

template <typename Enum, std::size_t kCount>
std::vector<std::string> all_words(const std::array<Word<Enum>, kCount>& words) {
  std::vector<std::string> names;
  for (const auto& entry : words) names.emplace_back(entry.word);
  return names;
}

}  // namespace

const char* to_string(Resize value) { return word_of(kResizeWords, value); }
const char* to_string(Color value) { return word_of(kColorWords, value); }
const char* to_string(InputKind value) { return word_of(kInputKindWords, value); }
const char* to_string(Layout value) { return word_of(kLayoutWords, value); }
const char* to_string(InputDtype value) { return word_of(kInputDtypeWords, value); }
const char* to_string(OutputFormat value) { return word_of(kOutputFormatWords, value); }
const char* to_string(BoxUnits value) { return word_of(kBoxUnitsWords, value); }
const char* to_string(ScoreKind value) { return word_of(kScoreKindWords, value); }
const char* to_string(Background value) { return word_of(kBackgroundWords, value); }

const char* layout_of(OutputFormat value) {
  switch (value) {
#define REPSIM_OUTPUT_FORMAT(name, word, layout) \
  case OutputFormat::k##name:                    \
    return layout;
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT
    case OutputFormat::kTensor:
      return "any tensors";
    case OutputFormat::kAuto:
      break;
  }
  return "any of the formats";
}

std::optional<Resize> parse_resize(std::string_view word) { return value_of(kResizeWords, word); }
std::optional<Color> parse_color(std::string_view word) { return value_of(kColorWords, word); }
std::optional<InputKind> parse_input_kind(std::string_view word) { return value_of(kInputKindWords, word); }
std::optional<Layout> parse_layout(std::string_view word) { return value_of(kLayoutWords, word); }
std::optional<InputDtype> parse_input_dtype(std::string_view word) { return value_of(kInputDtypeWords, word); }
std::optional<OutputFormat> parse_output_format(std::string_view word) { return value_of(kOutputFormatWords, word); }
std::optional<BoxUnits> parse_box_units(std::string_view word) { return value_of(kBoxUnitsWords, word); }
std::optional<ScoreKind> parse_score_kind(std::string_view word) { return value_of(kScoreKindWords, word); }
std::optional<Background> parse_background(std::string_view word) { return value_of(kBackgroundWords, word); }

std::vector<std::string> resize_names() { return all_words(kResizeWords); }
std::vector<std::string> color_names() { return all_words(kColorWords); }
std::vector<std::string> input_kind_names() { return all_words(kInputKindWords); }
std::vector<std::string> layout_names() { return all_words(kLayoutWords); }
std::vector<std::string> input_dtype_names() { return all_words(kInputDtypeWords); }
std::vector<std::string> output_format_names() { return all_words(kOutputFormatWords); }
std::vector<std::string> score_kind_names() { return all_words(kScoreKindWords); }
std::vector<std::string> background_names() { return all_words(kBackgroundWords); }
std::vector<std::string> box_units_names() { return all_words(kBoxUnitsWords); }

}  // namespace repsim::model
