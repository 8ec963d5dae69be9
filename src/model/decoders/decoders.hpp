#pragma once

#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "repsim/model.hpp"

/// One decoder per output format: how it is recognised and how it is read. docs/outputs.md has the layouts.
namespace repsim::model {

/// Facts that decoders use beside the output itself.
struct Context {
  const InputSpec& input;
  std::int64_t batch = 1;  ///< frames in the input
};

/// Whether an output has a format, and why.
struct Fit {
  bool fits = false;
  /// If it fits: the properties that show it. Else, if the output is similar to the format: why it does not fit, and
  /// which flag would decide. Empty for an output of a quite different kind.
  std::string reason;
  at::Tensor boxes;                  ///< [..,4], all boxes in the model's units, from which BoxUnits::kAuto is decided
  std::optional<BoxUnits> units;     ///< set where the format itself decides
  std::vector<std::string> classes;  ///< resolved
  SsdOptions ssd;                    ///< resolved

  static Fit no(std::string why = {}) {
    Fit fit;
    fit.reason = std::move(why);
    return fit;
  }
};

/// Detections of one frame as tensors, score >= kMinScore: boxes [K,4] x1 y1 x2 y2 in the model's units, scores [K],
/// labels [K] int64.
struct Candidates {
  at::Tensor boxes, scores, labels;
};

/// One output format that can be decoded.
struct Decoder {
  OutputFormat format;
  /// Whether an output fits. With spec.format auto, shapes and values must fit, and doubt means no; if the user asks
  /// for the format, the shapes must fit.
  Fit (*fit)(const c10::IValue& output, const OutputSpec& spec, const Context& context);
  /// The detections per frame; nothing when the output has another structure.
  std::optional<std::vector<Candidates>> (*decode)(const c10::IValue& output, const OutputSpec& spec,
                                                   const Context& context);
};

/// The decoder of a format, nullptr for auto and tensor.
const Decoder* find_decoder(OutputFormat format);

#define REPSIM_OUTPUT_FORMAT(name, word, layout) extern const Decoder k##name##Decoder;
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT

}  // namespace repsim::model
