// boxes-scores-labels: detections as such. In one of these forms:
//
//     three tensors, as a tuple or list in this order, or as a dict with these keys (others, such as masks, are left
//     out)
//         boxes  [B,N,4] float   x1 y1 x2 y2
//         scores [B,N]   float   or [B,N,1]
//         labels [B,N]   integer or [B,N,1]
//     two tensors: rows [B,N,5] float x1 y1 x2 y2 score, and labels [B,N] integer
//     one tensor:  rows [B,N,6] float x1 y1 x2 y2 score label, or [B,N,5] without label; [N,6], [N,5] for one frame
//
// N may be any number, padded boxes have score 0. One frame may come without the batch dimension. A list of B such
// dicts or tuples without the batch dimension (torchvision's form, also after a dict of losses) is read too.
#include "candidates.hpp"

namespace repsim::model {
namespace {

struct Parts {
  at::Tensor boxes, scores, labels;  // one frame: [N,4], [N], [N]; or a batch with one more dimension in front
  std::string form;
};

std::vector<at::Tensor> elements_of(const c10::IValue& value) {
  std::vector<at::Tensor> tensors;
  if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) {
      if (!element.isTensor()) return {};
      tensors.push_back(element.toTensor());
    }
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) tensors.push_back(tensor);
  } else if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    for (const char* key : {"boxes", "scores", "labels"}) {
      const auto found = dict.find(key);
      if (found == dict.end() || !found->value().isTensor()) return {};
      tensors.push_back(found->value().toTensor());
    }
  }
  return tensors;
}

bool is_integer(const at::Tensor& tensor) { return c10::isIntegralType(tensor.scalar_type(), /*includeBool=*/false); }

bool whole_numbers(const at::Tensor& values) {
  return at::equal(values, values.round()) && (values >= 0).all().item<bool>();
}

/// [B,N,1] -> [B,N], where `boxes` is [B,N,4].
at::Tensor per_box(const at::Tensor& tensor, const at::Tensor& boxes) {
  return tensor.dim() == boxes.dim() && tensor.size(-1) == 1 ? tensor.squeeze(-1) : tensor;
}

/// @param loose  labels may be whole numbers in a floating tensor: not by auto, which might take anything for labels
std::optional<Parts> parts_of(const c10::IValue& value, bool loose) {
  const std::vector<at::Tensor> found = elements_of(value);
  Parts parts;
  if (found.size() == 3) {
    if (found[0].dim() < 2 || found[0].size(-1) != 4) return std::nullopt;
    parts = {found[0], per_box(found[1], found[0]), per_box(found[2], found[0]),
             "float boxes [.., N, 4], float scores [.., N] and integer labels [.., N]"};
  } else if (found.size() == 2) {
    if (found[0].dim() < 2 || found[0].size(-1) != 5) return std::nullopt;
    parts = {found[0].slice(-1, 0, 4), found[0].select(-1, 4), per_box(found[1], found[0]),
             "float rows x1 y1 x2 y2 score [.., N, 5] and integer labels [.., N]"};
  } else {
    return std::nullopt;
  }
  if (!parts.boxes.is_floating_point() || !parts.scores.is_floating_point()) return std::nullopt;
  if (!is_integer(parts.labels) && !(loose && parts.labels.is_floating_point() && whole_numbers(parts.labels))) {
    return std::nullopt;
  }
  const auto leading = parts.boxes.sizes().slice(0, static_cast<std::size_t>(parts.boxes.dim() - 1));
  if (parts.scores.sizes() != leading || parts.labels.sizes() != leading) return std::nullopt;
  return parts;
}

