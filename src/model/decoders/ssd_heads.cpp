#include "ssd_heads.hpp"

namespace repsim::model {
namespace {

constexpr double kWins = 0.8;              // part of the probability that a background class has, on average, at least
constexpr std::int64_t kEnoughBoxes = 16;  // fewer that are in order may be so by chance

at::Tensor probabilities(const at::Tensor& scores, const SsdOptions& options) {
  at::Tensor values = scores.to(at::kFloat);
  if (options.scores != ScoreKind::kLogits) return values;
  return options.background == Background::kNone ? values.sigmoid() : values.softmax(-1);
}

/// The class that wins on most boxes of a picture, where there is nothing.
Background background_of(const at::Tensor& scores, const SsdOptions& options) {
  const bool independent = options.scores == ScoreKind::kProbabilities && !rows_sum_to_one(scores);
  if (independent || scores.size(2) == 1) return Background::kNone;
  const at::Tensor mean = probabilities(scores, options).mean(at::IntArrayRef{0, 1}).to(at::kDouble);
  if (mean[0].item<double>() >= kWins) return Background::kFirst;
  return mean[-1].item<double>() >= kWins ? Background::kLast : Background::kAuto;
}

at::Tensor without_background(const at::Tensor& scores, Background background) {
  if (background == Background::kFirst) return scores.slice(-1, 1);
  return background == Background::kLast ? scores.slice(-1, 0, -1) : scores;
}

/// Regressions [K,4] from their priors [K,4] -> x1 y1 x2 y2, relative.
at::Tensor boxes_from(const at::Tensor& regressions, const at::Tensor& priors, const std::array<double, 2>& variances) {
  const at::Tensor offsets = regressions.to(at::kFloat);
  const at::Tensor sides = priors.slice(1, 2, 4);
  const at::Tensor centres = priors.slice(1, 0, 2) + offsets.slice(1, 0, 2) * variances[0] * sides;
  return corners_of(at::cat({centres, sides * (offsets.slice(1, 2, 4) * variances[1]).exp()}, 1));
}

std::string scores_text(const at::Tensor& scores, const SsdOptions& options) {
  return std::string(to_string(options.scores)) + " of " + std::to_string(scores.size(2)) +
         (scores.size(2) == 1 ? " class" : " classes") + ", background " + to_string(options.background);
}

}  // namespace

bool rows_sum_to_one(const at::Tensor& scores) {
  return scores.numel() > 0 && in_unit_range(scores) &&
         (scores.to(at::kDouble).sum(-1) - 1).abs().max().item<double>() < 1e-2;  // half precision rounds that much
}

at::Tensor prior_boxes(const Priors& priors, const InputSpec& input) {
  std::vector<float> values;
  const auto width = static_cast<double>(input.width), height = static_cast<double>(input.height);
  for (std::size_t level = 0; level < priors.strides.size(); ++level) {
    const auto stride = static_cast<double>(priors.strides[level]);
    for (std::int64_t row = 0; row * priors.strides[level] < input.height; ++row) {
      for (std::int64_t column = 0; column * priors.strides[level] < input.width; ++column) {
        for (const double size : priors.min_sizes[level]) {
          const std::array<double, 4> box{(static_cast<double>(column) + 0.5) * stride / width,
                                          (static_cast<double>(row) + 0.5) * stride / height, size / width,
                                          size / height};
          for (const double value : box)
            values.push_back(static_cast<float>(priors.clip ? std::clamp(value, 0.0, 1.0) : value));
        }
      }
    }
  }
  const auto count = static_cast<std::int64_t>(values.size() / 4);
  return at::tensor(values, at::kFloat).view({count, 4});
}

std::vector<at::Tensor> parallel_tensors(const c10::IValue& output, std::size_t count, const Context& context) {
  if (output.isTensor()) return {};
  std::vector<at::Tensor> tensors = tensors_of(output);
  if (tensors.size() != count) return {};
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.is_floating_point() || tensor.dim() != 3 || tensor.size(0) != context.batch) return {};
    if (tensor.size(1) != tensors.front().size(1) || tensor.numel() == 0) return {};
  }
  return tensors;
}

Fit fit_ssd(const SsdHeads& heads, const OutputSpec& spec, const Context& context) {
  const std::string shapes = "scores " + shape_text(heads.scores) + " and boxes " + shape_text(heads.boxes);
  Fit fit;
  fit.classes = spec.classes;
  fit.ssd = spec.ssd;
  fit.boxes = heads.boxes;
  if (fit.ssd.scores == ScoreKind::kAuto) {
    fit.ssd.scores = in_unit_range(heads.scores) ? ScoreKind::kProbabilities : ScoreKind::kLogits;
  }
  if (fit.ssd.background == Background::kAuto) fit.ssd.background = background_of(heads.scores, fit.ssd);
  const std::int64_t boxes = heads.boxes.size(1);
  std::string form = "x1 y1 x2 y2";
  if (spec.ssd.priors) {
    const std::int64_t priors = prior_boxes(*spec.ssd.priors, context.input).size(0);
    if (priors != boxes) {
      return Fit::no(shapes + " have " + std::to_string(boxes) + " boxes, output.priors makes " +
                     std::to_string(priors) + " of a picture of " + std::to_string(context.input.width) + "x" +
                     std::to_string(context.input.height));
    }
    form = "regressions from " + std::to_string(priors) + " priors";
    fit.units = BoxUnits::kRelative;
  } else if (!corners_in_order(heads.boxes)) {
    const bool sizes = (heads.boxes.slice(2, 2, 4) >= 0).all().item<bool>();
    return Fit::no(shapes + " have boxes that " + (sizes ? "look like centre and size, not" : "are not") +
                   " x1 y1 x2 y2: if they are regressions, output.priors has to say " +
                   R"(from what, for example {"min_sizes": [[16,32],[64,128],[256,512]], "strides": [8,16,32]})");
  } else if (spec.format == OutputFormat::kAuto && boxes < kEnoughBoxes) {
    return Fit::no(shapes + " are too few to be sure");
  }
  if (fit.ssd.background == Background::kAuto) {
    return Fit::no(shapes +
                   ": neither the first nor the last class wins where nothing is, so output.background has to "
                   "say first, last or none");
  }
  if (fit.ssd.background != Background::kNone && heads.scores.size(2) < 2) {
    return Fit::no(shapes + " have no class beside the background (output.background)");
  }
  fit.fits = true;
  fit.reason = shapes + ": " + scores_text(heads.scores, fit.ssd) + "; boxes are " + form;
  return fit;
}

std::optional<std::vector<Candidates>> decode_ssd(const SsdHeads& heads, const OutputSpec& spec,
                                                  const Context& context) {
  at::Tensor priors;
  if (spec.ssd.priors) priors = prior_boxes(*spec.ssd.priors, context.input).to(heads.boxes.device());
  if (priors.defined() && priors.size(0) != heads.boxes.size(1)) return std::nullopt;
  std::vector<Candidates> decoded;
  for (std::int64_t b = 0; b < heads.boxes.size(0); ++b) {
    const at::Tensor scores = without_background(probabilities(heads.scores[b], spec.ssd), spec.ssd.background);
    const at::Tensor likely = (std::get<0>(scores.max(1)) >= kMinScore).nonzero().squeeze(1);
    at::Tensor boxes = heads.boxes[b].index_select(0, likely);
    if (priors.defined()) boxes = boxes_from(boxes, priors.index_select(0, likely), spec.ssd.variances);
    decoded.push_back(strong_pairs(boxes, scores.index_select(0, likely)));
  }
  return decoded;
}

}  // namespace repsim::model
