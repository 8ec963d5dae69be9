#include <torch/script.h>

#include "repsim/base/error.hpp"
#include "repsim/capture.hpp"

namespace repsim::capture {
namespace {

constexpr std::int64_t kChunk = 4096;  // features per float32 product: its rounding stays near 1e-6 of the chunk

/// [B,3,H,W] for model::make_input.
at::Tensor frames_tensor(const video::FrameStore& store, std::span<const std::int64_t> positions) {
  const model::InputSpec& spec = store.spec();
  if (spec.dtype == model::InputDtype::kUint8) {
    // Stored as rows of pixels, which is what most models that take bytes want: no detour over floats.
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(positions.size()), spec.height, spec.width, 3}, at::kByte);
    std::uint8_t* out = bytes.data_ptr<std::uint8_t>();
    for (const std::int64_t position : positions) out = std::ranges::copy(store.pixels(position), out).out;
    return bytes.permute({0, 3, 1, 2});
  }
  at::Tensor frames = at::empty({static_cast<std::int64_t>(positions.size()), 3, spec.height, spec.width}, at::kFloat);
  store.preprocess(positions, frames.data_ptr<float>());
  return frames;
}

}  // namespace

std::int64_t ModelSet::batch(std::span<const int> members) const {
  const bool all = std::all_of(members.begin(), members.end(),
                               [&](int member) { return models[static_cast<std::size_t>(member)]->batchable; });
  return all ? video::kMinibatchFrames : 1;
}

std::vector<c10::IValue> group_inputs(const ModelSet& set, const Stores& stores, std::span<const int> groups,
                                      std::span<const std::int64_t> positions) {
  std::vector<c10::IValue> inputs;
  for (const int group : groups) {
    const auto at = static_cast<std::size_t>(group);
    inputs.push_back(model::make_input(set.specs[at], frames_tensor(stores[at], positions)));
  }
  return inputs;
}

std::vector<std::vector<std::int64_t>> batches(std::int64_t frames, std::int64_t batch) {
  std::vector<std::vector<std::int64_t>> result;
  for (std::int64_t begin = 0; begin < frames; begin += batch) {
    auto& positions = result.emplace_back();
    for (std::int64_t i = begin; i < std::min(frames, begin + batch); ++i) positions.push_back(i);
  }
  return result;
}

std::vector<std::vector<std::int64_t>> strided_minibatches(std::int64_t frames) {
  const std::int64_t count = frames / video::kMinibatchFrames;
  std::vector<std::vector<std::int64_t>> result(static_cast<std::size_t>(count));
  for (std::int64_t k = 0; k < count; ++k) {
    for (std::int64_t i = 0; i < video::kMinibatchFrames; ++i)
      result[static_cast<std::size_t>(k)].push_back(k + i * count);
  }
  return result;
}

void centred_gram(const at::Tensor& value, double* gram) {
  const c10::InferenceMode no_gradients;
  const std::int64_t n = value.size(0);
  const at::Tensor rows = value.reshape({n, -1}).to(at::kFloat);
  const at::Tensor mean = rows.mean(0, /*keepdim=*/true);
  const at::Tensor centred = rows - mean;
  const std::int64_t features = centred.size(1), whole = features / kChunk;
  at::Tensor sum = at::zeros({n, n}, at::kDouble);
  if (whole > 0) {
    const at::Tensor chunks = centred.narrow(1, 0, whole * kChunk).view({n, whole, kChunk}).transpose(0, 1);
    sum += at::bmm(chunks, chunks.transpose(1, 2)).sum(0, /*keepdim=*/false, at::kDouble);
  }
  if (features > whole * kChunk) {
    const at::Tensor rest = centred.narrow(1, whole * kChunk, features - whole * kChunk);
    sum += at::mm(rest, rest.t()).to(at::kDouble);
  }
  const double size = mean.to(at::kDouble).square().sum().item<double>() * static_cast<double>(n);
  if (!(sum.trace().item<double>() > 1e-12 * size)) sum.zero_();
  std::copy_n(sum.contiguous().const_data_ptr<double>(), n * n, gram);
}

similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store, Progress& progress) {
  const auto minibatches = strided_minibatches(store.size());
  if (minibatches.empty()) throw Error(ErrorKind::kInternal, "fewer than 16 calibration frames");
  constexpr std::int64_t n = video::kMinibatchFrames;
  constexpr std::int64_t per_minibatch = n * (n - 1) / 2;

  similarity::Signatures result;
  result.model = model.name;
  result.minibatch = n;
  result.length = per_minibatch * static_cast<std::int64_t>(minibatches.size());
  std::vector<graph::Place> places;
  for (const graph::Layer& layer : model.program.layers) {
    result.layers.push_back(layer.name);
    places.push_back(graph::place_of(layer));
  }
  result.values.resize(result.layers.size() * static_cast<std::size_t>(result.length));
  const graph::Runner runner(*model.graph, model.parameters, places, /*keep_output=*/false);

  std::vector<double> gram(static_cast<std::size_t>(n * n));
  const auto finish = [&](std::size_t minibatch, int layer, const at::Tensor& rows) {
    centred_gram(rows, gram.data());
    similarity::u_centred_upper(gram.data(), n,
                                result.values.data() + static_cast<std::int64_t>(layer) * result.length +
                                    static_cast<std::int64_t>(minibatch) * per_minibatch);
  };
  progress.begin("capture " + model.name, static_cast<std::int64_t>(minibatches.size()) * n);
  for (std::size_t k = 0; k < minibatches.size(); ++k) {
    for (const std::int64_t position : minibatches[k])
      result.frames.push_back(store.frames()[static_cast<std::size_t>(position)]);
    if (model.batchable) {
      const c10::IValue input = model::make_input(store.spec(), frames_tensor(store, minibatches[k]));
      runner.run({input}, [&](int layer, const at::Tensor& value) { finish(k, layer, value); });
      progress.step(n);
      continue;
    }
    // One frame at a time: rows wait in a buffer until their minibatch is whole.
    std::vector<at::Tensor> rows(places.size());
    for (std::int64_t i = 0; i < n; ++i) {
      const c10::IValue input = model::make_input(
          store.spec(), frames_tensor(store, std::span(minibatches[k]).subspan(static_cast<std::size_t>(i), 1)));
      runner.run({input}, [&](int layer, const at::Tensor& value) {
        at::Tensor& buffer = rows[static_cast<std::size_t>(layer)];
        if (!buffer.defined()) buffer = at::empty({n, value.numel()}, at::kFloat);
        buffer[i].copy_(value.reshape({-1}));
      });
      progress.step();
    }
    for (std::size_t layer = 0; layer < rows.size(); ++layer) finish(k, static_cast<int>(layer), rows[layer]);
  }
  progress.end();
  return result;
}

}  // namespace repsim::capture
