#pragma once

#include <cstdint>
#include <vector>

#include "repsim/fit/attachment.hpp"
#include "workspace.hpp"

/// What shares save beside bytes and FLOPs, worked out on plain programs (graph::joined).
namespace repsim::pipeline {

/// The estimated time of the ops that bring a donor's layer to the receiver's, where it is the only replaced layer.
std::int64_t latency_added_ns(const Workspace& work, ModelIndex receiver, const fit::Replacement& replacement,
                              const fit::AttachmentOptions& options);

/// By how much the estimated time of the receiver and its donors falls.
std::int64_t latency_saved_ns(const Workspace& work, const fit::Cut& cut, const fit::AttachmentOptions& options);

/// What the corrections of a attachment take by the same estimate: arithmetic decides, three ops per corrected map.
std::int64_t corrections_ns(const fit::Attachment& plain, const fit::Attachment& corrected);

/// Predicted peak of activations of all models together with these cuts.
std::int64_t peak_of_all(const Workspace& work, const std::vector<fit::Cut>& cuts,
                         const fit::AttachmentOptions& options);

}  // namespace repsim::pipeline
