#include "repsim/plan_diff.hpp"

#include <algorithm>
#include <cmath>

#include "format.hpp"

namespace repsim::report {
namespace {

using Kind = PlanChange::Kind;
using Status = PlanChange::Status;

/// Collects what was compared.
class Comparison {
 public:
  explicit Comparison(const DiffTolerances& tolerances) : tolerances_(tolerances) {}

  /// Structure: any difference is drift.
  void structure(Kind kind, const std::string& subject, const std::string& what, Json before, Json after) {
    add(kind, subject, what, std::move(before), std::move(after), Status::kDrift);
  }

  /// A circumstance or a consequence: a difference is only noted.
  void note(Kind kind, const std::string& subject, const std::string& what, Json before, Json after) {
    add(kind, subject, what, std::move(before), std::move(after), Status::kNoted);
  }

  /// A measured figure with a tolerance. A figure that falls below its target, or is undefined in one plan, is drift.
  void figure(Kind kind, const std::string& subject, const std::string& what, std::optional<double> before,
              std::optional<double> after, std::optional<double> target) {
    Status changed = Status::kDrift;
    if (before && after && std::abs(*after - *before) <= tolerances_.fidelity + kRounding) {
      const bool falls = target && *before >= *target - kRounding && *after < *target - kRounding;
      if (!falls) changed = Status::kTolerated;
    }
    add(kind, subject, what, rounded(before), rounded(after), changed);
  }

  [[nodiscard]] PlanDiff result() && { return std::move(diff_); }

 private:
  static constexpr double kRounding = 1e-9;  // plans state six decimals

  void add(Kind kind, const std::string& subject, const std::string& what, Json before, Json after, Status changed) {
    const Status status = before == after ? Status::kSame : changed;
    diff_.changes.push_back({kind, subject, what, std::move(before), std::move(after), status});
  }

  const DiffTolerances tolerances_;
  PlanDiff diff_;
};

/// "merge.min_fidelity" -> value for all leaves; lists are leaves.
void flatten(const Json& json, const std::string& prefix, std::vector<std::pair<std::string, Json>>& out) {
  for (const auto& [key, value] : json.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object() && !value.empty())
      flatten(value, path, out);
    else
      out.emplace_back(path, value);
  }
}

/// The keys of both, those of `after` first, each once.
std::vector<std::string> all_keys(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<std::string> keys = after;
  for (const std::string& key : before) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

template <typename Item, typename Key>
const Item* find(const std::vector<Item>& items, Key key, const std::string& wanted) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const Item& item) { return key(item) == wanted; });
  return found == items.end() ? nullptr : &*found;
}

template <typename Item, typename Key>
std::vector<std::string> keys_of(const std::vector<Item>& items, Key key) {
  std::vector<std::string> keys;
  for (const Item& item : items) keys.push_back(key(item));
  return keys;
}

void compare_settings(const Plan& before, const Plan& after, Comparison& comparison) {
  std::vector<std::pair<std::string, Json>> old_values, new_values;
  flatten(before.settings, "", old_values);
  flatten(after.settings, "", new_values);
  const auto key = [](const auto& entry) { return entry.first; };
  for (const std::string& name : all_keys(keys_of(old_values, key), keys_of(new_values, key))) {
    const auto* was = find(old_values, key, name);
    const auto* is = find(new_values, key, name);
    // A setting that one of the two versions of repsim does not have decided nothing there.
    if (was == nullptr || is == nullptr) {
      comparison.note(Kind::kSetting, name, "", was ? was->second : Json(), is ? is->second : Json());
    } else {
      comparison.structure(Kind::kSetting, name, "", was->second, is->second);
    }
  }
}

std::string name_of(const ModelEntry& model) { return model.name; }

void compare_models(const Plan& before, const Plan& after, Comparison& comparison) {
  for (const std::string& name : all_keys(keys_of(before.models, name_of), keys_of(after.models, name_of))) {
    const ModelEntry* was = find(before.models, name_of, name);
    const ModelEntry* is = find(after.models, name_of, name);
    if (was == nullptr || is == nullptr) {
      comparison.structure(Kind::kModel, name, "model", was ? Json(was->sha256) : Json(),
                           is ? Json(is->sha256) : Json());
      continue;
    }
    comparison.structure(Kind::kModel, name, "sha256", was->sha256, is->sha256);
    comparison.structure(Kind::kModel, name, "input", to_json(was->input), to_json(is->input));
    comparison.structure(Kind::kModel, name, "output", to_json(was->output), to_json(is->output));
    comparison.note(Kind::kModel, name, "path", was->path, is->path);
  }
}

