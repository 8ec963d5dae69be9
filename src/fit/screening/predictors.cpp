#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "../fitting/patches.hpp"
#include "pair_samples.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit/predictors.hpp"
#include "repsim/frame_runs.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kSamplesPerFrame = 64;
using Key = PairSamples::Key;

/// Positions in runs of at most `batch` frames.
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

/// Random signs: equal for a seed on every machine.
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

/// Outputs that can be differentiated, and random projections of them to unit variance.
struct Projection {
  std::vector<at::Tensor> outputs, directions;
  std::int64_t elements = 0;
};
/// @param spreads  standard deviation per output, of the first run
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

/// Rates the pairs of one direction.
class PairRating {
 public:
  PairRating(const PredictorQuery& query, Progress& progress)
      : query_(query),
        progress_(progress),
        samples_(query.set, query.receiver, query.donor, query.pairs, kSamplesPerFrame),
        signs_(query.seed) {
    for (std::size_t i = 0; i < query.pairs.size(); ++i) regressions_[samples_.donor_key(i)].push_back(i);
    result_.pairs.resize(query.pairs.size());
  }

  PredictorsOfPairs run() {
    add_up();
    solve();
    result_.not_differentiable = rate_output_errors();
    return std::move(result_);
  }

 private:
  [[nodiscard]] const std::string& name_of(ModelIndex model) const { return query_.set.models[model]->name; }
  [[nodiscard]] bool is_weighted() const { return !query_.weights.boxes.empty(); }
  [[nodiscard]] std::int64_t batch() const {
    const std::vector<ModelIndex> members{query_.receiver, query_.donor};
    return query_.set.batch(members);
  }
  [[nodiscard]] graph::Runner runner_of(const graph::Assembly& assembly, bool keep_output) const {
    return graph::Runner(*assembly.graph, assembly.parameter_values(), assembly.places, keep_output, assembly.device);
  }

  /// The pass over the calibration frames.
  void add_up() {
    const graph::Assembly assembly = graph::assemble(query_.set.models, query_.set.groups, {}, {}, samples_.requests());
    const graph::Runner runner = runner_of(assembly, /*keep_output=*/false);
    const std::int64_t frames = query_.calibration.front().size();
    progress_.begin("guides " + name_of(query_.receiver) + "<-" + name_of(query_.donor), frames);
    for (const auto& positions : capture::batches(frames, batch())) {
      std::map<Key, at::Tensor> samples;
      const auto take_samples = [&](int probe, const at::Tensor& value) {
        const auto request = static_cast<std::size_t>(probe);
        for (const MapSize& size : samples_.sizes(request))
          samples[{request, size}] = samples_.samples({request, size}, value);
      };
      capture::on_merged_frames(query_.set, query_.calibration, positions, [&] {
        return runner.run(capture::group_inputs(query_.set, query_.calibration, assembly.input_groups, positions),
                          take_samples);
      });
      add_run(samples, positions);
      progress_.step(static_cast<std::int64_t>(positions.size()));
    }
    progress_.end();
  }

  void add_run(const std::map<Key, at::Tensor>& samples, const std::vector<std::int64_t>& positions) {
    const c10::InferenceMode no_gradients;
    std::map<MapSize, at::Tensor> weights;
    std::set<Key> seen;
    for (const auto& [regressors, pairs] : regressions_) {
      std::vector<at::Tensor> targets;
      for (const std::size_t i : pairs) {
        const Key key = samples_.receiver_key(i);
        targets.push_back(samples.at(key));
        if (seen.insert(key).second) own_[key].add(targets.back(), targets.back().narrow(1, 0, 1));
      }
      const at::Tensor y = at::cat(targets, 1);
      sums_[regressors].add(samples.at(regressors), y);
      if (!is_weighted()) continue;
      const auto [height, width] = regressors.second;
      at::Tensor& of_size = weights[regressors.second];
      if (!of_size.defined()) {
        const at::Tensor all = query_.weights.of(positions, height, width);
        of_size = samples_.chosen(all.unsqueeze(2), regressors.second).squeeze(1);
      }
      weighted_[regressors].add(samples.at(regressors), y, of_size);
    }
  }

