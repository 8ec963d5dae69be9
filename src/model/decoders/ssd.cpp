// ssd: scores [B,N,C] and boxes [B,N,4] in either order, as a tuple, list or dict.
//
// Scores are probabilities or logits, with a background class or without. Boxes are x1 y1 x2 y2, or regressions from
// output.priors. Labels count the classes without the background.
#include "ssd_heads.hpp"

namespace repsim::model {
namespace {

std::optional<SsdHeads> heads_of_ssd(const c10::IValue& output, const Context& context) {
  const auto tensors = parallel_tensors(output, 2, context);
  if (tensors.empty()) return std::nullopt;
  const bool first = tensors[0].size(2) == 4, second = tensors[1].size(2) == 4;
  if (!first && !second) return std::nullopt;
  if (first != second) return first ? SsdHeads{tensors[0], tensors[1]} : SsdHeads{tensors[1], tensors[0]};
  // Four classes: distributions are no boxes.
  const bool sums_first = rows_sum_to_one(tensors[0]), sums_second = rows_sum_to_one(tensors[1]);
  if (sums_first == sums_second) return std::nullopt;
  return sums_first ? SsdHeads{tensors[1], tensors[0]} : SsdHeads{tensors[0], tensors[1]};
}

Fit fit_ssd(const c10::IValue& output, const OutputSpec& spec, const Context& context) {
  const auto heads = heads_of_ssd(output, context);
  return heads ? fit_ssd(*heads, spec, context) : Fit::no();
}

std::optional<std::vector<Candidates>> decode_ssd(const c10::IValue& output, const OutputSpec& spec,
                                                  const Context& context) {
  const auto heads = heads_of_ssd(output, context);
  if (!heads) return std::nullopt;
  return decode_ssd(*heads, spec, context);
}

}  // namespace

const Decoder kSsdDecoder{OutputFormat::kSsd, fit_ssd, decode_ssd};

}  // namespace repsim::model