/// What decides the bundle of a share: layers, donors and how they are attached.
Json structure_of(const Share& share) {
  Json layers = Json::array();
  for (const Replaced& one : share.replaced) {
    layers.push_back({{"receiver_layer", one.receiver_layer},
                      {"donor", donor_of(share, one)},
                      {"donor_layer", one.donor_layer},
                      {"adapter", one.adapter},
                      {"refit", one.refit},
                      {"correction_rank", one.correction_rank}});
  }
  Json inputs = Json::array();
  for (const AuxiliaryInput& one : share.auxiliary_inputs)
    inputs.push_back({{"donor", one.donor}, {"donor_layer", one.donor_layer}});
  Json structure{{"donors", share.donors}, {"replaced", layers}, {"side_inputs", inputs}};
  if (share.weights.empty()) return structure;
  Json weights = Json::array();
  for (const SharedWeight& one : share.weights)
    weights.push_back(
        {{"layer", one.layer}, {"donor", one.donor}, {"donor_layer", one.donor_layer}, {"rank", one.rank}});
  structure["weights"] = weights;
  return structure;
}

std::string receiver_of(const Share& share) { return share.receiver; }

void compare_shares(const Plan& before, const Plan& after, Comparison& comparison) {
  for (const std::string& name : all_keys(keys_of(before.shares, receiver_of), keys_of(after.shares, receiver_of))) {
    const Share* was = find(before.shares, receiver_of, name);
    const Share* is = find(after.shares, receiver_of, name);
    comparison.structure(Kind::kShare, name, "share", was ? structure_of(*was) : Json(),
                         is ? structure_of(*is) : Json());
  }
}

void compare_evidence(const std::string& name, const ModelEntry& was, const ModelEntry& is, Comparison& comparison) {
  const auto count = [](const ModelEntry& model, PartEvidence ModelEvidence::* part) {
    return model.evidence ? Json((*model.evidence.*part).detections) : Json();
  };
  comparison.note(Kind::kEvidence, name, "detections on the selection frames", count(was, &ModelEvidence::selection),
                  count(is, &ModelEvidence::selection));
  comparison.note(Kind::kEvidence, name, "detections on the test frames", was.fidelity.own_detections,
                  is.fidelity.own_detections);
  const auto kept = [](const ModelEntry& model) { return model.fidelity.kept ? Json(*model.fidelity.kept) : Json(); };
  comparison.note(Kind::kEvidence, name, "detections kept", kept(was), kept(is));
  comparison.note(Kind::kEvidence, name, "false alarms", was.fidelity.false_alarms, is.fidelity.false_alarms);
}

void compare_figures(const Plan& before, const Plan& after, Comparison& comparison) {
  for (const ModelEntry& is : after.models) {
    const ModelEntry* was = find(before.models, name_of, is.name);
    if (was == nullptr) continue;
    comparison.figure(Kind::kFidelity, is.name, "fidelity", was->fidelity.value, is.fidelity.value,
                      min_fidelity(after, is.name));
    // Outputs that are undefined in both plans may differ in whether they are the original's.
    comparison.structure(Kind::kFidelity, is.name, "bit_identical", was->fidelity.bit_identical,
                         is.fidelity.bit_identical);
    if (was->accuracy && is.accuracy)
      comparison.figure(Kind::kAccuracy, is.name, "AP50", was->accuracy->merged, is.accuracy->merged, {});
    for (const verify::VideoFidelity& video : is.fidelity.videos) {
      const auto same = [&](const verify::VideoFidelity& other) { return other.video == video.video; };
      const auto found = std::find_if(was->fidelity.videos.begin(), was->fidelity.videos.end(), same);
      const auto number = [](const std::optional<double>& value) { return value ? Json(rounded(*value)) : Json(); };
      comparison.note(Kind::kFidelity, is.name, "fidelity on " + video.video,
                      found == was->fidelity.videos.end() ? Json() : number(found->value), number(video.value));
    }
    compare_evidence(is.name, *was, is, comparison);
  }
}

