#pragma once

#include <vector>

#include "repsim/candidates.hpp"

/// Which layers of one model may stand in for which of another: what cuts are made of.
namespace repsim::candidates {

/// A donor layer that may replace a receiver layer, and what is known of it before anything is merged.
struct RatedReplacement {
  fit::Replacement replacement;
  double similarity = 0;  ///< S
  double r2 = 0;          ///< 0..1, of a linear map from the donor's layer to the receiver's
  bool possible_alone =
      false;  ///< as the only replaced layer; in a larger cut a refit may be possible that is not here
  std::int64_t bytes_added = 0;  ///< as the only replaced layer
  std::int64_t flops_added = 0;  ///< per frame, as the only replaced layer
};

/// Donor layers short-listed by S and rated by the R2 of a linear map, for every layer of the receivers that may be
/// replaced.
/// @return per direction, in the order of the receiver's layers, the donor's of highest S first
std::vector<std::vector<RatedReplacement>> replacements_of(const CandidateInputs& inputs, Progress& progress);

}  // namespace repsim::candidates
