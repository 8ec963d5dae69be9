#include <map>

#include "repsim/frame_runs.hpp"
#include "repsim/optimised.hpp"
#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

constexpr std::int64_t kMostRemembered = std::int64_t{64} << 20;  // bytes of the results of one forward

class Remembered {
 public:
  explicit Remembered(Forward forward) : forward_(std::move(forward)) {}

  c10::IValue run(std::span<const std::int64_t> positions) {
    const std::vector<std::int64_t> key(positions.begin(), positions.end());
    if (const auto known = results_.find(key); known != results_.end()) return known->second;
    c10::IValue result = forward_(positions);
    std::int64_t bytes = 0;
    for (const at::Tensor& tensor : model::tensors_of(result)) bytes += static_cast<std::int64_t>(tensor.nbytes());
    if (bytes > kMostRemembered - bytes_) return result;
    bytes_ += bytes;
    // A copy: a model may return memory that its next run writes to.
    return results_.emplace(key, result.deepcopy()).first->second;
  }

 private:
  Forward forward_;
  std::map<std::vector<std::int64_t>, c10::IValue> results_;  // by the positions of a run
  std::int64_t bytes_ = 0;
};

/// A forward whose failures name the model and the frame.
Forward explained(const std::string& model, const capture::Stores& stores, int group, Forward forward) {
  return [model, &stores, group, forward = std::move(forward)](std::span<const std::int64_t> positions) {
    return capture::on_frames({model, stores[group].frames()}, positions, forward);
  };
}

}  // namespace

Forward original_forward(const model::Loaded& model, const capture::ModelSet& set, const capture::Stores& stores,
                         int group) {
  // A copy: a model that writes to its own attributes must not change them for others.
  const auto module = std::make_shared<torch::jit::Module>(model::copy_of(model.module));
  return explained(model.spec.name, stores, group, [module, &set, &stores, group](auto positions) {
    const c10::InferenceMode no_gradients;
    return module->forward(capture::group_inputs(set, stores, {&group, 1}, positions));
  });
}

Forward prepared_forward(const model::Loaded& model, const graph::Prepared& prepared, const capture::ModelSet& set,
                         const capture::Stores& stores, int group) {
  if (!prepared.rewritable) return original_forward(model, set, stores, group);
  const auto runner = std::make_shared<graph::Runner>(*prepared.graph, prepared.parameters, std::vector<graph::Place>{},
                                                      /*keep_output=*/true, prepared.device);
  return explained(prepared.name, stores, group, [runner, &set, &stores, group](auto positions) {
    return runner->run(capture::group_inputs(set, stores, {&group, 1}, positions));
  });
}

std::function<Forward(const capture::Stores&)> optimised_forward(const model::Loaded& model,
                                                                 const graph::Prepared& prepared,
                                                                 const capture::ModelSet& set,
                                                                 const capture::Stores& example, const Head& head) {
  const int group = head.group;
  if (!prepared.rewritable) {
    return [&model, &set, group](const capture::Stores& stores) { return original_forward(model, set, stores, group); };
  }
  const auto runs = capture::batches(example.front().size(), head.batch());
  const std::span<const std::int64_t> few = capture::frames_to_try(runs);
  const auto copy = std::make_shared<graph::ProbeRunner>(
      graph::layer_runner(prepared, capture::group_inputs(set, example, {&group, 1}, few), /*keep_output=*/true));
  return [copy, &set, group, name = prepared.name](const capture::Stores& stores) -> Forward {
    return explained(name, stores, group, [copy, &set, &stores, group](auto positions) {
      return copy->runner.run(capture::group_inputs(set, stores, {&group, 1}, positions));
    });
  };
}

Forward remembered(Forward forward) {
  return [results = std::make_shared<Remembered>(std::move(forward))](std::span<const std::int64_t> positions) {
    return results->run(positions);
  };
}

}  // namespace repsim::verify
