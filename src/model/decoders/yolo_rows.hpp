#pragma once

#include "candidates.hpp"

/// The rows of the YOLO formats: one per cell of a pyramid of grids (and per anchor), cx cy w h first.
namespace repsim::model {

/// The grids that give this number of rows, as text: "3 x (80x80 + 40x40 + 20x20)" for one row per anchor and cell, at
/// two or more consecutive strides of 4, 8, 16, 32, 64. Nothing where no grids do.
std::optional<std::string> grids_of(std::int64_t rows, std::int64_t anchors, const InputSpec& input);

/// Whether rows [B,N,C] have class scores from column `first_score` on, perhaps followed by values of another kind
/// (mask coefficients, key points). With spec.format auto the values must be boxes that cover the picture and scores in
/// 0..1; if the user asks for the format, C must be large enough. The caller fills `reason` for a fit.
Fit fit_rows(const at::Tensor& rows, std::int64_t first_score, const OutputSpec& spec, const Context& context);

/// The number of class scores in a row of `columns` values of a recognised output: the number of class names, or all
/// values where there are no names.
std::int64_t class_count(std::int64_t columns, std::int64_t first_score, const OutputSpec& spec);

/// ", 3 classes and 32 further values per box that are not compared"
std::string columns_text(std::int64_t columns, std::int64_t first_score, const Fit& fit);

}  // namespace repsim::model
