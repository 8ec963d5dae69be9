// boxes-scores-labels: three tensors per batch, as a tuple or list in this order or as a dict with these keys.
//
//     boxes  [B,N,4] float   x1 y1 x2 y2
//     scores [B,N]   float
//     labels [B,N]   integer
//
// N may be any number, padded boxes have score 0. A list of B such dicts or tuples without the batch dimension
// (torchvision's form) is read too.
#include "decoders.hpp"
#include "repsim/base/error.hpp"

namespace repsim::model {
namespace {

struct Parts {
  at::Tensor boxes, scores, labels;  // one frame: [N,4], [N], [N]; or a batch with one more dimension in front
};

std::optional<Parts> parts_of(const c10::IValue& value) {
  std::vector<at::Tensor> three;
  if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) {
      if (!element.isTensor()) return std::nullopt;
      three.push_back(element.toTensor());
    }
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) three.push_back(tensor);
  } else if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    for (const char* key : {"boxes", "scores", "labels"}) {
      const auto found = dict.find(key);
      if (found == dict.end() || !found->value().isTensor()) return std::nullopt;
      three.push_back(found->value().toTensor());
    }
  }
  if (three.size() != 3) return std::nullopt;
  const Parts parts{three[0], three[1], three[2]};
  const bool types = parts.boxes.is_floating_point() && parts.scores.is_floating_point() &&
                     c10::isIntegralType(parts.labels.scalar_type(), /*includeBool=*/false);
  if (!types || parts.boxes.dim() < 2 || parts.boxes.size(-1) != 4) return std::nullopt;
  const auto leading = parts.boxes.sizes().slice(0, static_cast<std::size_t>(parts.boxes.dim() - 1));
  if (parts.scores.sizes() != leading || parts.labels.sizes() != leading) return std::nullopt;
  return parts;
}

/// Per-frame parts, or nothing when the value is of another form.
std::optional<std::vector<Parts>> frames_of(const c10::IValue& output, std::int64_t batch) {
  std::vector<Parts> frames;
  if (const auto whole = parts_of(output); whole && whole->boxes.dim() == 3) {
    if (whole->boxes.size(0) != batch) return std::nullopt;
    for (std::int64_t b = 0; b < batch; ++b) frames.push_back({whole->boxes[b], whole->scores[b], whole->labels[b]});
    return frames;
  }
  const c10::IValue* list = &output;
  // torchvision's scripted detectors return (losses, detections).
  if (output.isTuple() && output.toTupleRef().elements().size() == 2 && output.toTupleRef().elements()[1].isList()) {
    list = &output.toTupleRef().elements()[1];
  }
  if (!list->isList() || static_cast<std::int64_t>(list->toListRef().size()) != batch) return std::nullopt;
  for (const c10::IValue& element : list->toListRef()) {
    const auto one = parts_of(element);
    if (!one || one->boxes.dim() != 2) return std::nullopt;
    frames.push_back(*one);
  }
  return frames;
}

std::optional<std::string> fits(const c10::IValue& output, std::int64_t batch) {
  const auto frames = frames_of(output, batch);
  if (!frames) return std::nullopt;
  const auto count = frames->empty() ? 0 : (*frames)[0].boxes.size(0);
  return "float boxes [.., N, 4], float scores [.., N] and integer labels [.., N], N = " + std::to_string(count);
}

double largest_coordinate(const c10::IValue& output) {
  double largest = 0;
  for (const at::Tensor& tensor : tensors_of(output)) {
    if (tensor.is_floating_point() && tensor.dim() >= 2 && tensor.size(-1) == 4 && tensor.numel() > 0) {
      largest = std::max(largest, tensor.abs().max().to(at::kDouble).item<double>());
    }
  }
  return largest;
}

std::vector<Detections> decode_boxes(const c10::IValue& output, std::int64_t batch, double scale_x, double scale_y) {
  const auto frames = frames_of(output, batch);
  if (!frames) {
    throw input_error("the model returned another structure than at the first call",
                      "output format boxes-scores-labels", "use --format tensor");
  }
  std::vector<Detections> decoded;
  for (const Parts& parts : *frames) {
    const at::Tensor boxes = parts.boxes.to(at::kDouble).contiguous(),
                     scores = parts.scores.to(at::kDouble).contiguous();
    const at::Tensor labels = parts.labels.to(at::kLong).contiguous();
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

}  // namespace

const Decoder kBoxesScoresLabelsDecoder{OutputFormat::kBoxesScoresLabels, fits, largest_coordinate, decode_boxes};

}  // namespace repsim::model
