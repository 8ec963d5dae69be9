#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "pair_samples.hpp"
#include "patches.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit_predictors.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kRowsPerFrame = 64;
using Key = PairSamples::Key;

const std::string& name_of(const capture::ModelSet& set, ModelIndex model) { return set.models[model]->name; }

/// Positions in runs that both models can take at once.
std::vector<std::vector<std::int64_t>> runs_of(const std::vector<std::int64_t>& positions, std::int64_t batch) {
  std::vector<std::vector<std::int64_t>> result = capture::batches(static_cast<std::int64_t>(positions.size()), batch);
  for (auto& run : result) {
    for (std::int64_t& position : run) position = positions[position];
  }
  return result;
}

/// Linear CKA from covariances: |Cxy|^2 / (|Cxx| |Cyy|), Frobenius norms.
double linear_cka(const NormalEquations::Moments& pair, const at::Tensor& xy, const at::Tensor& yy) {
  const double across = xy.square().sum().item<double>(), x = pair.xx.square().sum().item<double>(),
               y = yy.square().sum().item<double>();
  return x > 0 && y > 0 ? across / std::sqrt(x * y) : std::numeric_limits<double>::quiet_NaN();
}

/// Random signs, the same for a seed on every machine.
class Signs {
 public:
  explicit Signs(std::uint64_t seed) : engine_(seed) {}
  at::Tensor like(const at::Tensor& value) {
    at::Tensor signs = at::empty(value.sizes(), at::kFloat);
    float* out = signs.data_ptr<float>();
    std::uint64_t bits = 0;
    for (std::int64_t i = 0; i < signs.numel(); ++i) {
      if (i % 64 == 0) bits = engine_();
      out[i] = (bits >> (i % 64) & 1U) != 0 ? 1.0F : -1.0F;
    }
    return signs;
  }

 private:
  std::mt19937_64 engine_;
};

/// The fits of all pairs, and what the first pass tells.
struct Fits {
  std::vector<PairPredictors> pairs;
  std::map<Key, NormalEquations::Solution> solutions;  // per regressors, targets side by side
};

Fits fit_all(const capture::ModelSet& set, const capture::Stores& calibration, ModelIndex receiver, ModelIndex donor,
             const std::vector<LayerPair>& pairs, const PairSamples& sampling,
             const std::map<Key, std::vector<std::size_t>>& regressions, const Options& options,
             const SampleWeights& weights, Progress& progress) {
  const graph::Assembly assembly = graph::assemble(set.models, set.groups, {}, {}, sampling.requests());
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false,
                             assembly.device);
  std::map<Key, at::Tensor> samples;
  std::map<Key, NormalEquations> sums, weighted, own;
  const bool weighs = !weights.boxes.empty();
  const std::vector<ModelIndex> members{receiver, donor};
  progress.begin("guides " + name_of(set, receiver) + "<-" + name_of(set, donor), calibration.front().size());
  for (const auto& positions : capture::batches(calibration.front().size(), set.batch(members))) {
    runner.run(capture::group_inputs(set, calibration, assembly.input_groups, positions),
               [&](int probe, const at::Tensor& value) {
                 const auto request = static_cast<std::size_t>(probe);
                 for (const MapSize& size : sampling.sizes(request))
                   samples[{request, size}] = sampling.rows({request, size}, value);
               });
    const c10::InferenceMode no_gradients;
    std::map<MapSize, at::Tensor> sample_weights;
    std::set<Key> seen;
    for (const auto& [regressors, members_of] : regressions) {
      std::vector<at::Tensor> targets;
      for (const std::size_t i : members_of) {
        const Key key = sampling.wanted(i);
        targets.push_back(samples.at(key));
        if (seen.insert(key).second) own[key].add(targets.back(), targets.back().narrow(1, 0, 1));
      }
      const at::Tensor y = at::cat(targets, 1);
      sums[regressors].add(samples.at(regressors), y);
      if (!weighs) continue;
      const auto [height, width] = regressors.second;
      at::Tensor& of_rows = sample_weights[regressors.second];
      if (!of_rows.defined()) {
        of_rows = sampling.chosen(weights.of(positions, height, width).unsqueeze(2), regressors.second).squeeze(1);
      }
      weighted[regressors].add(samples.at(regressors), y, of_rows);
    }
    progress.step(static_cast<std::int64_t>(positions.size()));
  }
  progress.end();
  const c10::InferenceMode no_gradients;
  std::map<Key, at::Tensor> covariances;
  for (const auto& [key, one] : own) covariances[key] = one.moments().xx;
  Fits fits;
  fits.pairs.resize(pairs.size());
  for (const auto& [regressors, members_of] : regressions) {
    const NormalEquations::Moments moments = sums.at(regressors).moments();
    const NormalEquations::Solution plain = sums.at(regressors).solve(options.ridge.value_or(kRidge));
    const NormalEquations::Solution aimed =
        weighs ? weighted.at(regressors).solve(options.ridge.value_or(kRidge)) : plain;
    std::int64_t begin = 0;
    for (const std::size_t i : members_of) {
      const std::int64_t end = begin + sampling.channels(i);
      PairPredictors& pair = fits.pairs[i];
      pair.r2 = plain.r2(begin, end);
      pair.r2_weighted = aimed.r2(begin, end);
      pair.spatial_cka = linear_cka(moments, moments.xy.slice(1, begin, end), covariances.at(sampling.wanted(i)));
      begin = end;
    }
    fits.solutions[regressors] = aimed;
  }
  return fits;
}

