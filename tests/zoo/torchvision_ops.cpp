// The two operators that torchvision's detectors run, for machines where torchvision's own library does not fit the
// installed torch. Plain loops on the CPU, float32: made for tests, not for speed.
#include <ATen/ATen.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

float overlap(const float* a, const float* b) {
  const float width = std::min(a[2], b[2]) - std::max(a[0], b[0]);
  const float height = std::min(a[3], b[3]) - std::max(a[1], b[1]);
  if (width <= 0 || height <= 0) return 0;
  const float common = width * height;
  return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common);
}

/// Indices of the boxes that stay, best score first. dets [N, 4] xyxy, scores [N].
at::Tensor nms(const at::Tensor& dets, const at::Tensor& scores, double iou_threshold) {
  TORCH_CHECK(dets.dim() == 2 && dets.size(1) == 4, "nms: dets must be [N, 4]");
  TORCH_CHECK(scores.dim() == 1 && scores.size(0) == dets.size(0), "nms: one score per box");
  const at::Tensor boxes = dets.to(at::kFloat).contiguous();
  const at::Tensor order = std::get<1>(scores.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true)).contiguous();
  const float* box = boxes.const_data_ptr<float>();
  const std::int64_t* ranked = order.const_data_ptr<std::int64_t>();
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < dets.size(0); ++i) {
    const auto hides = [&](std::int64_t other) {
      return overlap(box + 4 * other, box + 4 * ranked[i]) > static_cast<float>(iou_threshold);
    };
    if (std::none_of(kept.begin(), kept.end(), hides)) kept.push_back(ranked[i]);
  }
  return at::tensor(kept, at::kLong);
}

/// One value of a plane between four pixels; what lies more than a pixel outside is 0.
float bilinear(const float* plane, std::int64_t height, std::int64_t width, float y, float x) {
  if (y < -1 || y > static_cast<float>(height) || x < -1 || x > static_cast<float>(width)) return 0;
  y = std::max(y, 0.0F);
  x = std::max(x, 0.0F);
  const std::int64_t top = std::min(static_cast<std::int64_t>(y), height - 1);
  const std::int64_t left = std::min(static_cast<std::int64_t>(x), width - 1);
  const std::int64_t bottom = std::min(top + 1, height - 1), right = std::min(left + 1, width - 1);
  const float down = top == bottom ? 0 : y - static_cast<float>(top);
  const float across = left == right ? 0 : x - static_cast<float>(left);
  const auto at = [&](std::int64_t row, std::int64_t column) { return plane[row * width + column]; };
  return (1 - down) * ((1 - across) * at(top, left) + across * at(top, right)) +
         down * ((1 - across) * at(bottom, left) + across * at(bottom, right));
}

/// Average of samples in each cell of each region. input [B, C, H, W], rois [K, 5] (image, x1, y1, x2, y2); He et al.
/// 2017 (arXiv 1703.06870).
// NOLINTNEXTLINE(readability-function-size): the operator's schema has these parameters
at::Tensor roi_align(const at::Tensor& input, const at::Tensor& rois, double spatial_scale, std::int64_t pooled_height,
                     std::int64_t pooled_width, std::int64_t sampling_ratio, bool aligned) {
  TORCH_CHECK(input.dim() == 4 && input.scalar_type() == at::kFloat, "roi_align: input must be float32 [B, C, H, W]");
  TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5, "roi_align: rois must be [K, 5]");
  const at::Tensor maps = input.contiguous(), regions = rois.to(at::kFloat).contiguous();
  const std::int64_t channels = input.size(1), height = input.size(2), width = input.size(3);
  at::Tensor output = at::zeros({rois.size(0), channels, pooled_height, pooled_width}, input.options());
  float* out = output.data_ptr<float>();
  const float scale = static_cast<float>(spatial_scale), shift = aligned ? 0.5F : 0.0F;
  for (std::int64_t k = 0; k < rois.size(0); ++k) {
    const float* region = regions.const_data_ptr<float>() + 5 * k;
    const auto image = static_cast<std::int64_t>(region[0]);
    TORCH_CHECK(image >= 0 && image < input.size(0), "roi_align: image index out of range");
    const float left = region[1] * scale - shift, top = region[2] * scale - shift;
    float region_width = region[3] * scale - shift - left, region_height = region[4] * scale - shift - top;
    if (!aligned) {
      region_width = std::max(region_width, 1.0F);
      region_height = std::max(region_height, 1.0F);
    }
    const float cell_height = region_height / static_cast<float>(pooled_height);
    const float cell_width = region_width / static_cast<float>(pooled_width);
    const auto samples = [&](float cell) {
      return sampling_ratio > 0 ? sampling_ratio : static_cast<std::int64_t>(std::ceil(cell));
    };
    const std::int64_t rows = samples(cell_height), columns = samples(cell_width);
    const float count = static_cast<float>(std::max<std::int64_t>(rows * columns, 1));
    for (std::int64_t c = 0; c < channels; ++c) {
      const float* plane = maps.const_data_ptr<float>() + (image * channels + c) * height * width;
      for (std::int64_t cell = 0; cell < pooled_height * pooled_width; ++cell) {
        const auto row = static_cast<float>(cell / pooled_width), column = static_cast<float>(cell % pooled_width);
        float sum = 0;
        for (std::int64_t sample = 0; sample < rows * columns; ++sample) {
          const float down = (static_cast<float>(sample / columns) + 0.5F) / static_cast<float>(rows);
          const float across = (static_cast<float>(sample % columns) + 0.5F) / static_cast<float>(columns);
          sum +=
              bilinear(plane, height, width, top + (row + down) * cell_height, left + (column + across) * cell_width);
        }
        *out++ = sum / count;
      }
    }
  }
  return output;
}

}  // namespace

TORCH_LIBRARY(torchvision, library) {
  library.def("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor");
  // Not run, but torchvision's import and the scripting of its detectors look them up.
  library.def("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor");
  library.def("box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor");
  library.def(
      "roi_align(Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width, "
      "int sampling_ratio, bool aligned) -> Tensor");
}

TORCH_LIBRARY_IMPL(torchvision, CPU, library) {
  library.impl("nms", nms);
  library.impl("roi_align", roi_align);
}
