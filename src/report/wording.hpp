#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repsim/report.hpp"

/// What the numbers of a plan mean, in sentences that the terminal and the page share. A model agrees with its
/// original; the word accuracy is kept for ground truth.
namespace repsim::report {

/// "plain, mobile, tiny": the models of the plan, in its order.
[[nodiscard]] std::string model_names(const Plan& plan);

/// Where the models run on several streams, a line per stream: "north: front, side run on one frame (forward_north);
/// 64 of 900 frames of north.mp4: 45 fit, 10 choose, 9 judge". Else empty.
[[nodiscard]] std::vector<std::string> streams_in_words(const Plan& plan);

/// "only weights are shared with wide: its layers run on the frames of this stream as well"; empty without guests.
[[nodiscard]] std::string guests_in_words(const Share& share);

/// How the model's agreement compares with the original's own under small changes of the frames.
[[nodiscard]] std::string agreement_in_words(const ModelEntry& model);

/// "original against itself: JPEG 95 0.967, JPEG 80 0.912, shift by one pixel 0.857"; empty when bit-identical or not
/// measured.
[[nodiscard]] std::string baselines_in_words(const ModelEntry& model);

/// Why nothing could be compared: "finds nothing on these frames". For a fidelity without value.
[[nodiscard]] std::string why_undefined(const Fidelity& fidelity);

/// "keeps 212 of 220 detections, 1.4 false alarms per 100 frames"; empty without detections.
[[nodiscard]] std::string figures_in_words(const Fidelity& fidelity);

/// "most differs on frames 512 (2 missed, 1 false), 530 (1 missed)"; empty where no frame differs.
[[nodiscard]] std::string worst_frames_in_words(const Fidelity& fidelity);

/// figures_in_words() and on how many frames they rest; empty for identical outputs.
[[nodiscard]] std::string measured_in_words(const Fidelity& fidelity);

/// Per video, where there are several: "north: 0.951 (0.930 to 0.970), keeps 9 of 10 detections, ..., on 12 frames".
/// Empty for identical outputs.
/// @param target  the fidelity that was asked for on all videos together: a video below it says so
[[nodiscard]] std::vector<std::string> videos_in_words(const Fidelity& fidelity, std::optional<double> target = {});

/// What a model with too little evidence finds, and what would help; empty where the evidence is enough.
[[nodiscard]] std::string evidence_in_words(const ModelEntry& model);

/// "0.912 to 0.934"; "-" where both ends are equal: such an interval is not defined.
[[nodiscard]] std::string interval_text(const Fidelity& fidelity);

/// Accuracy of original and merged model with intervals; empty without ground truth.
[[nodiscard]] std::string accuracy_in_words(const ModelEntry& model);

/// "saves 574.2 kB of 1.9 MB of parameters (-29.7 %) with 1 share; of the 1.8 MB that plain de-duplication leaves it
/// saves 28.1 %".
[[nodiscard]] std::string saving_in_words(const Plan& plan);

/// How many candidates were measured, how many kept the target, how many were only predicted.
[[nodiscard]] std::string search_in_words(const Plan& plan);

/// Why the plan has no shares, and what would change that. One sentence per element.
[[nodiscard]] std::vector<std::string> why_no_shares(const Plan& plan);

/// What exact sharing saves, in words; empty where it found nothing.
[[nodiscard]] std::string exact_sharing_in_words(const ExactSharing& exact);

/// The model's own parameter bytes after its shares: without removed layers, with adapters and refitted weights.
[[nodiscard]] std::int64_t bytes_after(const Plan& plan, const ModelEntry& model);

/// "plain <- mobile"; "plain <- mobile + tiny" where layers of one cut come from several donors.
[[nodiscard]] std::string title_of(const Share& share, const std::string& arrow = "<-");
[[nodiscard]] std::string title_of(const Candidate& candidate, const std::string& arrow = "<-");

/// Whether the layers come from several donors.
[[nodiscard]] bool is_mixed(const Share& share);

/// "14 layers run with weights of mobile: 3 with them as they are, 11 with differences of rank 1 to 12; at most 0.98 %
/// of a layer's output variance differs"; empty: the share has none.
[[nodiscard]] std::string weights_in_words(const Share& share);
/// "difference of rank 4" or "as it is": how a layer runs with another one's weight.
[[nodiscard]] std::string means_in_words(const SharedWeight& weight);
/// "3 layers", "weights of 14 layers", or both: what a candidate takes.
[[nodiscard]] std::string taken_in_words(const Candidate& candidate, const std::string& layer = "layer");

/// "linear", "resize+linear, refit": how a representation is replaced.
[[nodiscard]] std::string means_in_words(const Replaced& replaced);

}  // namespace repsim::report
