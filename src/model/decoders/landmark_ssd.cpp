// landmark-ssd: boxes [B,N,4], scores [B,N,2] and five landmarks per box [B,N,10] in any order: faces.
//
// As ssd; the landmarks are not compared.
#include "ssd_heads.hpp"

namespace repsim::model {
namespace {

std::optional<SsdHeads> heads_of_landmark_ssd(const c10::IValue& output, const Context& context) {
  SsdHeads heads;
  bool landmarks = false;
  for (const at::Tensor& tensor : parallel_tensors(output, 3, context)) {
    if (tensor.size(2) == 4) heads.boxes = tensor;
    if (tensor.size(2) == 2) heads.scores = tensor;
    if (tensor.size(2) == 10) landmarks = true;
  }
  if (!heads.boxes.defined() || !heads.scores.defined() || !landmarks) return std::nullopt;
  return heads;
}

Fit fit_landmark_ssd(const c10::IValue& output, const OutputSpec& spec, const Context& context) {
  const auto heads = heads_of_landmark_ssd(output, context);
  return heads ? fit_ssd(*heads, spec, context) : Fit::no();
}

std::optional<std::vector<Candidates>> decode_landmark_ssd(const c10::IValue& output, const OutputSpec& spec,
                                                           const Context& context) {
  const auto heads = heads_of_landmark_ssd(output, context);
  if (!heads) return std::nullopt;
  return decode_ssd(*heads, spec, context);
}

}  // namespace

const Decoder kLandmarkSsdDecoder{OutputFormat::kLandmarkSsd, fit_landmark_ssd, decode_landmark_ssd};

}  // namespace repsim::model
