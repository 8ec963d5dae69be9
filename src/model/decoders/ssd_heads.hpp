#pragma once

#include "candidates.hpp"

/// The formats of single-shot detectors: a box and a score per class for each default box.
namespace repsim::model {

struct SsdHeads {
  at::Tensor boxes;   ///< [B,N,4]
  at::Tensor scores;  ///< [B,N,C]
};

/// Resolves SsdOptions from the values. Without priors, boxes have to be x1 y1 x2 y2. In doubt the answer is no, with
/// the option that would decide.
Fit fit_ssd(const SsdHeads& heads, const OutputSpec& spec, const Context& context);

/// Decodes the boxes and scores per frame; nothing when there are not as many boxes as priors.
std::optional<std::vector<Candidates>> decode_ssd(const SsdHeads& heads, const OutputSpec& spec,
                                                  const Context& context);

/// The default boxes, [N,4] float: cx cy w h relative to the input.
at::Tensor prior_boxes(const Priors& priors, const InputSpec& input);

/// The tensors of a tuple, list or dict that consists of `count` tensors [B,N,..] of equal N; empty for other outputs.
std::vector<at::Tensor> parallel_tensors(const c10::IValue& output, std::size_t count, const Context& context);

/// Whether each row is a distribution over the classes.
bool rows_sum_to_one(const at::Tensor& scores);

}  // namespace repsim::model
