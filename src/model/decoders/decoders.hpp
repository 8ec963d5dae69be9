#pragma once

#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "repsim/model.hpp"

/// What every output format brings: how it is recognised and how it is read. docs/outputs.md has their layouts.
namespace repsim::model {

/// What a decoder may go by beside the output itself.
struct Context {
  const InputSpec& input;
  std::int64_t batch = 1;  ///< frames that went in
};

/// Whether an output has a format.
struct Fit {
  bool fits = false;
  /// When it fits: by what it was recognised. Else why not, where the output comes near the format, and what would
  /// decide; empty when the output is something else altogether.
  std::string reason;
  at::Tensor boxes;  ///< [..,4], all boxes in the model's units: relative and pixels are told apart by them
  std::optional<BoxUnits> units;     ///< where the format itself decides
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
  /// With spec.format auto, values are judged too and doubt is a no; with a format asked for, the shapes alone.
  Fit (*fit)(const c10::IValue& output, const OutputSpec& spec, const Context& context);
  /// Per frame; nothing when the output has another structure.
  std::optional<std::vector<Candidates>> (*decode)(const c10::IValue& output, const OutputSpec& spec,
                                                   const Context& context);
};

/// The decoder of a format, nullptr for auto and tensor.
const Decoder* find_decoder(OutputFormat format);

#define REPSIM_OUTPUT_FORMAT(name, word, layout) extern const Decoder k##name##Decoder;
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT

}  // namespace repsim::model
