#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/similarity.hpp"
#include "repsim/verify_metrics.hpp"
#include "repsim/video_list.hpp"

/// A plan as plain data, and its forms: plan.json and the terminal's table. report.html: report_page.hpp.
namespace repsim::report {

inline constexpr int kPlanSchemaVersion = 1;

/// Models that take the same tensor: one argument of the bundle's forward.
struct InputGroup {
  model::InputSpec spec;
  std::vector<std::string> models;
};

using verify::Accuracy;
using verify::Fidelity;

/// What a model finds by itself on a part of the frames.
struct PartEvidence {
  std::int64_t frames = 0;
  std::int64_t detections = 0;  ///< of score >= threshold
  std::int64_t scanned = 0;     ///< further frames of the part that repsim looked at
};

/// What the plan's figures of a model rest on. Plans of earlier versions do not say.
struct ModelEvidence {
  std::optional<PartEvidence> calibration = {};  ///< counted for models that find too little elsewhere
  PartEvidence selection = {}, test = {};
  std::int64_t wanted = 0;  ///< detections on the selection frames, and on the test frames
  bool accepted = false;    ///< --accept-unmeasured names the model
  [[nodiscard]] bool is_enough() const { return selection.detections >= wanted && test.detections >= wanted; }
};

struct ModelEntry {
  std::string name, path, sha256;
  model::InputSpec input;
  std::string input_source;     ///< "flags", "config" or "archive: RECORD"
  model::OutputSpec output;     ///< resolved: never auto
  std::string format_reason;    ///< how the format was recognised
  std::string run_method;       ///< "run_<identifier>"
  std::string stream;           ///< name of its stream; empty: there is one stream
  bool rewritable = true;       ///< false: opaque, nothing can be taken or replaced
  bool frame_by_frame = false;  ///< fails on some frames of the video if it gets several at once
  std::string opaque_reason;
  std::int64_t layers = 0, parameters = 0, bytes = 0, flops = 0;
  std::int64_t unused_bytes = 0;  ///< of `bytes`: that forward never reads, and that a bundle leaves out
  Fidelity fidelity;
  std::optional<ModelEvidence> evidence;  ///< absent for the format tensor
  std::optional<Accuracy> accuracy;
};

struct Replaced {
  std::string receiver_layer;
  std::string donor;  ///< the model that has donor_layer
  std::string donor_layer;
  double similarity = 0;  ///< S of the two layers on the calibration frames; NaN: one is constant on them
  std::string adapter;    ///< "none", "resize", "resample", "linear", "resize+linear", "resample+linear"
  bool refit = false;     ///< the next convolution was solved again instead
  double residual =
      0;  ///< 1 - R2 of the fit on calibration frames: of the adapter, or of the refitted convolutions (worst)
  std::int64_t correction_rank = 0;  ///< of the correction beside the adapter or the refitted convolutions; 0: none
};

/// A further layer of a donor that the corrections of a share read.
struct AuxiliaryInput {
  std::string donor, donor_layer;
};

/// A layer of a receiver that runs with a donor's weight and a difference of low rank.
struct SharedWeight {
  std::string layer;  ///< of the receiver: path of the weight without ".weight"
  std::string donor, donor_layer;
  std::int64_t rank = 0;       ///< of the difference; 0: the donor's weight as it is
  double output_variance = 0;  ///< the part of the layer's output variance that differs on the calibration frames
};

struct Share {
  std::string receiver;
  std::string donor;                ///< gives most of the layers or weights; on a tie, the first in plan order
  std::vector<std::string> donors;  ///< every model that gives a layer or a weight, in plan order
  /// Donors, and donors of these, that run on another stream: only weights are shared with them, and their layers run
  /// on the receiver's frames besides. In plan order; empty where there is one stream.
  std::vector<std::string> guests = {};
  std::vector<Replaced> replaced;
  std::vector<SharedWeight> weights;             ///< none in older plans
  std::vector<AuxiliaryInput> auxiliary_inputs;  ///< none in older plans
  std::vector<std::string> removed_layers;
  std::int64_t bytes_removed = 0;                   ///< of the receiver's parameters that are gone
  std::int64_t bytes_added = 0;                     ///< of adapters, and of refitted convolutions beyond what they had
  std::int64_t flops_removed = 0, flops_added = 0;  ///< per frame; layers of guests count as added
  double predicted_fidelity = 0;
  std::optional<double> measured_fidelity;  ///< of the receiver, on the test frames; nothing: nothing was compared
};

/// The model that gives one layer of a share.
[[nodiscard]] inline const std::string& donor_of(const Share& share, const Replaced& replaced) {
  return replaced.donor.empty() ? share.donor : replaced.donor;
}

/// Exact sharing: the bundle stores bit-identical tensors once and computes identical operations once.
struct ExactSharing {
  std::int64_t parameters_deduplicated = 0;  ///< tensors stored once instead of several times
  std::int64_t bytes_saved = 0;
  std::int64_t ops_computed_once = 0, flops_saved = 0;  ///< of ops with parameters, per frame
};

/// A share that the search considered. `measured_fidelity` is absent where the search never measured it.
struct Candidate {
  std::string receiver, donor;                                           ///< as in a share
  std::vector<std::string> receiver_layers, layer_donors, donor_layers;  ///< layer by layer
  double similarity = 0;          ///< smallest S over the replaced layers; NaN: one is constant
  std::int64_t bytes_saved = 0;   ///< removed minus added; bytes that another model holds too do not count as removed
  std::int64_t flops_saved = 0;   ///< removed minus added, per frame
  double predicted_fidelity = 0;  ///< before a measurement
  std::optional<double> measured_fidelity;
  bool chosen = false;
  std::string reason;  ///< why it was rejected or chosen
  /// What a candidate that shares weights shares.
  struct Weights {
    std::int64_t layers = 0, ranks = 0;  ///< ranks: their sum
    double output_variance = 0;  ///< the part of a layer's output variance that differs, the worst of its layers
  };
  std::optional<Weights> weights = std::nullopt;  ///< absent: it shares representations
  // Plans of earlier versions do not say these.
  std::optional<std::int64_t> latency_saved_ns = std::nullopt;  ///< of the estimate, per frame
  std::optional<std::int64_t> memory_saved = std::nullopt;  ///< bytes_saved plus what the peak of activations falls by
  std::optional<double> r2 = std::nullopt;                  ///< smallest over the replaced layers
  /// Holds the true fidelity nine times in ten. Absent: predicted_fidelity is r2, since no candidate of these models
  /// was measured before.
  std::optional<verify::Interval> predicted_interval = std::nullopt;
};

struct Totals {
  std::int64_t parameters = 0, bytes = 0, flops = 0, peak_activation_bytes = 0;
  /// Of one frame on a nominal machine (graph::op_latencies_ns); plans of earlier versions do not say.
  std::optional<std::int64_t> latency_estimate_ns = std::nullopt;
};

/// The videos of a plan, or of one of its streams, and the frames that were sampled from them.
struct PlanVideos {
  /// Of the video; of several, their paths with ", " between them, and what stands for their hashes
  /// (video::sha256_of_hashes()).
  std::string video_path, video_sha256;
  std::int64_t video_frames = 0;    ///< of all videos together
  std::vector<ListedVideo> videos;  ///< empty where there is one
  // Frame numbers count through all videos.
  std::vector<std::int64_t> calibration_frames;
  std::vector<std::int64_t> selection_frames;  ///< candidates were measured on these; empty: on holdout_frames
  std::vector<std::int64_t> holdout_frames;    ///< test frames: every fidelity of a model was measured on these

