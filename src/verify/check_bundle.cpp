#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/bundle.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

Forward original_of(const BundleCheck& check, std::size_t model) {
  const CheckedModel& checked = check.models[model];
  if (checked.original) return checked.original;
  return remembered(original_forward(*checked.loaded, *check.set, *check.frames, checked.head.group));
}

/// The bundle runs all models at once: one that fails alone is the one to name.
[[noreturn]] void explain_bundle(const BundleCheck& check, std::span<const std::int64_t> positions,
                                 const std::exception& error) {
  rethrow_out_of_memory(error);
  log::debug(error.what());
  for (std::size_t i = 0; i < check.models.size(); ++i) (void)original_of(check, i)(positions);
  throw graph::failure_of_merged(check.frames->front().frames()[positions.front()], error.what());
}

/// Runs the bundle's method, which returns a tuple with one result per model.
Forward bundle_forward(const BundleCheck& check, const capture::Stores& stores) {
  torch::jit::Module module = check.bundle ? *check.bundle : load_bundle(check.bundle_path);
  const std::vector<int> groups = groups_of(check, module);
  return [module, groups, &check, &stores](std::span<const std::int64_t> positions) mutable {
    const c10::InferenceMode no_gradients;
    c10::IValue result;
    const CrashNote note = model::note_of_run(check.bundle_path);
    try {
      result = module.get_method(check.method)(capture::group_inputs(*check.set, stores, groups, positions));
    } catch (const std::exception& error) {
      explain_bundle(check, positions, error);
    }
    if (!result.isTuple() || result.toTupleRef().elements().size() != check.models.size())
      throw input_error("the bundle does not return one result per model", check.bundle_path, "run repsim plan again");
    return result;
  };
}

/// Equal values, NaN in the same places.
bool equal_with_nan(const at::Tensor& left, const at::Tensor& right) {
  if (at::equal(left, right)) return true;
  if (!left.is_floating_point() && !left.is_complex()) return false;
  return at::allclose(left, right, /*rtol=*/0, /*atol=*/0, /*equal_nan=*/true);
}

/// Adds bit identity and the largest difference between two outputs to `fidelity`.
void compare(const c10::IValue& own, const c10::IValue& merged, Fidelity& fidelity) {
  const auto left = model::tensors_of(own), right = model::tensors_of(merged);
  if (left.size() != right.size()) {
    fidelity.bit_identical = false;
    return;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].scalar_type() != right[i].scalar_type() || left[i].sizes() != right[i].sizes()) {
      fidelity.bit_identical = false;
      continue;
    }
    if (equal_with_nan(left[i], right[i])) continue;
    fidelity.bit_identical = false;
    const bool is_complex = left[i].is_complex();
    if ((left[i].is_floating_point() || is_complex) && left[i].numel() > 0) {
      const at::ScalarType type = is_complex ? at::kComplexDouble : at::kDouble;
      // A value that is not finite on one side has no difference; fidelity counts it.
      const at::Tensor difference =
          (left[i].to(type) - right[i].to(type)).abs().nan_to_num(0, /*posinf=*/0, /*neginf=*/0);
      fidelity.max_abs_difference = std::max(fidelity.max_abs_difference, difference.max().item<double>());
    }
  }
}

FrameList frames_of(const BundleCheck& check) {
  const std::vector<std::int64_t>& frames = check.frames->front().frames();
  if (check.playlist == nullptr || !check.playlist->has_several()) return {frames};
  return {frames, check.playlist->counts_of(frames)};
}

/// Fidelity per video; empty where there is one video.
std::vector<VideoFidelity> video_fidelities(const BundleCheck& check, const Head& head, const Reference& own,
                                            const Measured& merged) {
  std::vector<VideoFidelity> videos;
  if (merged.per_video.size() < 2) return videos;
  if (!own.targets.empty()) {
    videos = fidelity_per_video(merged.found, own.targets, merged.per_video, head.output.score_threshold, check.seed);
  } else {
    for (std::size_t i = 0; i < merged.raw_of_videos.size(); ++i) {
      const TensorAgreement& raw = merged.raw_of_videos[i];
      videos.push_back({{}, raw.fidelity(), {}, merged.per_video[i], 0, {}, 0});
      if (videos.back().value) videos.back().interval = raw.interval(0.9, kDraws, check.seed);
    }
  }
  for (std::size_t i = 0; i < videos.size(); ++i) videos[i].video = check.playlist->videos()[i].name;
  return videos;
}

