#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace repsim::model {

/// How a frame becomes the model's width x height.
enum class Resize {
  kStretch,    ///< both sides scaled on their own (bilinear)
  kLetterbox,  ///< one scale for both, centred, the rest filled with `pad`
  kCrop,       ///< one scale for both so that the input is filled, centre kept
};
enum class Color { kBgr, kRgb };
/// What forward takes: one tensor [B,3,H,W], or a list of B tensors [3,H,W].
enum class InputKind { kTensor, kList };

/// From a video frame to the model's input: resize, order the channels, (pixel * scale - mean) / std per channel.
/// `mean` and `std` are in the order that `color` names. Two models with equal specs share one input of the bundle.
struct InputSpec {
  std::int64_t width = 0;   ///< pixels, 1..8192
  std::int64_t height = 0;  ///< pixels, 1..8192
  Resize resize = Resize::kStretch;
  std::int64_t pad = 114;  ///< grey level 0..255 of the letterbox borders
  Color color = Color::kBgr;
  double scale = 1.0 / 255.0;
  std::array<double, 3> mean{0, 0, 0};
  std::array<double, 3> std{1, 1, 1};  ///< none may be 0
  InputKind kind = InputKind::kTensor;

  friend bool operator==(const InputSpec&, const InputSpec&) = default;
};

enum class OutputFormat {
  kAuto,               ///< to be recognised from what the model returns
  kBoxesScoresLabels,  ///< tuple or dict of boxes [B,N,4] xyxy, scores [B,N], labels [B,N]
  kTensor,             ///< no decoder: raw outputs are compared
};
/// Units of decoded boxes as the model returns them.
enum class BoxUnits {
  kAuto,      ///< relative when no box of the first frames reaches beyond 2, else pixels
  kRelative,  ///< 0..1 of the model's input
  kPixels,    ///< pixels of the model's input
};

struct OutputSpec {
  OutputFormat format = OutputFormat::kAuto;
  BoxUnits boxes = BoxUnits::kAuto;
  std::vector<std::string> classes;  ///< names by label; may be empty
  double score_threshold = 0.35;     ///< score at which the user runs the model, in (0, 1)
};

/// One model as the user names it. What is absent in the config or flags may still come from the archive.
struct ModelSpec {
  std::string name;  ///< unique in a plan
  std::string path;
  std::optional<InputSpec> input;
  OutputSpec output;
};

/// One detection, coordinates relative to the video frame (0..1; may lie outside), whatever the model's resize was.
struct Detection {
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  double score = 0;
  std::int64_t label = 0;
};
/// All detections of one frame, in the order in which the model returned them, before NMS.
using Detections = std::vector<Detection>;

/// A value of an enumeration and its word in flags, configs and plans.
template <typename Enum>
struct Word {
  Enum value;
  const char* word;
};
// The one place of these words: to_string, parse_... and ..._names read them.
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
inline constexpr std::array<Word<OutputFormat>, 3> kOutputFormatWords{{
    {OutputFormat::kAuto, "auto"},
    {OutputFormat::kBoxesScoresLabels, "boxes-scores-labels"},
    {OutputFormat::kTensor, "tensor"},
}};
inline constexpr std::array<Word<BoxUnits>, 3> kBoxUnitsWords{{
    {BoxUnits::kAuto, "auto"},
    {BoxUnits::kRelative, "relative"},
    {BoxUnits::kPixels, "pixels"},
}};

[[nodiscard]] const char* to_string(Resize value);
[[nodiscard]] const char* to_string(Color value);
[[nodiscard]] const char* to_string(InputKind value);
[[nodiscard]] const char* to_string(OutputFormat value);
[[nodiscard]] const char* to_string(BoxUnits value);

/// The value that a word names, exactly as to_string writes it; nothing for any other text.
[[nodiscard]] std::optional<Resize> parse_resize(std::string_view word);
[[nodiscard]] std::optional<Color> parse_color(std::string_view word);
[[nodiscard]] std::optional<InputKind> parse_input_kind(std::string_view word);
[[nodiscard]] std::optional<OutputFormat> parse_output_format(std::string_view word);
[[nodiscard]] std::optional<BoxUnits> parse_box_units(std::string_view word);

/// All words of an enumeration in its order, for help texts and 'did you mean'.
[[nodiscard]] std::vector<std::string> resize_names();
[[nodiscard]] std::vector<std::string> color_names();
[[nodiscard]] std::vector<std::string> input_kind_names();
[[nodiscard]] std::vector<std::string> output_format_names();
[[nodiscard]] std::vector<std::string> box_units_names();

}  // namespace repsim::model
