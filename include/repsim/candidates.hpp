#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "repsim/candidate.hpp"
#include "repsim/config.hpp"
#include "repsim/fit/attachment.hpp"
#include "repsim/fit/screening.hpp"
#include "repsim/fit/shared_weights.hpp"
#include "repsim/planner.hpp"
#include "repsim/search.hpp"
#include "repsim/session.hpp"
#include "repsim/similarity.hpp"

/// From settings, models and similarities to what the search chooses among: directions, candidates with their savings,
/// and what each candidate takes from the models. Nothing is merged or measured here.
namespace repsim::candidates {

using config::Direction;
using config::Settings;

/// "wide", "wide+shuffle"
[[nodiscard]] std::string names_of(const session::Session& session, const std::vector<ModelIndex>& models);

/// Names of the models that a cut takes from.
struct DonorNames {
  std::string most;              ///< gives most of the layers; of equals the first in plan order
  std::vector<std::string> all;  ///< in plan order
};
[[nodiscard]] DonorNames donor_names(const session::Session& session, const graph::Cut& cut);

/// FLOPs per frame of the layers of guests that a cut needs: they run for its receiver alone. Guests as they are
/// without shares.
[[nodiscard]] std::int64_t guest_flops(const session::Session& session, const graph::Cut& cut);

/// Donors of a cut, and donors of these, that do not run on the session's videos, in plan order.
/// @param before  shares of the donors, if they have any
[[nodiscard]] std::vector<ModelIndex> guests_of(const session::Session& session, const graph::Cut& cut,
                                                std::span<const graph::Splice> before);

/// Pairs of models that may share: all ordered pairs of rewritable models, or the directions that the user forces,
/// without the models that are kept and those that may not give.
[[nodiscard]] std::vector<Direction> directions(const Settings& settings, std::span<const session::Model> models);

/// The models that take in these directions, in their order.
[[nodiscard]] std::vector<ModelIndex> receivers_of(std::span<const Direction> directions,
                                                   std::span<const session::Model> models);

/// What of the settings decides which candidates there are.
struct Options {
  fit::AttachmentOptions attachment;  ///< without corrections
  std::vector<std::string> layers;    ///< globs of the layers that may be replaced; empty: all
  std::vector<std::string> exclude;   ///< globs of layers that take no part
  planner::Objective objective = planner::Objective::kBytes;
  /// Models on several streams: the largest predicted peak of activations of a frame of the other streams. It stays
  /// whatever receivers of this stream take.
  std::int64_t peak_elsewhere = 0;
};
[[nodiscard]] Options options_of(const Settings& settings);

/// Whether the user's globs allow that a layer of this name takes part.
[[nodiscard]] bool names_allow(const Options& options, const std::string& layer, bool as_receiver);
/// Predicted peak of activations of the models of a session on one frame, without shares.
[[nodiscard]] std::int64_t peak_without_shares(const session::Session& session);

/// Layers that may take part: float feature maps of three dimensions that the user's globs allow.
[[nodiscard]] std::vector<bool> usable_layers(const Options& options, const graph::Program& program, bool as_receiver);

/// What candidates are made from. All of it outlives the call.
struct CandidateInputs {
  const Options& options;
  const session::Session& session;
  const similarity::ModelPairs& similarity;
  const std::vector<Direction>& directions;  ///< see directions()
  const capture::Stores& frames;             ///< of trials: pairs of layers are screened on them
  const fit::Outputs& outputs;               ///< what the pass over them gives besides: see fit::screen()
};

/// The fronts of each direction, then of each receiver's mixed cuts. One pass over the frames.
/// @throws Error{kInterrupted}
[[nodiscard]] std::vector<planner::Candidate> find_candidates(const CandidateInputs& inputs, Progress& progress);

/// Candidates that share weights instead of layers: for each direction and each of a few tolerances one, in which every
/// weight has the smallest rank that leaves no more than the tolerance of its layer's output variance. Weights
/// that this does not make smaller stay the receiver's own. Only candidates that save something of the objective, and
/// at least a hundredth of the receiver's bytes. One pass over the frames per receiver.
/// @param differences  on the frames of trials
/// @throws Error{kInput} where a receiver fails on a frame; Error{kInterrupted}
[[nodiscard]] std::vector<planner::Candidate> find_weight_candidates(const Options& options,
                                                                     const session::Session& session,
                                                                     const std::vector<Direction>& directions,
                                                                     fit::WeightDifferences& differences);

/// Candidates that do both: of the pair's candidates that replace layers, with the weights of layers that these leave
/// as they are, at each of the tolerances. Of each direction a few: those that no other one beats in bytes saved and in
/// predicted fidelity. None where the objective does not count bytes.
/// @param layers  what find_candidates() returned; mixed cuts are left alone
/// @param differences  on the frames of trials
/// @throws Error{kInput} where a receiver fails on a frame; Error{kInterrupted}
[[nodiscard]] std::vector<planner::Candidate> find_combined_candidates(const Options& options,
                                                                       const session::Session& session,
                                                                       std::span<const planner::Candidate> layers,
                                                                       fit::WeightDifferences& differences);

/// The candidate as a share option: what it takes from its donors, and what its receiver cannot give any more. The
/// receiver cannot give what it does not compute, nor weights that it does not hold. If convolutions are refitted, it
/// cannot give what lies between the cut and them either, since that has the donor's channels.
/// @param options  with which the cut is attached
[[nodiscard]] planner::ShareOption share_option_of(const session::Session& session, const graph::Cut& cut,
                                                   const fit::AttachmentOptions& options);

/// What the search is asked, without what is known of the models' evidence.
/// @param targets  per model: the fidelity that it has to keep
[[nodiscard]] planner::SearchInput search_input(const session::Session& session,
                                                std::vector<planner::Candidate> candidates, std::vector<double> targets,
                                                const fit::AttachmentOptions& options);

/// The layers that fit::choose_auxiliary_inputs() chooses among for a candidate: where paths part in its donors, in
/// each of sixteen stretches of their depth the one of highest S with what its maps return, as far as they have a
/// thousand channels together, the narrowest first. What the cut takes is not among them.
/// @param attachment  of the candidate
/// @param before  the donors' own shares, whose lost layers are left out; at most one per receiver
[[nodiscard]] std::vector<fit::DonorLayer> offered_auxiliary_inputs(const Options& options,
                                                                    const session::Session& session,
                                                                    const similarity::ModelPairs& similarity,
                                                                    const fit::Attachment& attachment,
                                                                    std::span<const graph::Splice> before);

}  // namespace repsim::candidates