/// What the measurement says of one model. The verdict knows bit identity already.
void describe(const BundleCheck& check, const Head& head, const Reference& own, const Measured& merged,
              Verdict& verdict) {
  const std::vector<std::int64_t>& frames = check.frames->front().frames();
  Fidelity& fidelity = verdict.fidelity;
  fidelity.value = merged.fidelity;
  fidelity.frames = static_cast<std::int64_t>(frames.size());
  fidelity.own_detections = own.own_detections;
  fidelity.boxes_without_area = own.boxes_without_area + merged.boxes_without_area;
  fidelity.interval = {merged.fidelity.value_or(0), merged.fidelity.value_or(0)};
  if (merged.raw && merged.fidelity && !fidelity.bit_identical)
    fidelity.interval = merged.raw->interval(0.9, kDraws, check.seed);
  fidelity.videos = video_fidelities(check, head, own, merged);
  for (VideoFidelity& video : fidelity.videos) {
    if (fidelity.bit_identical) video.interval = {video.value.value_or(0), video.value.value_or(0)};
  }
  fidelity.is_raw = own.targets.empty();
  if (fidelity.is_raw) return;
  constexpr double kNearlyAll = 0.95;
  if (standing_still(own.targets) >= kNearlyAll)
    log::warn(head.name +
              " finds the same objects in the same places on all frames: does it see the picture as it was " +
              "trained to (--input)? Its fidelity rests on few different objects");
  // Identical outputs are identical in every resample: the interval is the value itself.
  if (own.own_detections > 0 && !fidelity.bit_identical)
    fidelity.interval = bootstrap_interval(merged.found, own.targets, 0.9, kDraws, check.seed, merged.per_video);
  const DetectionFigures figures = detection_figures(merged.found, own.targets, head.output.score_threshold);
  fidelity.kept = figures.kept;
  fidelity.false_alarms = figures.false_alarms;
  for (const DetectionFigures::Frame& one : figures.worst) {
    fidelity.worst_frames.push_back({frames[one.position], one.missed, one.false_alarms});
    if (!merged.per_video.empty()) {
      const video::Playlist::Place place = check.playlist->place_of(frames[one.position]);
      fidelity.worst_frames.back().video = check.playlist->videos()[place.video].name;
      fidelity.worst_frames.back().video_frame = place.frame;
    }
    verdict.differing.push_back(
        frame_boxes(merged.found[one.position], own.targets[one.position], head.output.score_threshold));
    verdict.differing.back().frame = frames[one.position];
  }
  if (fidelity.boxes_without_area > 0) {
    log::warn(head.name + ": " + std::to_string(fidelity.boxes_without_area) +
              " boxes without area or with corners that are not finite are left out of the comparison");
  }
}

/// The fidelity of an original on changed frames, as a baseline. @return nothing where it fails on one of them
std::optional<double> baseline(const Head& head, const Reference& own, const Forward& original, const Forward& changed,
                               const std::vector<std::int64_t>& frames, Progress& progress) {
  try {
    return measure(head, own, original, changed, frames, progress).fidelity;
  } catch (const graph::ModelFailure& failure) {
    if (failure.scope() == graph::ModelFailure::Scope::kBatch && head.batchable) {
      Head single = head;
      single.batchable = false;
      return baseline(single, own, original, changed, frames, progress);
    }
    log::warn(head.name + ": a baseline is not measured: on frames changed a little, " + failure.problem());
    return std::nullopt;
  }
}

/// Measures the baselines of a model. @param head  as check_bundle() runs it
// NOLINTNEXTLINE(readability-function-size): all that check_bundle() has at hand of one model
void add_baselines(const BundleCheck& check, std::size_t model, const Head& head, const Reference& own,
                   const Forward& original, Progress& progress, Fidelity& fidelity) {
  if (check.perturbed.empty()) return;
  const std::vector<std::int64_t>& frames = check.frames->front().frames();
  const CheckedModel& checked = check.models[model];
  const graph::Prepared& prepared = checked.prepared != nullptr ? *checked.prepared : *check.set->models[model];
  const std::function<Forward(const capture::Stores&)> forward =
      optimised_forward(*checked.loaded, prepared, *check.set, *check.frames, head);
  for (const Perturbed& perturbed : check.perturbed) {
    const auto value = baseline(head, own, original, forward(perturbed.stores), frames, progress);
    if (perturbed.kind == video::Perturbation::kJpeg95) fidelity.jpeg95 = value;
    if (perturbed.kind == video::Perturbation::kJpeg80) fidelity.jpeg80 = value;
    if (perturbed.kind == video::Perturbation::kShiftOnePixel) fidelity.shift_one_pixel = value;
  }
}

Accuracy accuracy_of(const BundleCheck& check, const Head& head, const Reference& own, const Measured& merged,
                     const std::vector<std::int64_t>& frames) {
  const TruthTargets truth = truth_targets(*check.truth, head, frames, check.truth_label);
  Accuracy accuracy;
  accuracy.truth_boxes = truth.boxes;
  accuracy.frames = static_cast<std::int64_t>(frames.size());
  const auto interval = [&](const std::vector<Detections>& found) {
    return bootstrap_interval(only_labels(found, truth.labels), truth.targets, 0.9, kDraws, check.seed,
                              merged.per_video);
  };
  if (truth.boxes == 0) {
    log::warn(head.name + ": no ground-truth boxes on these " + std::to_string(frames.size()) +
              " frames, so its accuracy is undefined");
    return accuracy;
  }
  accuracy.own = truth.average_precision(own.own);
  accuracy.merged = truth.average_precision(merged.found);
  accuracy.own_interval = interval(own.own);
  accuracy.merged_interval = interval(merged.found);
  return accuracy;
}

