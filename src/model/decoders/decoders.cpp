#include "decoders.hpp"

#include "repsim/base/error.hpp"

namespace repsim::model {
namespace {

/// In the order in which auto tries them. A new format is a row here.
const Decoder* const kDecoders[] = {&kBoxesScoresLabelsDecoder};

}  // namespace

const Decoder* find_decoder(OutputFormat format) {
  for (const Decoder* decoder : kDecoders) {
    if (decoder->format == format) return decoder;
  }
  return nullptr;
}

Recognised recognise(const Loaded& model, const c10::IValue& output, std::int64_t batch) {
  Recognised result{model.spec.output, "asked for"};
  const std::string where = model.spec.path + ": output";
  const auto tensors = tensors_of(output);
  if (tensors.empty()) {
    throw input_error("forward returns no tensor (" + output.tagKind() + ")", where,
                      "export a model that returns its detections");
  }
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      throw input_error("the model returns NaN or infinity on an ordinary picture", where,
                        "check the export of the model and --input");
    }
  }
  if (result.spec.format == OutputFormat::kAuto) {
    result.spec.format = OutputFormat::kTensor;
    result.reason = "no known detection layout: raw outputs are compared";
    for (const Decoder* decoder : kDecoders) {
      if (const auto reason = decoder->fits(output, batch)) {
        result.spec.format = decoder->format;
        result.reason = *reason;
        break;
      }
    }
  } else if (const Decoder* decoder = find_decoder(result.spec.format); decoder && !decoder->fits(output, batch)) {
    throw input_error(std::string("the output has not the format ") + to_string(result.spec.format), where,
                      "use --format " + model.spec.name + "=auto");
  }
  if (result.spec.boxes == BoxUnits::kAuto) {
    const Decoder* decoder = find_decoder(result.spec.format);
    result.spec.boxes = decoder && decoder->largest_coordinate(output) > 2.0 ? BoxUnits::kPixels : BoxUnits::kRelative;
  }
  return result;
}

std::vector<Detections> decode(const c10::IValue& output, const OutputSpec& spec, const InputSpec& input,
                               std::int64_t batch) {
  const Decoder* decoder = find_decoder(spec.format);
  if (!decoder) throw Error(ErrorKind::kInternal, std::string("no decoder for the format ") + to_string(spec.format));
  const bool pixels = spec.boxes == BoxUnits::kPixels;
  return decoder->decode(output, batch, pixels ? 1.0 / static_cast<double>(input.width) : 1.0,
                         pixels ? 1.0 / static_cast<double>(input.height) : 1.0);
}

}  // namespace repsim::model