  /// Frames that chose among candidates and do not judge: 0 where the same frames do both.
  [[nodiscard]] std::int64_t choosing_frames() const {
    return selection_frames == holdout_frames ? 0 : std::ssize(selection_frames);
  }
};

/// What a frame costs, as in Totals.
struct FrameCost {
  std::int64_t flops = 0, peak_activation_bytes = 0, latency_estimate_ns = 0;
};

/// Models that run on the same frames.
struct PlanStream : PlanVideos {
  std::string name;
  std::string run_method;           ///< of the bundle: runs all models of the stream on one frame
  std::vector<std::string> models;  ///< in plan order
  FrameCost before, after;          ///< of its models as they are, one after the other, and of `run_method`
};

struct Plan : PlanVideos {
  std::string tool_version;
  std::string torch_version;  ///< of LibTorch; empty: a plan of an earlier version
  std::string settings_sha256;
  Json settings = Json::object();   ///< every setting that decides the outcome, resolved, laid out as
                                    ///< a config file: the reports read settings.merge.min_fidelity where it is there
  std::vector<PlanStream> streams;  ///< empty where there is one; else the plan's own PlanVideos are empty
  std::int64_t judgements = 0;      ///< how often a found plan was measured on holdout_frames; 0: not known
  std::vector<InputGroup> inputs;
  std::vector<ModelEntry> models;
  ExactSharing exact;
  std::vector<Share> shares;
  std::vector<Candidate> candidates;  ///< the Pareto front of predicted fidelity and bytes, and all that were measured
  Totals before, after;
  std::optional<Totals> deduplicated;  ///< the models after exact sharing alone, without a share of layers;
                                       ///< absent in plans of earlier versions
  std::int64_t bundle_bytes = 0;       ///< of bundle.pt
  std::string bundle_sha256;
};

/// The frames of a plan by what they did, as its JSON names them.
[[nodiscard]] std::vector<NamedFrames> frames_of(const PlanVideos& videos);

/// The streams of a plan. One without several has one without a name, whose method is forward and whose models are all.
[[nodiscard]] std::vector<PlanStream> streams_of(const Plan& plan);

/// What `repsim bundle` found on a bundle that it wrote again from a plan.
struct Rebuilt {
  struct Share {
    std::string receiver, donor;
    std::int64_t replaced = 0;   ///< layers
    double residual = 0;         ///< 1 - R2 on the calibration frames, the worst of its layers
    std::int64_t weights = 0;    ///< layers that run with the donor's weights
    double output_variance = 0;  ///< the part of a layer's output variance that differs, the worst of these
  };
  struct Model {
    std::string name;
    Fidelity fidelity;                       ///< of the bundle now, without baselines
    std::optional<double> planned_fidelity;  ///< that the plan states; nothing: it was not measured
    double min_fidelity = 0;
    /// Measured below min_fidelity. A model of which nothing could be compared is neither broken nor known to hold.
    [[nodiscard]] bool is_broken() const { return fidelity.is_known() && !fidelity.keeps(min_fidelity); }
  };
  std::string path;  ///< of the bundle
  std::int64_t bytes = 0, parameter_bytes = 0;
  std::int64_t parameter_bytes_before = 0;  ///< of the models as they came, together
  std::string sha256, planned_sha256;       ///< equal: the very bytes of the plan's bundle
  std::vector<Share> shares;                ///< in the plan's order
  std::vector<Model> models;
  [[nodiscard]] bool holds() const;  ///< no model is broken
};
[[nodiscard]] Json to_json(const Rebuilt& rebuilt);
/// For a terminal: at most 100 columns, final newline.
[[nodiscard]] std::string summary(const Rebuilt& rebuilt);

/// Keys are the field names, in the order of docs/plan.md. Fidelities, similarities and residuals are rounded to 6
/// decimals, a NaN similarity becomes null; settings and specs keep every digit.
[[nodiscard]] Json to_json(const Plan& plan);
/// Inverse of to_json, up to that rounding. @throws Error{kInput} naming `file` and the field: wrong schema version,
/// missing or unknown keys, wrong types, unknown words, negative sizes
[[nodiscard]] Plan plan_from_json(const Json& json, const std::string& file);

[[nodiscard]] Json to_json(const model::InputSpec& spec);
/// The options of the ssd formats are there for these formats only.
[[nodiscard]] Json to_json(const model::OutputSpec& spec);
/// Reads the options of the ssd formats that are there; leaves the others. @throws Error{kInput}
void read_options(JsonReader& reader, model::SsdOptions& out);
/// All matrices, values rounded to 6 decimals, null where undefined.
[[nodiscard]] Json to_json(const std::vector<similarity::Matrix>& matrices, std::int64_t minibatch,
                           std::int64_t frames);

/// The fidelity that the plan's settings ask of every model without a target of its own, and of one model. Absent where
/// the settings state none.
[[nodiscard]] std::optional<double> min_fidelity(const Plan& plan);
[[nodiscard]] std::optional<double> min_fidelity(const Plan& plan, const std::string& model);

/// The plan for a terminal: one table of models, one of shares, totals, what was tried, and why nothing is shared where
/// that is so. Plain text, at most 100 columns, final newline.
[[nodiscard]] std::string summary(const Plan& plan);

/// Why the plan treats one model as it does, for a terminal: its Pareto front, every candidate with prediction,
/// measurement and verdict, candidates that were not tried, and its other limits (layers that it gives, --keep,
/// opaque). At most 100 columns, final newline.
/// @param model  a name of plan.models
[[nodiscard]] std::string explanation(const Plan& plan, const std::string& model);

/// "1.2 MB", "34.5 kB", "812 B": decimal units, one decimal.
[[nodiscard]] std::string human_bytes(std::int64_t bytes);

}  // namespace repsim::report