/// The head's label of each class of the ground truth; -1: it has no such class.
std::vector<std::int64_t> labels_of(const Truth& truth, const Head& head, std::int64_t otherwise) {
  const std::vector<std::string>& names = head.output.classes;
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < truth.classes.size(); ++i) {
    const auto found = std::find(names.begin(), names.end(), truth.classes[i]);
    if (found != names.end()) {
      labels.push_back(found - names.begin());
    } else if (truth.format == "motchallenge") {
      labels.push_back(otherwise);
    } else if (names.empty()) {
      labels.push_back(static_cast<std::int64_t>(i));
    } else {
      log::warn(head.name + " has no class '" + truth.classes[i] + "': its ground-truth boxes are left out");
      labels.push_back(-1);
    }
  }
  return labels;
}

/// The boxes of one frame with the head's labels.
Detections relabelled(const Detections& boxes, const std::vector<std::int64_t>& labels) {
  Detections result;
  for (Detection box : boxes) {
    box.label = labels.at(static_cast<std::size_t>(box.label));
    if (box.label >= 0) result.push_back(box);
  }
  return result;
}

}  // namespace

std::optional<double> TruthTargets::average_precision(std::span<const Detections> found) const {
  if (boxes == 0) return std::nullopt;
  return verify::average_precision(only_labels(found, labels), targets);
}

TruthTargets truth_targets(const Truth& truth, const Head& head, const std::vector<std::int64_t>& frames,
                           std::int64_t otherwise) {
  const std::vector<std::int64_t> labels = labels_of(truth, head, otherwise);
  TruthTargets result;
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(result.labels), [](auto label) { return label >= 0; });
  std::sort(result.labels.begin(), result.labels.end());
  result.targets.resize(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto found = truth.frames.find(frames[i]);
    if (found == truth.frames.end()) continue;
    result.targets[i] = {relabelled(found->second.sure, labels), relabelled(found->second.ignored, labels)};
    result.boxes += std::ssize(result.targets[i].sure);
  }
  return result;
}

std::vector<int> groups_of(const BundleCheck& check, const torch::jit::Module& bundle) {
  if (!bundle.find_method(check.method))
    throw input_error("the bundle has no method " + check.method, check.bundle_path, "run repsim plan again");
  const std::vector<int> groups = bundle::groups_of(bundle, check.method);
  const auto is_unknown = [&](int group) { return group < 0 || group >= std::ssize(check.set->specs); };
  if (std::any_of(groups.begin(), groups.end(), is_unknown))
    throw input_error(check.method + " takes an argument that is none of the inputs", check.bundle_path,
                      "run repsim plan again");
  return groups;
}

torch::jit::Module load_bundle(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw system_error("the bundle cannot be read", path, errno);
  try {
    torch::jit::Module module = torch::jit::load(stream, at::kCPU);
    module.eval();
    return module;
  } catch (const std::exception& error) {
    log::debug(error.what());
    throw input_error("the bundle cannot be loaded", path, "run repsim plan again");
  }
}

Fidelity judge(const BundleCheck& check, std::size_t model, const Forward& other, Progress& progress) {
  const std::vector<std::int64_t>& indices = check.frames->front().frames();
  Head head = check.models[model].head;
  head.batchable = false;
  Verdict verdict;
  verdict.fidelity.bit_identical = true;
  const Forward original = original_of(check, model);
  const Forward compared = [&](std::span<const std::int64_t> positions) {
    const c10::IValue result = other(positions);
    compare(original(positions), result, verdict.fidelity);
    return result;
  };
  const Reference own = reference(head, original, indices, progress);
  describe(check, head, own, measure(head, own, original, compared, frames_of(check), progress), verdict);
  return verdict.fidelity;
}

std::vector<Verdict> check_bundle(const BundleCheck& check, Progress& progress) {
  const Forward bundle = remembered(bundle_forward(check, *check.frames));
  const std::vector<std::int64_t>& indices = check.frames->front().frames();
  const bool batchable =
      std::all_of(check.models.begin(), check.models.end(), [](const CheckedModel& one) { return one.head.batchable; });

  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < check.models.size(); ++i) {
    const CheckedModel& checked = check.models[i];
    // The method runs all models at once: if one of them is not batchable, all go frame by frame.
    Head head = checked.head;
    head.batchable = batchable;
    Verdict& verdict = verdicts.emplace_back();
    verdict.fidelity.bit_identical = true;
    const Forward original = original_of(check, i);
    // The raw outputs of a batch are compared; the original's are kept to read detections from.
    const Forward merged = [&](std::span<const std::int64_t> positions) {
      const c10::IValue result = bundle(positions).toTupleRef().elements()[i];
      compare(original(positions), result, verdict.fidelity);
      return result;
    };
    const Reference own = reference(head, original, indices, progress);
    const Measured found = measure(head, own, original, merged, frames_of(check), progress);
    describe(check, head, own, found, verdict);
    add_baselines(check, i, head, own, original, progress, verdict.fidelity);
    if (check.truth && head.output.format != model::OutputFormat::kTensor) {
      verdict.accuracy = accuracy_of(check, head, own, found, indices);
    }
  }
  return verdicts;
}

}  // namespace repsim::verify
