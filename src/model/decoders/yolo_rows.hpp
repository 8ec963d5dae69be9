#pragma once

#include "candidates.hpp"

/// What the YOLO formats share: one row per cell of a pyramid of grids (and per anchor), cx cy w h first.
namespace repsim::model {

/// "3 x (80x80 + 40x40 + 20x20)" when so many rows are one per anchor and cell of grids of the input, at two or more
/// consecutive strides of 4, 8, 16, 32, 64. Nothing otherwise.
std::optional<std::string> grids_of(std::int64_t rows, std::int64_t anchors, const InputSpec& input);

/// Judges rows [B,N,C] whose columns from `first_score` on are class scores, perhaps followed by values of another kind
/// (mask coefficients, key points). With spec.format auto the values must be boxes that cover the picture and scores in
/// 0..1; asked for, C alone must suffice. `reason` is empty for a fit: the format knows better what to say.
Fit fit_rows(const at::Tensor& rows, std::int64_t first_score, const OutputSpec& spec, const Context& context);

/// Class scores in a row of `columns` values, once recognised: as many as there are classes, all of them without names.
std::int64_t class_count(std::int64_t columns, std::int64_t first_score, const OutputSpec& spec);

/// ", 3 classes and 32 further values per box that are not compared"
std::string columns_text(std::int64_t columns, std::int64_t first_score, const Fit& fit);

}  // namespace repsim::model