  /// Fits all pairs, and rates what the sums tell.
  void solve() {
    const c10::InferenceMode no_gradients;
    std::map<Key, at::Tensor> covariances;
    for (const auto& [key, one] : own_) covariances[key] = one.moments().xx;
    for (const auto& [regressors, pairs] : regressions_) {
      const NormalEquations::Moments moments = sums_.at(regressors).moments();
      const NormalEquations::Solution plain = sums_.at(regressors).solve(query_.ridge);
      const NormalEquations::Solution weighted = is_weighted() ? weighted_.at(regressors).solve(query_.ridge) : plain;
      std::int64_t begin = 0;
      for (const std::size_t i : pairs) {
        const std::int64_t end = begin + samples_.channels(i);
        PairPredictors& pair = result_.pairs[i];
        pair.r2 = plain.r2(begin, end);
        pair.r2_weighted = weighted.r2(begin, end);
        pair.spatial_cka =
            linear_cka(moments, moments.xy.slice(1, begin, end), covariances.at(samples_.receiver_key(i)));
        begin = end;
      }
      solutions_[regressors] = weighted;
    }
  }

  /// The backward pass. @return why that is impossible, else nothing
  std::string rate_output_errors() {
    const std::vector<ModelIndex> wanted{query_.receiver};
    const graph::Assembly assembly =
        graph::assemble(query_.set.models, query_.set.groups, {}, wanted, samples_.requests());
    const graph::Runner runner = runner_of(assembly, /*keep_output=*/true);
    std::vector<double> errors(query_.pairs.size(), 0.0);
    std::int64_t elements = 0;
    progress_.begin("sensitivity of " + name_of(query_.receiver), static_cast<std::int64_t>(query_.positions.size()));
    for (const auto& run : runs_of(query_.positions, batch())) {
      std::optional<Sensitivity> found;
      try {
        found = sensitivity(runner, capture::group_inputs(query_.set, query_.calibration, assembly.input_groups, run));
      } catch (const std::exception& error) {  // runs without gradients in mind may well fail with them
        log::debug(error.what());
        return "its graph has an operation that cannot be differentiated";
      }
      if (!found) return "none of its outputs follows smoothly from its layers";
      elements += found->elements;
      add_errors(*found, errors);
      progress_.step(static_cast<std::int64_t>(run.size()));
    }
    progress_.end();
    for (std::size_t i = 0; i < errors.size(); ++i)
      result_.pairs[i].output_error = errors[i] / static_cast<double>(elements);
    return {};
  }

  /// The layers' values in one run, and the gradients of a random projection of the outputs.
  struct Sensitivity {
    std::map<std::size_t, at::Tensor> values, gradients;  ///< per request; undefined: no gradient
    std::int64_t elements = 0;                            ///< of the outputs
  };
  /// @return nothing if no output depends on a layer in a way that can be differentiated
  std::optional<Sensitivity> sensitivity(const graph::Runner& runner, std::vector<c10::IValue> inputs) {
    Sensitivity result;
    const c10::IValue output = runner.run_differentiable(
        std::move(inputs), [&](int probe, const at::Tensor& value) { result.values[probe] = value; });
    const Projection projection = project(output, spreads_, signs_);
    std::vector<std::size_t> requests;
    std::vector<at::Tensor> layers;
    for (std::size_t i = 0; i < query_.pairs.size(); ++i) {
      const std::size_t request = samples_.receiver_key(i).first;
      if (!result.gradients.emplace(request, at::Tensor()).second) continue;
      if (!result.values.at(request).requires_grad()) continue;
      requests.push_back(request);
      layers.push_back(result.values.at(request));
    }
    if (projection.outputs.empty() || layers.empty()) return std::nullopt;
    const auto found = torch::autograd::grad(projection.outputs, layers, projection.directions, std::nullopt,
                                             /*create_graph=*/false, /*allow_unused=*/true);
    for (std::size_t i = 0; i < requests.size(); ++i) result.gradients[requests[i]] = found[i];
    result.elements = projection.elements;
    return result;
  }

