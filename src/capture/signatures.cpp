#include <ATen/Parallel.h>
#include <torch/script.h>

#include <map>
#include <set>

#include "plain/gram.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/capture.hpp"
#include "repsim/optimised.hpp"

namespace repsim::capture {
namespace {

constexpr std::int64_t kSegment = 1 << 16;  // features per task: the same for any number of threads
constexpr std::int64_t kChunk = 4096;       // features whose products are added up in float32

/// [B,3,H,W] for model::make_input.
at::Tensor frames_tensor(const video::FrameStore& store, std::span<const std::int64_t> positions) {
  const model::InputSpec& spec = store.spec();
  if (spec.dtype == model::InputDtype::kUint8) {
    // Stored as rows of pixels, which is what most models that take bytes want: no detour over floats.
    at::Tensor bytes = at::empty({static_cast<std::int64_t>(positions.size()), spec.height, spec.width, 3}, at::kByte);
    std::uint8_t* out = bytes.data_ptr<std::uint8_t>();
    for (const std::int64_t position : positions) out = std::ranges::copy(store.pixels(position), out).out;
    store.release(positions);
    return bytes.permute({0, 3, 1, 2});
  }
  at::Tensor frames = at::empty({static_cast<std::int64_t>(positions.size()), 3, spec.height, spec.width}, at::kFloat);
  store.preprocess(positions, frames.data_ptr<float>());
  return frames;
}

/// Room for n values like this one of a single frame, in float32 and in the order in which it lies in memory where that
/// is dense: copying into it is fast then.
at::Tensor rows_like(const at::Tensor& value, std::int64_t n) {
  const at::Tensor one = value.squeeze(0);
  const at::TensorOptions options = one.options().dtype(at::kFloat);
  std::vector<std::int64_t> sizes = one.sizes().vec(), strides = one.strides().vec();
  sizes.insert(sizes.begin(), n);
  if (!one.is_non_overlapping_and_dense()) return at::empty(sizes, options);
  strides.insert(strides.begin(), one.numel());
  return at::empty_strided(sizes, strides, options);
}

/// Layers whose rows wait together, in parts of at most `most_bytes`, or of one layer.
std::vector<std::set<int>> sweeps(const graph::Program& program, std::int64_t most_bytes) {
  std::vector<std::set<int>> result{{}};
  std::int64_t waiting = 0;
  for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
    std::int64_t bytes = video::kMinibatchFrames * static_cast<std::int64_t>(sizeof(float));
    for (const std::int64_t size : program.layers[layer].shape) bytes *= size;
    if (!result.back().empty() && bytes > most_bytes - waiting) {
      result.emplace_back();
      waiting = 0;
    }
    waiting += bytes;
    result.back().insert(static_cast<int>(layer));
  }
  return result;
}

/// Products of all pairs of samples, from memory of the CPU.
GramPart products_of(const at::Tensor& value) {
  const std::int64_t n = value.size(0);
  at::Tensor rows = value.scalar_type() == at::kFloat ? value : value.to(at::kFloat);
  // The order of a sample's features does not matter: where they lie dense, in whatever order, they are read as they
  // lie.
  if (n > 0 && !rows[0].is_non_overlapping_and_dense()) rows = rows.contiguous();
  const std::int64_t features = n == 0 ? 0 : rows.numel() / n, stride = n > 1 ? rows.stride(0) : features;
  const std::int64_t segments = (features + kSegment - 1) / kSegment;
  const float* first = rows.const_data_ptr<float>();
  std::vector<GramPart> parts(static_cast<std::size_t>(segments));
  at::parallel_for(0, segments, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t segment = begin; segment < end; ++segment) {
      parts[segment] =
          centred_products(first, stride, n, segment * kSegment, std::min(features, (segment + 1) * kSegment));
    }
  });
  GramPart all;
  all.gram.assign(static_cast<std::size_t>(n * n), 0.0);
  for (const GramPart& part : parts) {
    all.mean_square += part.mean_square;
    for (std::size_t i = 0; i < all.gram.size(); ++i) all.gram[i] += part.gram[i];
  }
  return all;
}

/// The same where the value lies: chunks of features as one batched product in float32, added up in float64.
GramPart products_on_device(const at::Tensor& value) {
  const std::int64_t n = value.size(0);
  GramPart all;
  if (value.numel() == 0) {
    all.gram.assign(static_cast<std::size_t>(n * n), 0.0);
    return all;
  }
  at::Tensor rows = value.reshape({n, -1}).to(at::kFloat);
  // Differences to one of the samples first: their mean keeps its digits beside a large common part.
  const at::Tensor first = rows.narrow(0, 0, 1), differences = rows - first, mean = differences.mean(0, true);
  all.mean_square = (first + mean).to(at::kDouble).square().sum().item<double>();
  rows = differences - mean;
  const std::int64_t chunks = (rows.size(1) + kChunk - 1) / kChunk;
  if (const std::int64_t missing = chunks * kChunk - rows.size(1); missing > 0)
    rows = at::constant_pad_nd(rows, {0, missing});
  const at::Tensor chunked = rows.view({n, chunks, kChunk}).transpose(0, 1);
  const at::Tensor gram = chunked.bmm(chunked.transpose(1, 2)).sum(0, /*keepdim=*/false, at::kDouble).to(at::kCPU);
  all.gram.assign(gram.const_data_ptr<double>(), gram.const_data_ptr<double>() + n * n);
  return all;
}

}  // namespace