Json milliseconds(const Totals& totals) {
  if (!totals.latency_estimate_ns) return {};
  return rounded(static_cast<double>(*totals.latency_estimate_ns) / kNanosecondsPerMillisecond);
}

void compare_totals(const Plan& before, const Plan& after, Comparison& comparison) {
  const Totals &was = before.after, &is = after.after;
  comparison.structure(Kind::kTotal, "bytes", "", was.bytes, is.bytes);
  comparison.structure(Kind::kTotal, "flops", "", was.flops, is.flops);
  // Estimates: another version of repsim may make them in another way.
  comparison.note(Kind::kTotal, "peak_activation_bytes", "", was.peak_activation_bytes, is.peak_activation_bytes);
  comparison.note(Kind::kTotal, "latency_estimate_ms", "", milliseconds(was), milliseconds(is));
}

std::string name_of_video(const ListedVideo& video) { return video.name; }

/// Of plans with several videos, one by one.
void compare_videos(const PlanVideos& before, const PlanVideos& after, Comparison& comparison) {
  const auto content = [](const ListedVideo* video) {
    return video ? Json{{"sha256", video->sha256}, {"weight", video->weight}} : Json();
  };
  for (const std::string& name :
       all_keys(keys_of(before.videos, name_of_video), keys_of(after.videos, name_of_video))) {
    const ListedVideo* was = find(before.videos, name_of_video, name);
    const ListedVideo* is = find(after.videos, name_of_video, name);
    comparison.structure(Kind::kVideo, name, "content and weight", content(was), content(is));
  }
}

/// Videos and frames of plans, or of a stream of theirs.
/// @param of  what is said of a stream behind a name: " of north"
void compare_recordings(const PlanVideos& before, const PlanVideos& after, const std::string& of,
                        Comparison& comparison) {
  comparison.structure(Kind::kVideo, "video" + of, "sha256", before.video_sha256, after.video_sha256);
  comparison.note(Kind::kVideo, "video" + of, "path", before.video_path, after.video_path);
  compare_videos(before, after, comparison);
  comparison.structure(Kind::kFrames, "calibration" + of, "frames", before.calibration_frames,
                       after.calibration_frames);
  comparison.structure(Kind::kFrames, "selection" + of, "frames", before.selection_frames, after.selection_frames);
  comparison.structure(Kind::kFrames, "test" + of, "frames", before.holdout_frames, after.holdout_frames);
}

/// Of plans whose models run on several streams, one by one.
void compare_streams(const Plan& before, const Plan& after, Comparison& comparison) {
  const auto name = [](const PlanStream& stream) { return stream.name; };
  for (const std::string& one : all_keys(keys_of(before.streams, name), keys_of(after.streams, name))) {
    const PlanStream* was = find(before.streams, name, one);
    const PlanStream* is = find(after.streams, name, one);
    const auto models = [](const PlanStream* stream) { return stream ? Json(stream->models) : Json(); };
    comparison.structure(Kind::kVideo, one, "models on the stream", models(was), models(is));
    if (was && is) compare_recordings(*was, *is, " of " + one, comparison);
  }
}

}  // namespace

std::optional<double> PlanChange::difference() const {
  if (!before.is_number() || !after.is_number()) return std::nullopt;
  return after.get<double>() - before.get<double>();
}

bool PlanDiff::has_drift() const {
  return std::any_of(changes.begin(), changes.end(),
                     [](const PlanChange& change) { return change.status == Status::kDrift; });
}

PlanDiff compare(const Plan& before, const Plan& after, const DiffTolerances& tolerances) {
  Comparison comparison(tolerances);
  compare_shares(before, after, comparison);
  compare_totals(before, after, comparison);
  compare_figures(before, after, comparison);
  compare_settings(before, after, comparison);
  compare_models(before, after, comparison);
  if (before.streams.empty() || after.streams.empty()) compare_recordings(before, after, "", comparison);
  compare_streams(before, after, comparison);
  comparison.note(Kind::kBundle, "bundle.pt", "sha256", before.bundle_sha256, after.bundle_sha256);
  comparison.note(Kind::kTool, "repsim", "version", before.tool_version, after.tool_version);
  if (!before.torch_version.empty() && !after.torch_version.empty())
    comparison.note(Kind::kTool, "LibTorch", "version", before.torch_version, after.torch_version);
  return std::move(comparison).result();
}

}  // namespace repsim::report
