#include "decoders.hpp"

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"

namespace repsim::model {
namespace {

/// The decoders, in the order in which auto tries them.
const Decoder* const kDecoders[] = {
#define REPSIM_OUTPUT_FORMAT(name, word, layout) &k##name##Decoder,
#include "repsim/output_formats.def"
#undef REPSIM_OUTPUT_FORMAT
};

std::string flag(const Loaded& model, OutputFormat format) {
  return "--format " + model.spec.name + "=" + to_string(format);
}

void add_sentence(std::string& text, const std::string& sentence) { text += (text.empty() ? "" : "; ") + sentence; }

/// " (a dictionary of pred_logits, pred_boxes)"; empty for outputs of other kinds.
std::string keys_text(const c10::IValue& output) {
  if (!output.isGenericDict()) return {};
  std::string keys;
  for (const auto& entry : output.toGenericDict()) {
    if (entry.key().isString()) keys += (keys.empty() ? "" : ", ") + entry.key().toStringRef();
  }
  return " (a dictionary of " + keys + ")";
}

/// Chooses the only format that fits. If none or several fit, the choice is tensor, with the reason.
std::pair<OutputFormat, Fit> choose(const Loaded& model, const c10::IValue& output, const Context& context) {
  std::vector<std::pair<OutputFormat, Fit>> fitting;
  std::string near;
  for (const Decoder* decoder : kDecoders) {
    Fit fit = decoder->fit(output, model.spec.output, context);
    if (fit.fits) {
      fitting.emplace_back(decoder->format, std::move(fit));
    } else if (!fit.reason.empty()) {
      add_sentence(near, fit.reason + " (if it is one all the same: " + flag(model, decoder->format) + ")");
    }
  }
  if (fitting.size() == 1) return fitting.front();
  std::string doubt;
  for (const auto& [format, fit] : fitting) add_sentence(doubt, flag(model, format) + ": " + fit.reason);
  if (!doubt.empty()) doubt = "several formats fit, so raw outputs are compared; " + doubt;
  if (doubt.empty()) doubt = "no known detection layout" + keys_text(output) + ": raw outputs are compared";
  if (fitting.empty()) {
    if (!near.empty()) add_sentence(doubt, near);
    add_sentence(doubt, "a detector can be wrapped so that it returns boxes, scores and labels (docs/outputs.md)");
  }
  return {OutputFormat::kTensor, Fit::no(doubt)};
}

void check_tensors(const Loaded& model, const c10::IValue& output, const std::string& where) {
  const auto tensors = tensors_of(output);
  if (tensors.empty()) {
    throw input_error("forward returns no tensor (" + output.tagKind() + ")", where,
                      "export a model that returns its detections");
  }
  for (const at::Tensor& tensor : tensors) {
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) {
      throw input_error("the model returns NaN or infinity on an ordinary picture", where,
                        "check the export of the model and --input " + model.spec.name + "=...");
    }
  }
}

/// Relative or pixels, by the largest coordinate.
void settle_units(const Loaded& model, const Fit& fit, Recognised& result) {
  if (fit.units) result.spec.boxes = *fit.units;
  if (result.spec.boxes != BoxUnits::kAuto) return;
  result.spec.boxes = BoxUnits::kRelative;
  if (!fit.boxes.defined()) return;  // format tensor
  if (fit.boxes.numel() == 0) {
    result.spec.boxes = BoxUnits::kPixels;  // models with a number of boxes that varies return pixels nearly always
    result.reason += "; no box on the example picture, so they are taken for pixels (output.boxes decides)";
    log::warn(model.spec.name + ": no box on the example picture tells relative boxes from pixels: taken for pixels");
  } else if (fit.boxes.abs().max().to(at::kDouble).item<double>() > 2.0) {
    result.spec.boxes = BoxUnits::kPixels;
  }
}

}  // namespace

const Decoder* find_decoder(OutputFormat format) {
  for (const Decoder* decoder : kDecoders) {
    if (decoder->format == format) return decoder;
  }
  return nullptr;
}

Recognised recognise(const Loaded& model, const c10::IValue& output, std::int64_t batch) {
  Recognised result{model.spec.output, "asked for"};
  OutputSpec& spec = result.spec;
  const std::string where = model.spec.path + ": output";
  check_tensors(model, output, where);
  const Context context{*model.spec.input, batch};
  const bool asked = spec.format != OutputFormat::kAuto;
  Fit fit;
  if (!asked) {
    std::tie(spec.format, fit) = choose(model, output, context);
    result.reason = fit.reason;
  } else if (const Decoder* decoder = find_decoder(spec.format)) {
    fit = decoder->fit(output, spec, context);
    if (!fit.fits) {
      throw input_error(std::string("the output has not the format ") + to_string(spec.format) + " (" +
                            layout_of(spec.format) + ")" + (fit.reason.empty() ? "" : ": " + fit.reason),
                        where, "use --format " + model.spec.name + "=auto, or correct the output's options");
    }
  }
  if (fit.fits) {
    spec.classes = fit.classes;
    spec.ssd = fit.ssd;
  } else if (spec.ssd != SsdOptions{}) {
    throw input_error("priors, variances, scores or background are given, but the output is taken for " +
                          std::string(to_string(spec.format)) + ": " + result.reason,
                      where, "correct them, or say the format: " + flag(model, OutputFormat::kSsd));
  }
  settle_units(model, fit, result);
  return result;
}

std::vector<Detections> decode(const c10::IValue& output, const OutputSpec& spec, const InputSpec& input,
                               std::int64_t batch) {
  const Decoder* decoder = find_decoder(spec.format);
  if (!decoder) throw Error(ErrorKind::kInternal, std::string("no decoder for the format ") + to_string(spec.format));
  const auto frames = decoder->decode(output, spec, {input, batch});
  if (!frames || static_cast<std::int64_t>(frames->size()) != batch) {
    throw input_error("the model returned another structure than at the first call",
                      std::string("output format ") + to_string(spec.format), "use --format tensor");
  }
  const bool pixels = spec.boxes == BoxUnits::kPixels;
  const double scale_x = pixels ? 1.0 / static_cast<double>(input.width) : 1.0;
  const double scale_y = pixels ? 1.0 / static_cast<double>(input.height) : 1.0;
  std::vector<Detections> decoded;
  for (const Candidates& frame : *frames) {
    const at::Tensor boxes = frame.boxes.to(at::kCPU, at::kDouble).contiguous();
    const at::Tensor scores = frame.scores.to(at::kCPU, at::kDouble).contiguous();
    const at::Tensor labels = frame.labels.to(at::kCPU, at::kLong).contiguous();
    const double* box = boxes.const_data_ptr<double>();
    const double* score = scores.const_data_ptr<double>();
    const std::int64_t* label = labels.const_data_ptr<std::int64_t>();
    Detections& detections = decoded.emplace_back();
    detections.reserve(static_cast<std::size_t>(scores.numel()));
    for (std::int64_t i = 0; i < scores.numel(); ++i, box += 4) {
      detections.push_back(
          {box[0] * scale_x, box[1] * scale_y, box[2] * scale_x, box[3] * scale_y, score[i], label[i]});
    }
  }
  return decoded;
}

}  // namespace repsim::model
