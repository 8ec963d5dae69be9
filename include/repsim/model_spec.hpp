#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace repsim::model {

/// How a frame is resized to the model's width x height.
enum class Resize {
  kStretch,    ///< both sides scaled on their own (bilinear)
  kLetterbox,  ///< one scale for both, centred, the rest filled with `pad`
  kCrop,       ///< one scale for both so that the input is filled, centre kept
};
enum class Color { kBgr, kRgb };
/// The argument of forward: one tensor [B,3,H,W], or a list of B tensors [3,H,W].
enum class InputKind { kTensor, kList };
/// The order of the dimensions of forward's argument.
enum class Layout {
  kNchw,  ///< [B,3,H,W], pictures of a list [3,H,W]
  kNhwc,  ///< [B,H,W,3], pictures of a list [H,W,3]
};
/// The type of the elements of forward's argument.
enum class InputDtype {
  kFloat32,
  kUint8,    ///< unchanged pixels: scale must be 1, mean 0 and std 1
  kFloat16,  ///< computed in float32, then rounded
};

/// How a video frame becomes a model's input: resize, order the channels, then (pixel * scale - mean) / std per
/// channel. Models with equal specs share one argument of the bundle.
struct InputSpec {
  std::int64_t width = 0;   ///< pixels, 1..8192
  std::int64_t height = 0;  ///< pixels, 1..8192
  Resize resize = Resize::kStretch;
  std::int64_t pad = 114;  ///< grey level 0..255 of the letterbox borders
  Color color = Color::kBgr;
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean{0, 0, 0};  ///< per channel, in the order of `color`
  std::array<double, 3> std{1, 1, 1};   ///< per channel, in the order of `color`; none may be 0
  InputKind kind = InputKind::kTensor;
  Layout layout = Layout::kNchw;
  InputDtype dtype = InputDtype::kFloat32;

  friend bool operator==(const InputSpec&, const InputSpec&) = default;
};

/// The layout of a model's output. The values between the first and the last are the rows of output_formats.def.
enum class OutputFormat {
  kAuto,  ///< repsim recognises the format from the output
#define REPSIM_OUTPUT_FORMAT(name, word, layout) k##name,
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT
  kTensor,  ///< no decoder; repsim compares raw outputs
};
/// Units of decoded boxes as the model returns them.
enum class BoxUnits {
  kAuto,      ///< relative when no box of the first frames reaches beyond 2, else pixels
  kRelative,  ///< 0..1 of the model's input
  kPixels,    ///< pixels of the model's input
};

/// The kind of scores in the ssd formats.
enum class ScoreKind {
  kAuto,           ///< probabilities when the scores of the first frames all lie in 0..1, else logits
  kProbabilities,  ///< used unchanged
  kLogits,         ///< softmax over the classes is applied; the sigmoid where there is no background class
};
/// The class of the ssd formats that means that there is no object.
enum class Background {
  kAuto,   ///< the first or last class when it wins on most boxes of the first frames; none when rows do not sum to 1
  kFirst,  ///< the other classes are the labels 0, 1, ...
  kLast,
  kNone,
};
/// The default boxes of a single-shot detector: level after level, row after row, cell after cell, one square around
/// the cell's centre for each of the level's sizes. A level has ceil(side / stride) cells per side.
struct Priors {
  std::vector<std::vector<double>> min_sizes;  ///< per level, sides in pixels of the model's input
  std::vector<std::int64_t> strides;           ///< per level, pixels of the model's input
  bool clip = false;                           ///< centres and sides are clipped to 0..1

  friend bool operator==(const Priors&, const Priors&) = default;
};
/// Options of the formats ssd and landmark-ssd, see uses_ssd_options().
struct SsdOptions {
  ScoreKind scores = ScoreKind::kAuto;
  Background background = Background::kAuto;
  std::optional<Priors> priors;               ///< present: boxes are regressions from these; absent: x1 y1 x2 y2
  std::array<double, 2> variances{0.1, 0.2};  ///< of centres and of sides, for boxes that are regressions

  friend bool operator==(const SsdOptions&, const SsdOptions&) = default;
};

/// How a model's output is read.
struct OutputSpec {
  OutputFormat format = OutputFormat::kAuto;
  BoxUnits boxes = BoxUnits::kAuto;
  std::vector<std::string> classes;  ///< names by label; may be empty
  double score_threshold = 0.35;     ///< the score at which the user runs the model, in (0, 1)
  SsdOptions ssd;                    ///< in JSON its keys stand in the same object as the keys above
};

/// Whether a format reads SsdOptions.
[[nodiscard]] constexpr bool uses_ssd_options(OutputFormat format) {
  return format == OutputFormat::kSsd || format == OutputFormat::kLandmarkSsd;
}

/// Decoding drops detections of a lower score, compared as float32.
inline constexpr double kMinScore = 0.01;

/// A model as the user describes it. The archive may add what config and flags leave open.
struct ModelSpec {
  std::string name;  ///< unique in a plan
  std::string path;
  std::optional<InputSpec> input;
  OutputSpec output;
};

/// One detection. Coordinates are relative to the video frame, except in what decode() returns, where they are relative
/// to the model's input. 0 and 1 are the edges; boxes may reach beyond them.
struct Detection {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double score = 0;
  std::int64_t label = 0;
};
/// The detections of one frame.
using Detections = std::vector<Detection>;

