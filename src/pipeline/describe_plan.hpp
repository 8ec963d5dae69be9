#pragma once

#include "repsim/bundle.hpp"
#include "search.hpp"

namespace repsim::pipeline {

/// Which frames choose among candidates, and which judge the plan: the first and the second half of the hold-out part.
/// Halves of the video rather than every other frame, since neighbouring frames are near-copies. Where it has too few
/// for two, all of it does both.
struct Judging {
  std::vector<std::int64_t> selection, holdout;
};

/// Names of the models that a cut takes from.
struct DonorNames {
  std::string most;              ///< gives most of the layers; of equals the first in plan order
  std::vector<std::string> all;  ///< in plan order
};
DonorNames donor_names(const Workspace& work, const graph::Cut& cut);

/// What is put between a donor's layer and the receiver's: "none", "resize", "resample", "linear", "resize+linear",
/// "resample+linear".
std::string adapter_word(const fit::Attachment& attachment, std::size_t replacement);

/// Everything in the plan that is known once the bundle is written; fidelities come from verification.
/// @param deduplicated  the bundle of the same models without shares
report::Plan describe_plan(const Settings& settings, const Workspace& work, const video::VideoInfo& video,
                           const video::Sampling& sampling, const Judging& judging, const SearchResult& found,
                           const bundle::Written& written, const bundle::Written& deduplicated,
                           const std::vector<similarity::Signatures>& signatures);

}  // namespace repsim::pipeline
