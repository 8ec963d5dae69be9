#pragma once

#include <cstdint>
#include <vector>

#include "repsim/fit/attachment.hpp"
#include "repsim/session.hpp"

/// What shares save beside bytes and FLOPs, worked out on plain programs (graph::merged_program).
namespace repsim::candidates {

/// The ops of a donor whose values a cut takes.
[[nodiscard]] std::vector<OpIndex> given_ops(const graph::Program& program, const graph::Cut& cut, ModelIndex donor);

/// The estimated time of the ops that bring a donor's layer to the receiver's, where it is the only replaced layer. If
/// the donor is a guest, the time of its layers, too.
std::int64_t latency_added_ns(const session::Session& session, ModelIndex receiver, const fit::Replacement& replacement,
                              const fit::AttachmentOptions& options);

/// By how much the estimated time of the receiver and its donors falls on a frame of the receiver's stream.
std::int64_t latency_saved_ns(const session::Session& session, const fit::Cut& cut,
                              const fit::AttachmentOptions& options);

/// Predicted peak of activations of all models of the session's stream together with these cuts.
std::int64_t peak_of_all(const session::Session& session, const std::vector<fit::Cut>& cuts,
                         const fit::AttachmentOptions& options);

}  // namespace repsim::candidates
