#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <numeric>

#include "load_bundle.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

constexpr std::int64_t kMostRemembered = std::int64_t{64} << 20;  // bytes of one model's results, or of the bundle's

/// A model that is run once for all that is asked of it, while the results fit.
class Remembered {
 public:
  explicit Remembered(Forward forward) : forward_(std::move(forward)) {}

  c10::IValue operator()(std::span<const std::int64_t> positions) {
    const std::vector<std::int64_t> key(positions.begin(), positions.end());
    if (const auto known = results_.find(key); known != results_.end()) return known->second;
    const c10::IValue result = forward_(positions);
    std::int64_t bytes = 0;
    for (const at::Tensor& tensor : model::tensors_of(result)) bytes += static_cast<std::int64_t>(tensor.nbytes());
    if (bytes > kMostRemembered - bytes_) return result;
    bytes_ += bytes;
    // A copy: a model may return what its next run writes to.
    return results_.emplace(key, result.deepcopy()).first->second;
  }

 private:
  Forward forward_;
  std::map<std::vector<std::int64_t>, c10::IValue> results_;  // by the positions of a run
  std::int64_t bytes_ = 0;
};

/// The whole bundle, which returns a tuple with one result per model.
Forward bundle_forward(const BundleCheck& check, const capture::Stores& stores) {
  std::vector<int> groups(check.set->specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  return [module = load_bundle(check.bundle_path), groups, &check,
          &stores](std::span<const std::int64_t> positions) mutable {
    const c10::InferenceMode no_gradients;
    const c10::IValue result = module.forward(capture::group_inputs(*check.set, stores, groups, positions));
    if (!result.isTuple() || result.toTupleRef().elements().size() != check.models.size())
      throw input_error("the bundle does not return one result per model", check.bundle_path, "run repsim plan again");
    return result;
  };
}

/// Bit identity and largest difference between two outputs, accumulated into `fidelity`.
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
    if (at::equal(left[i], right[i])) continue;
    fidelity.bit_identical = false;
    if (left[i].is_floating_point() && left[i].numel() > 0) {
      const double difference = (left[i].to(at::kDouble) - right[i].to(at::kDouble)).abs().max().item<double>();
      fidelity.max_abs_difference = std::max(fidelity.max_abs_difference, difference);
    }
  }
}

Accuracy accuracy_of(const BundleCheck& check, const Head& head, const Reference& own, const Measured& merged,
                     const std::vector<std::int64_t>& frames) {
  const TruthTargets truth = truth_targets(*check.truth, head, frames, check.truth_label);
  Accuracy accuracy;
  accuracy.truth_boxes = truth.boxes;
  accuracy.frames = static_cast<std::int64_t>(frames.size());
  const auto interval = [&](const std::vector<Detections>& found) {
    return bootstrap_interval(only_label(found, truth.label), truth.targets, 0.9, kDraws, check.seed);
  };
  accuracy.own = truth.average_precision(own.own);
  accuracy.merged = truth.average_precision(merged.found);
  accuracy.own_interval = interval(own.own);
  accuracy.merged_interval = interval(merged.found);
  return accuracy;
}

double yardstick(const Head& head, const Reference& own, const Forward& clean, const model::Loaded& model,
                 const BundleCheck& check, const Perturbed& perturbed, std::int64_t frames, Progress& progress) {
  const Forward changed = original_forward(model, *check.set, perturbed.stores, head.group);
  return measure(head, own, clean, changed, frames, progress).fidelity;
}

}  // namespace

double TruthTargets::average_precision(std::span<const Detections> found) const {
  return verify::average_precision(only_label(found, label), targets);
}

