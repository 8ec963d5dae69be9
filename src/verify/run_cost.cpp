#include <algorithm>
#include <numeric>

#include "repsim/base/median.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

constexpr std::int64_t kWarmUps = 3;  // runs in which torch's graph executor specialises the graph

}  // namespace

RunCost measure_run_cost(const BundleCheck& check, std::int64_t frames, Progress& progress) {
  const c10::InferenceMode no_gradients;
  torch::jit::Module bundle = check.bundle ? *check.bundle : load_bundle(check.bundle_path);
  std::vector<torch::jit::Module> originals;
  for (const CheckedModel& model : check.models) originals.push_back(model::copy_of(model.loaded->module));
  const torch::jit::Method method = bundle.get_method(check.method);
  const std::vector<int> taken = groups_of(check, bundle);
  std::vector<int> groups(check.set->specs.size());
  std::iota(groups.begin(), groups.end(), 0);
  const auto position_of = [&](std::int64_t frame) { return frame % check.frames->front().size(); };
  const auto inputs_of = [&](std::int64_t frame) {
    const std::int64_t positions[] = {position_of(frame)};
    return capture::group_inputs(*check.set, *check.frames, groups, positions);
  };
  const auto run_original = [&](std::size_t i, const std::vector<c10::IValue>& inputs) {
    (void)originals[i].forward({inputs[check.models[i].head.group]});
  };
  const auto run_bundle = [&](const std::vector<c10::IValue>& inputs) {
    std::vector<c10::IValue> arguments;
    for (const int group : taken) arguments.push_back(inputs[group]);
    (void)method(std::move(arguments));
  };
  // All frames ran before, so only what a model remembers, or memory, makes a run fail here.
  const auto run_originals = [&](std::int64_t frame, const std::vector<c10::IValue>& inputs) {
    const std::int64_t positions[] = {position_of(frame)};
    for (std::size_t m = 0; m < originals.size(); ++m) {
      capture::on_frames({check.models[m].head.name, check.frames->front().frames()}, positions,
                         [&](std::span<const std::int64_t>) { run_original(m, inputs); });
    }
  };

  std::vector<double> separate, together;
  progress.begin("latency", frames + kWarmUps);
  for (std::int64_t i = -kWarmUps; i < frames; ++i) {
    const std::int64_t frame = std::max<std::int64_t>(0, i);
    const std::vector<c10::IValue> inputs = inputs_of(frame);
    const double one_by_one = seconds_of([&] { run_originals(frame, inputs); });
    const double as_one = seconds_of([&] { run_bundle(inputs); });
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
  cost.peak.bundle_bytes = peak_allocated_bytes([&] { run_bundle(inputs); });
  return cost;
}

}  // namespace repsim::verify
