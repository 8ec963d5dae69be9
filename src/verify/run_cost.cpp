#include <algorithm>
#include <numeric>

#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

constexpr std::int64_t kWarmUps = 3;  // runs in which torch's graph executor specialises the graph

double median(std::vector<double> values) {
  if (values.empty()) return 0.0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

RunCost measure_run_cost(const BundleCheck& check, std::int64_t frames, Progress& progress) {
  const c10::InferenceMode no_gradients;
  torch::jit::Module bundle = check.bundle ? *check.bundle : load_bundle(check.bundle_path);
  std::vector<torch::jit::Module> originals;
  for (const CheckedModel& model : check.models) originals.push_back(model.loaded->module.deepcopy());
  std::vector<int> groups(check.set->specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  const auto inputs_of = [&](std::int64_t frame) {
    const std::int64_t positions[] = {frame % check.frames->front().size()};
    return capture::group_inputs(*check.set, *check.frames, groups, positions);
  };
  const auto run_original = [&](std::size_t i, const std::vector<c10::IValue>& inputs) {
    (void)originals[i].forward({inputs[check.models[i].head.group]});
  };

  std::vector<double> separate, together;
  progress.begin("latency", frames + kWarmUps);
  for (std::int64_t i = -kWarmUps; i < frames; ++i) {
    const std::vector<c10::IValue> inputs = inputs_of(std::max<std::int64_t>(0, i));
    const double one_by_one = seconds_of([&] {
      for (std::size_t m = 0; m < originals.size(); ++m) run_original(m, inputs);
    });
    const double as_one = seconds_of([&] { (void)bundle.forward(inputs); });
    if (i >= 0) {
      separate.push_back(1000 * one_by_one);
      together.push_back(1000 * as_one);
    }
    progress.step();
  }
  progress.end();

  RunCost cost;
  cost.latency = {median(separate), median(together)};
  const std::vector<c10::IValue> inputs = inputs_of(0);
  for (std::size_t m = 0; m < originals.size(); ++m)
    cost.peak.separate_bytes =
        std::max(cost.peak.separate_bytes, peak_allocated_bytes([&] { run_original(m, inputs); }));
  cost.peak.bundle_bytes = peak_allocated_bytes([&] { (void)bundle.forward(inputs); });
  return cost;
}

}  // namespace repsim::verify