/// One tensor of rows x1 y1 x2 y2 score [label]. With `loose` the shape is enough; else the values must be such as
/// suppression leaves behind: scores that fall, labels that are whole numbers.
std::optional<Parts> rows_of(const c10::IValue& output, std::int64_t batch, bool loose) {
  constexpr std::int64_t kEnoughRows = 4;  // fewer distinct scores than these may fall by chance
  at::Tensor rows = leading_tensor(output);
  if (!rows.defined() || !rows.is_floating_point()) return std::nullopt;
  if (rows.dim() == 2 && batch == 1) rows = rows.unsqueeze(0);
  if (rows.dim() != 3 || rows.size(0) != batch || (rows.size(2) != 5 && rows.size(2) != 6)) return std::nullopt;
  const at::Tensor boxes = rows.slice(2, 0, 4), scores = rows.select(2, 4);
  const at::Tensor labels =
      rows.size(2) == 6 ? rows.select(2, 5) : at::zeros(scores.sizes(), rows.options().dtype(at::kLong));
  if (!loose) {
    if (rows.size(1) < kEnoughRows || !in_unit_range(scores)) return std::nullopt;
    const bool falling = (scores.slice(1, 1) <= scores.slice(1, 0, -1)).all().item<bool>();
    const std::int64_t distinct = std::get<0>(at::_unique(scores.masked_select(scores > 0))).numel();
    if (!falling || distinct < kEnoughRows || !whole_numbers(labels.to(at::kFloat))) {
      return std::nullopt;
    }
  }
  return Parts{boxes, scores, labels,
               "rows x1 y1 x2 y2 score" + std::string(rows.size(2) == 6 ? " label" : "") +
                   " in falling order of score " + shape_text(rows)};
}

/// Per-frame parts, or nothing when the value is of another form.
std::optional<std::vector<Parts>> frames_of(const c10::IValue& output, std::int64_t batch, bool loose) {
  std::vector<Parts> frames;
  auto whole = parts_of(output, loose);
  if (!whole) whole = rows_of(output, batch, loose);
  if (whole && whole->boxes.dim() == 3) {
    if (whole->boxes.size(0) != batch) return std::nullopt;
    for (std::int64_t b = 0; b < batch; ++b) {
      frames.push_back({whole->boxes[b], whole->scores[b], whole->labels[b], whole->form});
    }
    return frames;
  }
  if (whole && whole->boxes.dim() == 2 && batch == 1) return std::vector<Parts>{*whole};
  const c10::IValue* list = &output;
  // torchvision's scripted detectors return (losses, detections).
  if (output.isTuple() && output.toTupleRef().elements().size() == 2 && output.toTupleRef().elements()[1].isList()) {
    list = &output.toTupleRef().elements()[1];
  }
  if (!list->isList() || static_cast<std::int64_t>(list->toListRef().size()) != batch) return std::nullopt;
  for (const c10::IValue& element : list->toListRef()) {
    const auto one = parts_of(element, loose);
    if (!one || one->boxes.dim() != 2) return std::nullopt;
    frames.push_back(*one);
  }
  return frames;
}

/// Whether only the dtype of the labels keeps an output from being boxes, scores and labels.
bool lacks_integer_labels(const c10::IValue& output, std::int64_t batch) {
  return !rows_of(output, batch, /*loose=*/true) && frames_of(output, batch, /*loose=*/true);
}

Fit fit_boxes_scores_labels(const c10::IValue& output, const OutputSpec& spec, const Context& context) {
  const bool asked = spec.format != OutputFormat::kAuto;
  const auto frames = frames_of(output, context.batch, asked);
  if (!frames && !asked && lacks_integer_labels(output, context.batch))
    return Fit::no("the output has the shapes of detections, but its labels are floating-point numbers");
  if (!frames || frames->empty()) return Fit::no();
  std::vector<at::Tensor> boxes, scores;
  for (const Parts& parts : *frames) {
    boxes.push_back(parts.boxes);
    scores.push_back(parts.scores);
  }
  Fit fit;
  fit.boxes = at::cat(boxes);
  if (!asked) {
    const std::string doubt = doubt_about_corners(fit.boxes, at::cat(scores));
    if (!doubt.empty()) return Fit::no("the output has the shapes of detections, but its " + doubt);
  }
  fit.fits = true;
  fit.reason = frames->front().form + ", N = " + std::to_string(frames->front().boxes.size(0));
  fit.classes = spec.classes;
  return fit;
}

std::optional<std::vector<Candidates>> decode_frames(const c10::IValue& output, const OutputSpec&,
                                                     const Context& context) {
  const auto frames = frames_of(output, context.batch, /*loose=*/true);
  if (!frames) return std::nullopt;
  std::vector<Candidates> decoded;
  for (const Parts& parts : *frames) decoded.push_back(strong_boxes(parts.boxes, parts.scores, parts.labels));
  return decoded;
}

}  // namespace

const Decoder kBoxesScoresLabelsDecoder{OutputFormat::kBoxesScoresLabels, fit_boxes_scores_labels, decode_frames};

}  // namespace repsim::model