  /// Adds what the fits' errors in one run change in the outputs. @param errors  per pair
  void add_errors(const Sensitivity& run, std::vector<double>& errors) const {
    const at::AutoGradMode no_gradients(false);
    for (const auto& [regressors, pairs] : regressions_) {
      const NormalEquations::Solution& solution = solutions_.at(regressors);
      const at::Tensor x = samples_.samples(regressors, run.values.at(regressors.first).detach()).to(at::kDouble);
      const at::Tensor fitted = at::addmm(solution.bias, x, solution.weight.t());
      std::int64_t begin = 0;
      for (const std::size_t i : pairs) {
        const Key key = samples_.receiver_key(i);
        const std::int64_t end = begin + samples_.channels(i);
        const at::Tensor value = run.values.at(key.first).detach(), &gradient = run.gradients.at(key.first);
        if (!gradient.defined()) {
          errors[i] = std::numeric_limits<double>::quiet_NaN();
        } else {
          const at::Tensor error = samples_.samples(key, value).to(at::kDouble) - fitted.slice(1, begin, end);
          const at::Tensor change = (samples_.samples(key, gradient).to(at::kDouble) * error).sum(1);
          // Each sample stands for several positions.
          const double scale =
              static_cast<double>(value.size(0) * value.size(2) * value.size(3)) / static_cast<double>(change.size(0));
          errors[i] += scale * change.square().sum().item<double>();
        }
        begin = end;
      }
    }
  }

  const PredictorQuery& query_;
  Progress& progress_;
  const PairSamples samples_;
  /// Pairs with one donor layer are one regression: their receiver layers stand side by side as outputs.
  std::map<Key, std::vector<std::size_t>> regressions_;
  std::map<Key, NormalEquations> sums_, weighted_, own_;  // own_: of the receiver's layers, for their covariances
  std::map<Key, NormalEquations::Solution> solutions_;    // by regressors
  Signs signs_;
  std::map<std::size_t, double> spreads_;  // standard deviation per output
  PredictorsOfPairs result_;
};

}  // namespace

PredictorsOfPairs predictors(const PredictorQuery& query, Progress& progress) {
  if (query.pairs.empty()) return {};
  return PairRating(query, progress).run();
}

std::vector<LayerIndex> last_layers(const graph::Program& program) {
  const auto read = graph::layers_read(program);
  std::set<LayerIndex> found;
  for (const OpIndex op : program.results) {
    const LayerIndex layer = program.ops[op].layer;
    if (layer >= 0 && program.layers[layer].op == op) {
      found.insert(layer);
    } else {
      found.insert(read[op].begin(), read[op].end());
    }
  }
  std::vector<LayerIndex> result;
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
  const auto original = static_cast<ModelIndex>(models.size());
  models.push_back(&receiver);
  groups.push_back(set.groups[splice.receiver]);
  std::vector<graph::PlaceRequest> requests;
  for (const LayerIndex layer : layers) {
    const graph::Place place = graph::place_of(receiver.program.layers[layer]);
    requests.push_back({splice.receiver, place, false});
    requests.push_back({original, place, false});
  }
  std::vector<ModelIndex> members{splice.receiver};
  for (const graph::DonorLayer& one : splice.donor_layers()) members.push_back(one.donor);
  const std::vector<graph::Splice> splices{splice};
  const graph::Assembly assembly = graph::assemble(models, groups, splices, {}, requests);
  const graph::Runner runner(*assembly.graph, assembly.parameter_values(), assembly.places, /*keep_output=*/false,
                             assembly.device);
  std::vector<NormalEquations> sums(layers.size());
  progress.begin("last layers of " + receiver.name, static_cast<std::int64_t>(positions.size()));
  for (const auto& run : runs_of(positions, set.batch(members))) {
    std::vector<at::Tensor> values(requests.size());
    capture::on_merged_frames(set, calibration, run, [&] {
      return runner.run(capture::group_inputs(set, calibration, assembly.input_groups, run),
                        [&](int probe, const at::Tensor& value) { values[probe] = value.clone(); });
    });
    const c10::InferenceMode no_gradients;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const at::Tensor &merged = values[2 * i], &own = values[2 * i + 1];
      sums[i].add(samples_of(positions_of(merged)), samples_of(positions_of(own)),
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
