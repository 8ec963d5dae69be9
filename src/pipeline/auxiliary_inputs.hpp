#pragma once

#include <span>
#include <vector>

#include "replacements.hpp"
#include "repsim/planner.hpp"
#include "workspace.hpp"

/// What corrections may read besides: layers that a candidate's donors compute anyway.
namespace repsim::pipeline {

/// Layers of a model that nobody can take once it is a receiver itself, ascending: see share_option_of().
/// @param splices  at most one per receiver
std::vector<int> lost_layers(const Settings& settings, const Workspace& work, std::span<const graph::Splice> splices,
                             ModelIndex model);

/// The layers that fit::choose_auxiliary_inputs() chooses among for a candidate: where paths part in its donors, in
/// each of sixteen stretches of their depth the one of highest S with what its maps return, as far as they have a
/// thousand channels together, the narrowest first. What the cut takes is not among them.
/// @param attachment  of the candidate
/// @param before  the donors' own shares, whose lost layers are left out
std::vector<fit::DonorLayer> offered_auxiliary_inputs(const Settings& settings, const Workspace& work,
                                                      const std::vector<similarity::Signatures>& signatures,
                                                      const fit::Attachment& attachment,
                                                      std::span<const graph::Splice> before);

}  // namespace repsim::pipeline
