#include <ATen/Parallel.h>
#include <torch/script.h>

#include <map>
#include <set>
#include <utility>

#include "plain/gram.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/capture.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/optimised.hpp"

namespace repsim::capture {
namespace {

constexpr std::int64_t kSegment = 1 << 16;  // features per task, whatever the number of threads
constexpr std::int64_t kChunk = 4096;       // features whose products are added up in float32

/// [B,3,H,W] for model::make_input.
at::Tensor frames_tensor(const video::FrameStore& store, std::span<const std::int64_t> positions) {
  const model::InputSpec& spec = store.spec();
  if (spec.dtype == model::InputDtype::kUint8) {
    // Most models that take bytes want rows of pixels, as the store has them: no detour over floats.
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

/// A buffer for n samples of the shape of one, in float32. Its memory order is the sample's where that is dense, so
/// that copies into it are fast.
at::Tensor samples_like(const at::Tensor& value, std::int64_t n) {
  const at::Tensor one = value.squeeze(0);
  const at::TensorOptions options = one.options().dtype(at::kFloat);
  std::vector<std::int64_t> sizes = one.sizes().vec(), strides = one.strides().vec();
  sizes.insert(sizes.begin(), n);
  if (!one.is_non_overlapping_and_dense()) return at::empty(sizes, options);
  strides.insert(strides.begin(), one.numel());
  return at::empty_strided(sizes, strides, options);
}

/// All layers of a program in parts. The samples of one minibatch of a part's layers take at most `most_bytes`; a layer
/// that needs more is a part of its own.
std::vector<std::set<LayerIndex>> sweeps(const graph::Program& program, std::int64_t most_bytes) {
  std::vector<std::set<LayerIndex>> result{{}};
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

/// The products of all pairs of samples that lie in the CPU's memory.
GramPart products_of(const at::Tensor& value) {
  const std::int64_t n = value.size(0);
  at::Tensor rows = value.scalar_type() == at::kFloat ? value : value.to(at::kFloat);
  // The order of a sample's features does not matter: dense samples are read in their memory order, whatever it is.
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

/// The products of all pairs of samples, computed on the device where they lie: chunks of features as one batched
/// product in float32, added up in float64.
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
    inputs.push_back(model::make_input(set.specs[group], frames_tensor(stores[group], positions)));
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

CaptureFrames capture_frames(std::int64_t frames) {
  if (frames < video::kMinibatchFrames) throw Error(ErrorKind::kInternal, "fewer than 16 calibration frames");
  CaptureFrames all{strided_minibatches(frames), {}};
  const std::span<const std::int64_t> tried = frames_to_try(all.minibatches);
  all.tried.assign(tried.begin(), tried.end());
  return all;
}

ShardFrames frames_of_shard(const Shard& shard, std::int64_t frames) {
  const CaptureFrames all = capture_frames(frames);
  const MinibatchRange range = minibatches_of(shard, static_cast<std::int64_t>(all.minibatches.size()));
  ShardFrames part;
  part.frames.minibatches.assign(all.minibatches.begin() + range.begin, all.minibatches.begin() + range.end);
  part.frames.tried = all.tried;
  std::vector<std::vector<std::int64_t>*> lists{&part.frames.tried};
  for (auto& minibatch : part.frames.minibatches) lists.push_back(&minibatch);
  for (const auto* list : lists) part.stored.insert(part.stored.end(), list->begin(), list->end());
  std::sort(part.stored.begin(), part.stored.end());
  part.stored.erase(std::unique(part.stored.begin(), part.stored.end()), part.stored.end());
  for (auto* list : lists) {
    for (std::int64_t& position : *list)
      position = std::lower_bound(part.stored.begin(), part.stored.end(), position) - part.stored.begin();
  }
  return part;
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

namespace {

/// Captures the signatures of one model.
class SignatureCapture {
 public:
  SignatureCapture(const graph::Prepared& model, const video::FrameStore& store, const CaptureFrames& frames,
                   Progress& progress)
      : model_(model),
        store_(store),
        progress_(progress),
        minibatches_(frames.minibatches),
        tried_(frames.tried),
        gram_(static_cast<std::size_t>(kFrames * kFrames)) {
    if (minibatches_.empty() || tried_.empty()) throw Error(ErrorKind::kInternal, "a capture without frames");
    if (!model.rewritable) throw Error(ErrorKind::kInternal, "an opaque model has no signatures");
    result_.model = model.name;
    result_.minibatch = kFrames;
    result_.length = kPerMinibatch * static_cast<std::int64_t>(minibatches_.size());
    for (const graph::Layer& layer : model.program.layers) result_.layers.push_back(layer.name);
    result_.values.resize(result_.layers.size() * static_cast<std::size_t>(result_.length));
    for (const auto& minibatch : minibatches_) {
      for (const std::int64_t position : minibatch) result_.frames.push_back(store.frames()[position]);
    }
  }

  similarity::Signatures run(std::int64_t row_bytes) {
    const auto parts = model_.batchable ? std::vector<std::set<LayerIndex>>(1) : sweeps(model_.program, row_bytes);
    progress_.begin("capture " + model_.name, static_cast<std::int64_t>(minibatches_.size() * parts.size()) * kFrames);
    const graph::ProbeRunner layers = layer_runner();
    for (std::size_t k = 0; k < minibatches_.size(); ++k) {
      if (model_.batchable) {
        run_layers(layers, minibatches_[k],
                   [&](LayerIndex layer, const at::Tensor& value) { add_signature(k, layer, value); });
        progress_.step(kFrames);
        continue;
      }
      for (const std::set<LayerIndex>& part : parts) {
        run_frame_by_frame(layers, k, part);
        // The samples of the next part have other sizes: they would not fit where these lay.
        if (parts.size() > 1) release_free_memory();
      }
    }
    progress_.end();
    return std::move(result_);
  }

 private:
  static constexpr std::int64_t kFrames = video::kMinibatchFrames;
  static constexpr std::int64_t kPerMinibatch = kFrames * (kFrames - 1) / 2;  // values of a signature

  std::vector<c10::IValue> input_of(std::span<const std::int64_t> positions) {
    return progress_.spend("preprocess", [&] {
      return std::vector<c10::IValue>{model::make_input(store_.spec(), frames_tensor(store_, positions))};
    });
  }

  graph::ProbeRunner layer_runner() {
    const std::span<const std::int64_t> frames = tried_;
    const std::vector<c10::IValue> example = input_of(model_.batchable ? frames : frames.first(1));
    // With the output: a model that raises, or cannot compute its result, does so on these frames, too.
    graph::ProbeRunner layers =
        progress_.spend("optimise", [&] { return graph::layer_runner(model_, example, /*keep_output=*/true); });
    if (!layers.reason.empty()) log::info(model_.name + ": captured with the model as it is: " + layers.reason);
    return layers;
  }

  void run_layers(const graph::ProbeRunner& layers, std::span<const std::int64_t> positions,
                  const graph::ProbeSink& sink) {
    std::vector<c10::IValue> inputs = input_of(positions);  // of the first run
    double in_sink = 0;
    const double pass = seconds_of([&] {
      on_frames({model_.name, store_.frames()}, positions, [&](std::span<const std::int64_t> some) {
        return layers.runner.run(
            inputs.empty() ? input_of(some) : std::exchange(inputs, {}),
            [&](LayerIndex layer, const at::Tensor& value) { in_sink += seconds_of([&] { sink(layer, value); }); });
      });
    });
    progress_.spent("forward", pass - in_sink);
    progress_.spent("taps", in_sink);
  }

  /// Runs the frames of a minibatch one at a time. The samples of the layers in `part` wait in buffers until all are
  /// there.
  void run_frame_by_frame(const graph::ProbeRunner& layers, std::size_t minibatch, const std::set<LayerIndex>& part) {
    std::map<LayerIndex, at::Tensor> samples;
    for (std::size_t i = 0; i < minibatches_[minibatch].size(); ++i) {
      const auto frame = std::span(minibatches_[minibatch]).subspan(i, 1);
      run_layers(layers, frame, [&](LayerIndex layer, const at::Tensor& value) {
        if (part.count(layer) == 0) return;
        at::Tensor& buffer = samples[layer];
        if (!buffer.defined()) buffer = samples_like(value, kFrames);
        buffer[static_cast<std::int64_t>(i)].copy_(value.squeeze(0));
      });
      progress_.step();
    }
    progress_.spend("taps", [&] {
      for (const auto& [layer, values] : samples) add_signature(minibatch, layer, values);
    });
  }

  /// The part of a layer's signature that belongs to one minibatch.
  void add_signature(std::size_t minibatch, LayerIndex layer, const at::Tensor& samples) {
    centred_gram(samples, gram_.data());
    similarity::u_centred_upper(gram_.data(), kFrames,
                                result_.values.data() + static_cast<std::int64_t>(layer) * result_.length +
                                    static_cast<std::int64_t>(minibatch) * kPerMinibatch);
  }

  const graph::Prepared& model_;
  const video::FrameStore& store_;
  Progress& progress_;
  const std::vector<std::vector<std::int64_t>> minibatches_;
  const std::vector<std::int64_t> tried_;
  std::vector<double> gram_;  // scratch
  similarity::Signatures result_;
};

}  // namespace

similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store,
                                  const CaptureFrames& frames, Progress& progress, std::int64_t row_bytes) {
  return SignatureCapture(model, store, frames, progress).run(row_bytes);
}

similarity::Signatures signatures(const graph::Prepared& model, const video::FrameStore& store, Progress& progress,
                                  std::int64_t row_bytes) {
  return signatures(model, store, capture_frames(store.size()), progress, row_bytes);
}

}  // namespace repsim::capture