TruthTargets truth_targets(const Truth& truth, const Head& head, const std::vector<std::int64_t>& frames,
                           std::int64_t otherwise) {
  const auto person = std::find(head.output.classes.begin(), head.output.classes.end(), "person");
  TruthTargets result;
  result.label = person == head.output.classes.end() ? otherwise : person - head.output.classes.begin();
  result.targets.resize(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const auto found = truth.frames.find(frames[i]);
    if (found == truth.frames.end()) continue;
    result.targets[i].sure = found->second;
    for (Detection& box : result.targets[i].sure) box.label = result.label;
    result.boxes += static_cast<std::int64_t>(found->second.size());
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
  Remembered bundle(bundle_forward(check, *check.frames));
  const std::vector<std::int64_t>& indices = check.frames->front().frames();
  const auto frames = static_cast<std::int64_t>(indices.size());
  const bool batchable =
      std::all_of(check.heads.begin(), check.heads.end(), [](const Head& head) { return head.batchable; });

  std::vector<Verdict> verdicts;
  for (std::size_t i = 0; i < check.heads.size(); ++i) {
    // The bundle runs as one: a head that could be batched alone goes frame by frame when another one cannot.
    Head head = check.heads[i];
    head.batchable = batchable;
    Verdict& verdict = verdicts.emplace_back();
    verdict.fidelity.bit_identical = true;
    Remembered remembered(original_forward(*check.models[i], *check.set, *check.frames, head.group));
    const Forward original = [&](std::span<const std::int64_t> positions) { return remembered(positions); };
    // Both outputs of a batch are compared as they are; the original's are kept for the reading of detections.
    const Forward merged = [&](std::span<const std::int64_t> positions) {
      const c10::IValue result = bundle(positions).toTupleRef().elements()[i];
      compare(original(positions), result, verdict.fidelity);
      return result;
    };
    const Reference own = reference(head, original, frames, progress);
    const Measured found = measure(head, own, original, merged, frames, progress);
    verdict.fidelity.value = found.fidelity;
    verdict.fidelity.frames = frames;
    verdict.fidelity.own_detections = own.own_detections;
    verdict.fidelity.interval = {found.fidelity, found.fidelity};
    // The same bits are the same on any frames.
    if (!own.targets.empty() && !verdict.fidelity.bit_identical)
      verdict.fidelity.interval = bootstrap_interval(found.found, own.targets, 0.9, kDraws, check.seed);
    for (const Perturbed& perturbed : check.perturbed) {
      const double value = yardstick(head, own, original, *check.models[i], check, perturbed, frames, progress);
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

Latency measure_latency(const BundleCheck& check, std::int64_t frames, Progress& progress) {
  using Clock = std::chrono::steady_clock;
  torch::jit::Module bundle = load_bundle(check.bundle_path);
  std::vector<int> groups(check.set->specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  std::vector<double> separate, together;
  std::vector<torch::jit::Module> originals;
  for (const model::Loaded* model : check.models) originals.push_back(model->module.deepcopy());
  progress.begin("latency", frames + 3);
  for (std::int64_t i = -3; i < frames; ++i) {  // three runs to warm up: the executor specialises itself
    const std::int64_t position = std::max<std::int64_t>(0, i) % check.frames->front().size();
    const std::vector<std::int64_t> positions{position};
    const c10::InferenceMode no_gradients;
    const auto inputs = capture::group_inputs(*check.set, *check.frames, groups, positions);
    const auto begin = Clock::now();
    for (std::size_t m = 0; m < originals.size(); ++m) {
      (void)originals[m].forward({inputs[static_cast<std::size_t>(check.heads[m].group)]});
    }
    const auto middle = Clock::now();
    (void)bundle.forward(inputs);
    const auto end = Clock::now();
    if (i >= 0) {
      separate.push_back(std::chrono::duration<double, std::milli>(middle - begin).count());
      together.push_back(std::chrono::duration<double, std::milli>(end - middle).count());
    }
    progress.step();
  }
  progress.end();
  const auto median = [](std::vector<double> values) {
    if (values.empty()) return 0.0;
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
  };
  return {median(separate), median(together)};
}

}  // namespace repsim::verify
