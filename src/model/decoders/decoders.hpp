#pragma once

#include <torch/script.h>

#include <optional>
#include <string>
#include <vector>

#include "repsim/model.hpp"

namespace repsim::model {

/// One output format that can be decoded to boxes. The table in decoders.cpp is the only place that lists them.
struct Decoder {
  OutputFormat format;
  /// Why the output has this format, or nothing when it has another one.
  std::optional<std::string> (*fits)(const c10::IValue& output, std::int64_t batch);
  /// Largest coordinate of a box in the output, to tell relative boxes from pixels.
  double (*largest_coordinate)(const c10::IValue& output);
  std::vector<Detections> (*decode)(const c10::IValue& output, std::int64_t batch, double scale_x, double scale_y);
};

/// The decoder of a format, nullptr for tensor.
const Decoder* find_decoder(OutputFormat format);

extern const Decoder kBoxesScoresLabelsDecoder;

}  // namespace repsim::model