std::int64_t ModelSet::batch(std::span<const int> members) const {
  const bool all = std::all_of(members.begin(), members.end(), [&](int member) { return models[member]->batchable; });
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
    for (std::int64_t i = 0; i < video::kMinibatchFrames; ++i) result[k].push_back(k + i * count);
  }
  return result;
}

void centred_gram(const at::Tensor& value, double* gram) {
  const c10::InferenceMode no_gradients;
  const std::int64_t n = value.size(0);
  if (n > kMostSamples)
    throw Error(ErrorKind::kInternal, "a minibatch of " + std::to_string(n) + " frames is too large");
  const GramPart all = value.is_cpu() ? products_of(value) : products_on_device(value);
  std::copy(all.gram.begin(), all.gram.end(), gram);
  double trace = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double others = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      if (j < i) gram[i * n + j] = gram[j * n + i];
      if (j != i) others += gram[i * n + j];
    }
    gram[i * n + i] = -others;
    trace -= others;
  }
  if (!(trace > 1e-12 * all.mean_square * static_cast<double>(n))) std::fill_n(gram, n * n, 0.0);
}

similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store, Progress& progress,
                                  std::int64_t row_bytes) {
  const auto minibatches = strided_minibatches(store.size());
  if (minibatches.empty()) throw Error(ErrorKind::kInternal, "fewer than 16 calibration frames");
  if (!model.rewritable) throw Error(ErrorKind::kInternal, "a model that is carried whole has no signatures");
  constexpr std::int64_t n = video::kMinibatchFrames;
  constexpr std::int64_t per_minibatch = n * (n - 1) / 2;

  similarity::Signatures result;
  result.model = model.name;
  result.minibatch = n;
  result.length = per_minibatch * static_cast<std::int64_t>(minibatches.size());
  for (const graph::Layer& layer : model.program.layers) result.layers.push_back(layer.name);
  result.values.resize(result.layers.size() * static_cast<std::size_t>(result.length));
  const std::vector<std::set<int>> parts =
      model.batchable ? std::vector<std::set<int>>(1) : sweeps(model.program, row_bytes);
  progress.begin("capture " + model.name, static_cast<std::int64_t>(minibatches.size() * parts.size()) * n);
  const auto input_of = [&](std::span<const std::int64_t> positions) {
    return progress.spend("preprocess", [&] {
      return std::vector<c10::IValue>{model::make_input(store.spec(), frames_tensor(store, positions))};
    });
  };
  const std::vector<c10::IValue> example =
      input_of(model.batchable ? frames_to_try(minibatches) : frames_to_try(minibatches).first(1));
  const graph::ProbeRunner layers = progress.spend("optimise", [&] { return graph::layer_runner(model, example); });
  if (!layers.reason.empty()) log::info(model.name + ": captured with the model as it is: " + layers.reason);
  const auto run = [&](std::span<const std::int64_t> positions, const graph::ProbeSink& probe) {
    std::vector<c10::IValue> inputs = input_of(positions);
    double probes = 0;
    const double pass = seconds_of([&] {
      layers.runner.run(std::move(inputs), [&](LayerIndex layer, const at::Tensor& value) {
        probes += seconds_of([&] { probe(layer, value); });
      });
    });
    progress.spent("forward", pass - probes);
    progress.spent("taps", probes);
  };

  std::vector<double> gram(static_cast<std::size_t>(n * n));
  const auto finish = [&](std::size_t minibatch, LayerIndex layer, const at::Tensor& rows) {
    centred_gram(rows, gram.data());
    similarity::u_centred_upper(gram.data(), n,
                                result.values.data() + static_cast<std::int64_t>(layer) * result.length +
                                    static_cast<std::int64_t>(minibatch) * per_minibatch);
  };
  for (std::size_t k = 0; k < minibatches.size(); ++k) {
    for (const std::int64_t position : minibatches[k]) result.frames.push_back(store.frames()[position]);
    if (model.batchable) {
      run(minibatches[k], [&](LayerIndex layer, const at::Tensor& value) { finish(k, layer, value); });
      progress.step(n);
      continue;
    }
    // One frame at a time: rows wait in a buffer until their minibatch is whole.
    for (const std::set<int>& part : parts) {
      std::map<int, at::Tensor> rows;
      for (std::int64_t i = 0; i < n; ++i) {
        const auto one = std::span(minibatches[k]).subspan(static_cast<std::size_t>(i), 1);
        run(one, [&](LayerIndex layer, const at::Tensor& value) {
          if (part.count(layer) == 0) return;
          at::Tensor& buffer = rows[layer];
          if (!buffer.defined()) buffer = rows_like(value, n);
          buffer[i].copy_(value.squeeze(0));
        });
        progress.step();
      }
      progress.spend("taps", [&] {
        for (const auto& [layer, values] : rows) finish(k, layer, values);
      });
      // The rows of the next part have other sizes: they would not fit where these lay.
      rows.clear();
      if (parts.size() > 1) release_free_memory();
    }
  }
  progress.end();
  return result;
}

}  // namespace repsim::capture