/// A value of an enumeration and its word in flags, configs and plans.
template <typename Enum>
struct Word {
  Enum value;
  const char* word;
};
// The only place of these words: to_string, parse_... and ..._names read them from here.
inline constexpr std::array<Word<Resize>, 3> kResizeWords{{
    {Resize::kStretch, "stretch"},
    {Resize::kLetterbox, "letterbox"},
    {Resize::kCrop, "crop"},
}};
inline constexpr std::array<Word<Color>, 2> kColorWords{{
    {Color::kBgr, "bgr"},
    {Color::kRgb, "rgb"},
}};
inline constexpr std::array<Word<InputKind>, 2> kInputKindWords{{
    {InputKind::kTensor, "tensor"},
    {InputKind::kList, "list"},
}};
inline constexpr std::array<Word<Layout>, 2> kLayoutWords{{
    {Layout::kNchw, "nchw"},
    {Layout::kNhwc, "nhwc"},
}};
inline constexpr std::array<Word<InputDtype>, 3> kInputDtypeWords{{
    {InputDtype::kFloat32, "float32"},
    {InputDtype::kUint8, "uint8"},
    {InputDtype::kFloat16, "float16"},
}};
inline constexpr auto kOutputFormatWords = std::to_array<Word<OutputFormat>>({
    {OutputFormat::kAuto, "auto"},
#define REPSIM_OUTPUT_FORMAT(name, word, layout) {OutputFormat::k##name, word},
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT
    {OutputFormat::kTensor, "tensor"},
});
inline constexpr std::array<Word<BoxUnits>, 3> kBoxUnitsWords{{
    {BoxUnits::kAuto, "auto"},
    {BoxUnits::kRelative, "relative"},
    {BoxUnits::kPixels, "pixels"},
}};
inline constexpr std::array<Word<ScoreKind>, 3> kScoreKindWords{{
    {ScoreKind::kAuto, "auto"},
    {ScoreKind::kProbabilities, "probabilities"},
    {ScoreKind::kLogits, "logits"},
}};
inline constexpr std::array<Word<Background>, 4> kBackgroundWords{{
    {Background::kAuto, "auto"},
    {Background::kFirst, "first"},
    {Background::kLast, "last"},
    {Background::kNone, "none"},
}};

[[nodiscard]] const char* to_string(Resize value);
[[nodiscard]] const char* to_string(Color value);
[[nodiscard]] const char* to_string(InputKind value);
[[nodiscard]] const char* to_string(Layout value);
[[nodiscard]] const char* to_string(InputDtype value);
[[nodiscard]] const char* to_string(OutputFormat value);
[[nodiscard]] const char* to_string(BoxUnits value);
[[nodiscard]] const char* to_string(ScoreKind value);
[[nodiscard]] const char* to_string(Background value);
/// The layout of a format in a few words, for messages. Works for auto and tensor, too.
[[nodiscard]] const char* layout_of(OutputFormat value);

/// The value that a word names, exactly as to_string writes it; nothing for any other text.
[[nodiscard]] std::optional<Resize> parse_resize(std::string_view word);
[[nodiscard]] std::optional<Color> parse_color(std::string_view word);
[[nodiscard]] std::optional<InputKind> parse_input_kind(std::string_view word);
[[nodiscard]] std::optional<Layout> parse_layout(std::string_view word);
[[nodiscard]] std::optional<InputDtype> parse_input_dtype(std::string_view word);
[[nodiscard]] std::optional<OutputFormat> parse_output_format(std::string_view word);
[[nodiscard]] std::optional<BoxUnits> parse_box_units(std::string_view word);
[[nodiscard]] std::optional<ScoreKind> parse_score_kind(std::string_view word);
[[nodiscard]] std::optional<Background> parse_background(std::string_view word);

/// All words of an enumeration in its order, for help texts and 'did you mean'.
[[nodiscard]] std::vector<std::string> resize_names();
[[nodiscard]] std::vector<std::string> color_names();
[[nodiscard]] std::vector<std::string> input_kind_names();
[[nodiscard]] std::vector<std::string> layout_names();
[[nodiscard]] std::vector<std::string> input_dtype_names();
[[nodiscard]] std::vector<std::string> output_format_names();
[[nodiscard]] std::vector<std::string> box_units_names();
[[nodiscard]] std::vector<std::string> score_kind_names();
[[nodiscard]] std::vector<std::string> background_names();

/// The scale where the user states none: 1 for uint8, which takes unchanged pixels, else 1/255.
[[nodiscard]] constexpr double default_scale(InputDtype dtype) { return dtype == InputDtype::kUint8 ? 1.0 : 1.0 / 255; }

/// The spec in the form of `--input`, without values that are the default: "320x240,rgb,list". Numbers read back equal.
[[nodiscard]] std::string input_flag(const InputSpec& spec);

/// A library of operators that is not part of Torch, and what a model uses of it.
struct OperatorLibrary {
  std::string file;                    ///< name without folder
  std::vector<std::string> operators;  ///< "torchvision::nms", sorted

  friend bool operator==(const OperatorLibrary&, const OperatorLibrary&) = default;
};

}  // namespace repsim::model
