#pragma once

#include "decoders.hpp"

/// Steps that several decoders need.
namespace repsim::model {

/// Candidates from one label per box: boxes [N,4], scores [N], labels [N].
Candidates strong_boxes(const at::Tensor& boxes, const at::Tensor& scores, const at::Tensor& labels);

/// Candidates from one score per box and class, [N,4] and [N,C]: every pair of sufficient score is a candidate of its
/// own, in the order of boxes, then classes ("multi-label", as in the usual validation of YOLO models; the best class
/// alone would lose detections that an average precision counts).
Candidates strong_pairs(const at::Tensor& boxes, const at::Tensor& class_scores);

/// [..,4] cx cy w h -> x1 y1 x2 y2
at::Tensor corners_of(const at::Tensor& centred);

/// The tensor that holds the rows: the output itself, or the first element of a tuple or list whose other elements are
/// no tensors of as many dimensions (exports that return decoded rows beside their raw maps). Undefined otherwise.
at::Tensor leading_tensor(const c10::IValue& output);

/// Whether all values lie in 0..1, up to rounding.
bool in_unit_range(const at::Tensor& values);

/// Whether x1 <= x2 and y1 <= y2 for at least 999 rows of a thousand.
bool corners_in_order(const at::Tensor& boxes);

/// Why boxes [..,4] with scores [..] cannot be x1 y1 x2 y2; empty when they can. Boxes cx cy w h, read as corners, have
/// x2 < x1 or y2 < y1 for every object that is farther from the left or upper edge than its own size. Boxes that count
/// are those that decoding keeps (score >= kMinScore); all of them if none has such a score, or scores are not in 0..1.
std::string doubt_about_corners(const at::Tensor& boxes, const at::Tensor& scores);

/// "[1,25200,85]"
std::string shape_text(const at::Tensor& tensor);

}  // namespace repsim::model
