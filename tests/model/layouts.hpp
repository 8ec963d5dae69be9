#pragma once

#include "fixtures/fixtures.hpp"
#include "repsim/model.hpp"

/// Outputs of the layouts that detectors have, made of random numbers, and naive readers of them in float64 that share
/// no code with the decoders.
namespace repsim::test {

using model::Detection;
using model::Detections;

inline c10::IValue tuple_of(const std::vector<at::Tensor>& tensors) {
  std::vector<c10::IValue> elements(tensors.begin(), tensors.end());
  return c10::ivalue::Tuple::create(elements);
}

/// Scores in 0..1, most of them small, some exactly at and just below 0.01.
inline float random_score(Random& random) {
  const double u = random.uniform();
  if (u < 0.05) return 0.01F;
  if (u < 0.1) return 0.00999F;
  return static_cast<float>(u * u * u * u);
}

/// Rows [B,N,4+extra] of the grids at strides 8, 16, 32 of the fixtures' input, `anchors` per cell: cx cy w h in
/// pixels, then scores.
inline at::Tensor yolo_rows(Random& random, std::int64_t batch, int anchors, std::int64_t extra) {
  std::vector<float> values;
  std::int64_t rows = 0;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (const int stride : {8, 16, 32}) {
      for (int anchor = 0; anchor < anchors; ++anchor) {
        for (int y = 0; y * stride < 48; ++y) {
          for (int x = 0; x * stride < 64; ++x, ++rows) {
            values.push_back(static_cast<float>((x + 0.1 + 0.8 * random.uniform()) * stride));
            values.push_back(static_cast<float>((y + 0.1 + 0.8 * random.uniform()) * stride));
            values.push_back(static_cast<float>((0.5 + random.uniform()) * stride));
            values.push_back(static_cast<float>((0.5 + random.uniform()) * stride));
            for (std::int64_t i = 0; i < extra; ++i) values.push_back(random_score(random));
          }
        }
      }
    }
  }
  return at::tensor(values).view({batch, rows / batch, 4 + extra});
}

inline Detection centred(double cx, double cy, double w, double h, double score, std::int64_t label) {
  return {(cx - w / 2) / 64, (cy - h / 2) / 48, (cx + w / 2) / 64, (cy + h / 2) / 48, score, label};
}

/// All detections of frame b, however weak. Scores in float32, as models and thresholds have them.
inline Detections read_yolov5(const at::Tensor& rows, std::int64_t b) {
  const auto v = rows.accessor<float, 3>();
  Detections all;
  for (std::int64_t n = 0; n < rows.size(1); ++n) {
    for (std::int64_t c = 5; c < rows.size(2); ++c) {
      all.push_back(centred(v[b][n][0], v[b][n][1], v[b][n][2], v[b][n][3], v[b][n][4] * v[b][n][c], c - 5));
    }
  }
  return all;
}

inline Detections read_yolov8(const at::Tensor& columns, std::int64_t b, std::int64_t classes) {
  const auto v = columns.accessor<float, 3>();
  Detections all;
  for (std::int64_t n = 0; n < columns.size(2); ++n) {
    for (std::int64_t c = 4; c < 4 + classes; ++c) {
      all.push_back(centred(v[b][0][n], v[b][1][n], v[b][2][n], v[b][3][n], v[b][c][n], c - 4));
    }
  }
  return all;
}

/// Boxes x1 y1 x2 y2 relative, [B,N,4].
inline at::Tensor corner_boxes(Random& random, std::int64_t batch, std::int64_t count) {
  at::Tensor boxes = at::empty({batch, count, 4}, at::kFloat);
  auto v = boxes.accessor<float, 3>();
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t n = 0; n < count; ++n) {
      const double x = random.uniform(), y = random.uniform();
      v[b][n][0] = static_cast<float>(x * 0.8);
      v[b][n][1] = static_cast<float>(y * 0.8);
      v[b][n][2] = static_cast<float>(x * 0.8 + 0.05 + 0.15 * random.uniform());
      v[b][n][3] = static_cast<float>(y * 0.8 + 0.05 + 0.15 * random.uniform());
    }
  }
  return boxes;
}

/// Logits [B,N,C] where class `background` wins nearly everywhere.
inline at::Tensor class_logits(Random& random, std::int64_t batch, std::int64_t count, std::int64_t classes,
                               std::int64_t background) {
  at::Tensor logits = random.tensor({batch, count, classes}, 2);
  auto v = logits.accessor<float, 3>();
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t n = 0; n < count; ++n) v[b][n][background] += random.uniform() < 0.95 ? 8.0F : -4.0F;
  }
  return logits;
}

/// The default boxes of RetinaFace's kind in float64: cx cy w h, relative.
inline std::vector<std::array<double, 4>> naive_priors(const std::vector<std::vector<double>>& sizes,
                                                       const std::vector<int>& strides, int width, int height) {
  std::vector<std::array<double, 4>> priors;
  for (std::size_t k = 0; k < strides.size(); ++k) {
    const int lines = static_cast<int>(std::ceil(1.0 * height / strides[k]));
    const int columns = static_cast<int>(std::ceil(1.0 * width / strides[k]));
    for (int i = 0; i < lines; ++i) {
      for (int j = 0; j < columns; ++j) {
        for (const double size : sizes[k]) {
          priors.push_back(
              {(j + 0.5) * strides[k] / width, (i + 0.5) * strides[k] / height, size / width, size / height});
        }
      }
    }
  }
  return priors;
}

}  // namespace repsim::test