/// Outputs that can be differentiated, and random projections of them to unit variance.
struct Projection {
  std::vector<at::Tensor> outputs, directions;
  std::int64_t elements = 0;
};
Projection project(const c10::IValue& result, std::map<std::size_t, double>& spreads, Signs& signs) {
  Projection projection;
  const std::vector<at::Tensor> tensors = model::tensors_of(result);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const at::Tensor& output = tensors[i];
    if (!output.is_floating_point() || !output.requires_grad() || output.numel() < 2) continue;
    const auto known = spreads.emplace(i, 0.0);
    if (known.second) known.first->second = output.detach().to(at::kDouble).std(/*unbiased=*/false).item<double>();
    const double spread = known.first->second;
    if (!(spread > 0) || !std::isfinite(spread)) continue;
    projection.outputs.push_back(output);
    projection.directions.push_back((signs.like(output) / spread).to(output.device(), output.scalar_type()));
    projection.elements += output.numel();
  }
  return projection;
}

/// Fills output_error of the fitted pairs. @return why that is impossible, else nothing
std::string errors_of_outputs(const capture::ModelSet& set, const capture::Stores& calibration, ModelIndex receiver,
                              ModelIndex donor, const PairSamples& sampling,
                              const std::map<Key, std::vector<std::size_t>>& regressions,
                              const std::vector<std::int64_t>& positions, std::uint64_t seed, Fits& fits,
                              Progress& progress) {
  const std::vector<ModelIndex> wanted{receiver};
  const graph::Assembly assembly = graph::assemble(set.models, set.groups, {}, wanted, sampling.requests());
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/true,
                             assembly.device);
  Signs signs(seed);
  std::map<std::size_t, double> spreads;
  std::vector<double> sums(fits.pairs.size(), 0.0);
  std::int64_t elements = 0;
  const std::vector<ModelIndex> members{receiver, donor};
  progress.begin("sensitivity of " + name_of(set, receiver), static_cast<std::int64_t>(positions.size()));
  for (const auto& run : runs_of(positions, set.batch(members))) {
    std::map<std::size_t, at::Tensor> values;  // per request
    std::map<std::size_t, at::Tensor> gradients;
    try {
      const c10::IValue result =
          runner.run_differentiable(capture::group_inputs(set, calibration, assembly.input_groups, run),
                                    [&](int probe, const at::Tensor& value) { values[probe] = value; });
      const Projection projection = project(result, spreads, signs);
      std::vector<std::size_t> requests;
      std::vector<at::Tensor> layers;
      for (std::size_t i = 0; i < fits.pairs.size(); ++i) {
        const std::size_t request = sampling.wanted(i).first;
        if (gradients.count(request) > 0) continue;
        gradients[request] = at::Tensor();
        if (!values.at(request).requires_grad()) continue;
        requests.push_back(request);
        layers.push_back(values.at(request));
      }
      if (projection.outputs.empty() || layers.empty()) return "none of its outputs follows smoothly from its layers";
      const auto found = torch::autograd::grad(projection.outputs, layers, projection.directions, std::nullopt,
                                               /*create_graph=*/false, /*allow_unused=*/true);
      for (std::size_t i = 0; i < requests.size(); ++i) gradients[requests[i]] = found[i];
      elements += projection.elements;
    } catch (const std::exception& error) {  // runs without gradients in mind may well fail with them
      log::debug(error.what());
      return "its graph has an operation that cannot be differentiated";
    }
    const at::AutoGradMode no_gradients(false);
    for (const auto& [regressors, members_of] : regressions) {
      const NormalEquations::Solution& solution = fits.solutions.at(regressors);
      const at::Tensor x = sampling.rows(regressors, values.at(regressors.first).detach()).to(at::kDouble);
      const at::Tensor fitted = at::addmm(solution.bias, x, solution.weight.t());
      std::int64_t begin = 0;
      for (const std::size_t i : members_of) {
        const Key key = sampling.wanted(i);
        const std::int64_t end = begin + sampling.channels(i);
        const at::Tensor value = values.at(key.first).detach(), &gradient = gradients.at(key.first);
        if (!gradient.defined()) {
          sums[i] = std::numeric_limits<double>::quiet_NaN();
        } else {
          const at::Tensor error = sampling.rows(key, value).to(at::kDouble) - fitted.slice(1, begin, end);
          const at::Tensor moved = (sampling.rows(key, gradient).to(at::kDouble) * error).sum(1);
          // As many positions as there are stand behind the sampled ones.
          const double scale =
              static_cast<double>(value.size(0) * value.size(2) * value.size(3)) / static_cast<double>(moved.size(0));
          sums[i] += scale * moved.square().sum().item<double>();
        }
        begin = end;
      }
    }
    progress.step(static_cast<std::int64_t>(run.size()));
  }
  progress.end();
  for (std::size_t i = 0; i < sums.size(); ++i) fits.pairs[i].output_error = sums[i] / static_cast<double>(elements);
  return {};
}

}  // namespace

