#include <algorithm>
#include <fstream>
#include <iterator>
#include <numeric>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

/// Runs the bundle's forward, which returns a tuple with one result per model.
Forward bundle_forward(const BundleCheck& check, const capture::Stores& stores) {
  std::vector<int> groups(check.set->specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  return [module = check.bundle ? *check.bundle : load_bundle(check.bundle_path), groups, &check,
          &stores](std::span<const std::int64_t> positions) mutable {
    const c10::InferenceMode no_gradients;
    const c10::IValue result = module.forward(capture::group_inputs(*check.set, stores, groups, positions));
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
    if (left[i].is_floating_point() && left[i].numel() > 0) {
      // A value that is not finite on one side has no difference; fidelity counts it.
      const at::Tensor difference =
          (left[i].to(at::kDouble) - right[i].to(at::kDouble)).abs().nan_to_num(0, /*posinf=*/0, /*neginf=*/0);
      fidelity.max_abs_difference = std::max(fidelity.max_abs_difference, difference.max().item<double>());
    }
  }
}

/// What the measurement says of one model. @param frames  indices in the video; `fidelity` knows bit identity already
void describe(const Head& head, const Reference& own, const Measured& merged, std::uint64_t seed,
              const std::vector<std::int64_t>& frames, Fidelity& fidelity) {
  fidelity.value = merged.fidelity;
  fidelity.frames = static_cast<std::int64_t>(frames.size());
  fidelity.own_detections = own.own_detections;
  fidelity.boxes_without_area = own.boxes_without_area + merged.boxes_without_area;
  fidelity.interval = {merged.fidelity.value_or(0), merged.fidelity.value_or(0)};
  if (merged.raw && merged.fidelity && !fidelity.bit_identical)
    fidelity.interval = merged.raw->interval(0.9, kDraws, seed);
  fidelity.is_raw = own.targets.empty();
  if (fidelity.is_raw) return;
  // Identical outputs are identical in every resample: the interval is the value itself.
  if (own.own_detections > 0 && !fidelity.bit_identical)
    fidelity.interval = bootstrap_interval(merged.found, own.targets, 0.9, kDraws, seed);
  const DetectionFigures figures = detection_figures(merged.found, own.targets, head.output.score_threshold);
  fidelity.kept = figures.kept;
  fidelity.false_alarms = figures.false_alarms;
  for (const DetectionFigures::Frame& one : figures.worst)
    fidelity.worst_frames.push_back({frames[one.position], one.missed, one.false_alarms});
  if (fidelity.boxes_without_area > 0) {
    log::warn(head.name + ": " + std::to_string(fidelity.boxes_without_area) +
              " boxes without area or with corners that are not finite are left out of the comparison");
  }
}

Accuracy accuracy_of(const BundleCheck& check, const Head& head, const Reference& own, const Measured& merged,
                     const std::vector<std::int64_t>& frames) {
  const TruthTargets truth = truth_targets(*check.truth, head, frames, check.truth_label);
  Accuracy accuracy;
  accuracy.truth_boxes = truth.boxes;
  accuracy.frames = static_cast<std::int64_t>(frames.size());
  const auto interval = [&](const std::vector<Detections>& found) {
    return bootstrap_interval(only_labels(found, truth.labels), truth.targets, 0.9, kDraws, check.seed);
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

torch::jit::Module load_bundle(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw input_error("no such bundle", path, "run repsim plan again");
  try {
    torch::jit::Module module = torch::jit::load(stream, at::kCPU);
    module.eval();
    return module;
  } catch (const std::exception& error) {
    log::debug(error.what());
    throw input_error("the bundle cannot be loaded", path, "run repsim plan again");
  }
}

std::vector<Verdict> check_bundle(const BundleCheck& check, Progress& progress) {
  const Forward bundle = remembered(bundle_forward(check, *check.frames));
  const std::vector<std::int64_t>& indices = check.frames->front().frames();
  const auto frames = static_cast<std::int64_t>(indices.size());
  const bool batchable =
      std::all_of(check.heads.begin(), check.heads.end(), [](const Head& head) { return head.batchable; });

  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < check.heads.size(); ++i) {
    // forward runs all models at once: if one of them is not batchable, all go frame by frame.
    Head head = check.heads[i];
    head.batchable = batchable;
    Verdict& verdict = verdicts.emplace_back();
    verdict.fidelity.bit_identical = true;
    const Forward original = check.originals.empty()
                                 ? remembered(original_forward(*check.models[i], *check.set, *check.frames, head.group))
                                 : check.originals[i];
    // The raw outputs of a batch are compared; the original's are kept to read detections from.
    const Forward merged = [&](std::span<const std::int64_t> positions) {
      const c10::IValue result = bundle(positions).toTupleRef().elements()[i];
      compare(original(positions), result, verdict.fidelity);
      return result;
    };
    const Reference own = reference(head, original, frames, progress);
    const Measured found = measure(head, own, original, merged, frames, progress);
    describe(head, own, found, check.seed, indices, verdict.fidelity);
    std::function<Forward(const capture::Stores&)> baseline;
    if (!check.perturbed.empty())
      baseline = optimised_forward(*check.models[i], *check.set->models[i], *check.set, *check.frames, head);
    for (const Perturbed& perturbed : check.perturbed) {
      const auto value = measure(head, own, original, baseline(perturbed.stores), frames, progress).fidelity;
      if (perturbed.kind == video::Perturbation::kJpeg95) verdict.fidelity.jpeg95 = value;
      if (perturbed.kind == video::Perturbation::kJpeg80) verdict.fidelity.jpeg80 = value;
      if (perturbed.kind == video::Perturbation::kShiftOnePixel) verdict.fidelity.shift_one_pixel = value;
    }
    if (check.truth && head.output.format != model::OutputFormat::kTensor) {
      verdict.accuracy = accuracy_of(check, head, own, found, indices);
    }
  }
  return verdicts;
}

}  // namespace repsim::verify