PredictorsOfPairs predictors(const capture::ModelSet& set, const capture::Stores& calibration, ModelIndex receiver,
                             ModelIndex donor, const std::vector<LayerPair>& pairs, const Options& options,
                             const SampleWeights& weights, const std::vector<std::int64_t>& positions,
                             std::uint64_t seed, Progress& progress) {
  if (pairs.empty()) return {};
  const PairSamples sampling(set, receiver, donor, pairs, kRowsPerFrame);
  // Pairs with the same regressors are one regression: their receiver layers stand side by side.
  std::map<Key, std::vector<std::size_t>> regressions;
  for (std::size_t i = 0; i < pairs.size(); ++i) regressions[sampling.given(i)].push_back(i);
  Fits fits = fit_all(set, calibration, receiver, donor, pairs, sampling, regressions, options, weights, progress);
  PredictorsOfPairs result;
  result.not_differentiable =
      errors_of_outputs(set, calibration, receiver, donor, sampling, regressions, positions, seed, fits, progress);
  result.pairs = std::move(fits.pairs);
  return result;
}

std::vector<int> last_layers(const graph::Program& program) {
  const auto read = graph::layers_read(program);
  std::set<int> found;
  for (const OpIndex op : program.results) {
    const LayerIndex layer = program.ops[op].layer;
    if (layer >= 0 && program.layers[layer].op == op) {
      found.insert(layer);
    } else {
      found.insert(read[op].begin(), read[op].end());
    }
  }
  std::vector<int> result;
  for (const LayerIndex layer : found) {
    if (program.layers[layer].shape.size() == 3) result.push_back(layer);
  }
  return result;
}

double agreement_behind(const capture::ModelSet& set, const capture::Stores& calibration, const graph::Splice& splice,
                        const SampleWeights& weights, const std::vector<std::int64_t>& positions, Progress& progress) {
  const graph::Prepared& receiver = *set.models[splice.receiver];
  const std::vector<LayerIndex> layers = last_layers(receiver.program);
  if (layers.empty()) return std::numeric_limits<double>::quiet_NaN();
  // The receiver stands twice in the merged graph, merged and as it is.
  std::vector<const graph::Prepared*> models = set.models;
  std::vector<int> groups = set.groups;
  const int original = static_cast<int>(models.size());
  models.push_back(&receiver);
  groups.push_back(set.groups[splice.receiver]);
  std::vector<graph::PlaceRequest> requests;
  for (const LayerIndex layer : layers) {
    const graph::Place place = graph::place_of(receiver.program.layers[layer]);
    requests.push_back({splice.receiver, place, false});
    requests.push_back({original, place, false});
  }
  std::vector<ModelIndex> members{splice.receiver};
  for (const DonorLayer& one : splice.donor_layers()) members.push_back(one.donor);
  const std::vector<graph::Splice> splices{splice};
  const graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false,
                             assembly.device);
  std::vector<NormalEquations> sums(layers.size());
  progress.begin("last layers of " + receiver.name, static_cast<std::int64_t>(positions.size()));
  for (const auto& run : runs_of(positions, set.batch(members))) {
    std::vector<at::Tensor> values(requests.size());
    runner.run(capture::group_inputs(set, calibration, assembly.input_groups, run),
               [&](int probe, const at::Tensor& value) { values[probe] = value.clone(); });
    const c10::InferenceMode no_gradients;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const at::Tensor &merged = values[2 * i], &own = values[2 * i + 1];
      sums[i].add(matrix(positions_of(merged)), matrix(positions_of(own)),
                  weights.of(run, own.size(2), own.size(3)).flatten());
    }
    progress.step(static_cast<std::int64_t>(run.size()));
  }
  progress.end();
  const c10::InferenceMode no_gradients;
  double worst = 1;
  for (const NormalEquations& one : sums) worst = std::min(worst, one.r2_unchanged());
  return worst;
}

}  // namespace repsim::fit
