#include <algorithm>
#include <map>
#include <set>

#include "../attachment/coordinates.hpp"
#include "../fitting/patches.hpp"
#include "../regression/symmetric.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit/screening.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/optimised.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kSamplesPerFrame = 64;

using Size = std::pair<std::int64_t, std::int64_t>;

/// A layer in a size, at the cells that a receiver and a donor of two input groups both see. Its values there are the
/// samples of a regression.
struct SampledLayer {
  ModelIndex model = -1;
  LayerIndex layer = -1;
  Size size;
  std::pair<int, int> groups;  ///< of receiver and donor; equal coordinates: -1, -1

  auto operator<=>(const SampledLayer&) const = default;
};

/// Rates pairs whose models run in equal batches, in one pass over the frames or in as few as memory allows.
class Screen {
 public:
  Screen(const capture::ModelSet& set, std::span<const Screening* const> screenings, const Outputs& outputs)
      : set_(set), outputs_(outputs) {
    for (const Screening* one : screenings) {
      for (const LayerPair& pair : one->pairs) add(*one, pair);
    }
  }

  /// @return R2 of all pairs, in the order in which they were added
  std::vector<double> run(const capture::Stores& calibration, const ScreeningOptions& options, Progress& progress) {
    std::vector<ModelIndex> models;
    for (const auto& [model, layers] : wanted_) models.push_back(model);
    make_runners(models, calibration);
    const std::vector<std::vector<Entry*>> passes = in_passes(options.max_bytes);
    progress.begin("screen " + std::to_string(count_) + " pairs of layers",
                   calibration.front().size() * static_cast<std::int64_t>(passes.size()));
    std::vector<double> scores(count_);
    for (const std::vector<Entry*>& regressions : passes) {
      find_mirrors(regressions);
      const LayerMap layers = sweep(regressions, calibration, set_.batch(models), progress);
      const c10::InferenceMode no_gradients;
      progress.spend("ridges", [&] {
        for (Entry* entry : regressions) mirror(entry->second);
        for (Entry* entry : regressions) {
          const NormalEquations::Solution solution = sums_of(*entry, layers).solve(options.ridge);
          for (const Target& target : entry->second.targets) {
            for (const std::size_t pair : target.pairs) scores[pair] = solution.r2(target.begin, target.end);
          }
          entry->second.xx = entry->second.xy = at::Tensor();
        }
      });
    }
    progress.end();
    return scores;
  }

 private:
  /// How a layer's value becomes samples.
  struct Conversion {
    std::vector<graph::Alignment> aligned;
    Matrices matrices;  ///< of donor layers, where coordinates differ
  };
  /// What all regressions with a layer have in common of it.
  struct LayerSamples {
    at::Tensor shift;         ///< [C] float64
    at::Tensor values;        ///< [n, C] float32, of one run, about the shift
    at::Tensor sum, squares;  ///< [C] float64, of these values over all runs
    std::int64_t count = 0;   ///< of samples over all runs
  };
  using LayerMap = std::map<SampledLayer, LayerSamples>;
  struct Regression;
  /// Outputs begin..end of a regression: one receiver layer, for one pair or several.
  struct Target {
    SampledLayer layer;
    std::int64_t begin = 0, end = 0;
    std::vector<std::size_t> pairs;
    /// The target of a regression in the opposite direction, which computes the transposed products; null: none does.
    const Target* mirror = nullptr;
    const Regression* mirrored_by = nullptr;
  };
  /// All pairs with one donor layer, whoever the receivers are: their layers stand side by side as outputs.
  struct Regression {
    std::vector<Target> targets;
    at::Tensor xx, xy;  ///< float64 sums of products that were taken in float32 run by run
  };
  using Entry = std::pair<const SampledLayer, Regression>;

  /// The copies that capture runs: screening asks for ranks, not for last digits.
  void make_runners(const std::vector<ModelIndex>& models, const capture::Stores& calibration) {
    const auto runs = capture::batches(calibration.front().size(), set_.batch(models));
    const std::span<const std::int64_t> few = capture::frames_to_try(runs);
    for (const ModelIndex model : models) {
      const graph::Prepared& prepared = *set_.models[model];
      const int of_group = group(model);
      graph::ProbeRunner copy = graph::layer_runner(
          prepared, capture::group_inputs(set_, calibration, {&of_group, 1}, few), outputs_.models.count(model) > 0);
      if (!copy.reason.empty()) log::debug(prepared.name + ": screened with the model as it is: " + copy.reason);
      runners_.emplace(model, std::move(copy.runner));
    }
  }

  const graph::Layer& layer(ModelIndex model, LayerIndex index) const {
    return set_.models[model]->program.layers[index];
  }
  int group(ModelIndex model) const { return set_.groups[model]; }

  void add(const Screening& screening, const LayerPair& pair) {
    const graph::Alignment aligned = alignment(set_, screening.receiver, screening.donor);
    const std::vector<std::int64_t>&to = layer(screening.receiver, pair.receiver_layer).shape,
          &from = layer(screening.donor, pair.donor_layer).shape;
    const Size size{to[1], to[2]};
    std::pair<int, int> groups{-1, -1};
    if (!aligned.identity()) groups = {group(screening.receiver), group(screening.donor)};
    const SampledLayer replaced{screening.receiver, pair.receiver_layer, size, groups},
        given{screening.donor, pair.donor_layer, size, groups};
    wanted_[replaced.model][replaced.layer].emplace(replaced, Conversion{{aligned}, {}});
    Conversion conversion{{aligned}, {}};
    if (!aligned.identity()) conversion.matrices = matrices(aligned, from, to);
    wanted_[given.model][given.layer].insert_or_assign(given, conversion);
    std::vector<Target>& targets = regressions_[given].targets;
    auto target =
        std::find_if(targets.begin(), targets.end(), [&](const Target& one) { return one.layer == replaced; });
    if (target == targets.end()) {
      const std::int64_t begin = targets.empty() ? 0 : targets.back().end;
      targets.push_back({replaced, begin, begin + to[0], {}});
      target = targets.end() - 1;
    }
    target->pairs.push_back(count_++);
  }

  /// Bytes of a regression's sums and of the samples of a run, as if no other regression used these.
  std::int64_t bytes_of(const Entry& entry) const {
    const std::int64_t inputs = layer(entry.first.model, entry.first.layer).shape[0],
                       outputs = entry.second.targets.back().end;
    return 8 * inputs * (inputs + outputs) + 4 * video::kMinibatchFrames * kSamplesPerFrame * (inputs + 2 * outputs);
  }

  /// The regressions in as few passes as memory allows.
  std::vector<std::vector<Entry*>> in_passes(std::int64_t max_bytes) {
    std::vector<std::vector<Entry*>> passes(1);
    std::int64_t bytes = 0;
    for (Entry& entry : regressions_) {
      const std::int64_t more = bytes_of(entry);
      if (!passes.back().empty() && more > max_bytes - bytes) {
        passes.emplace_back();
        bytes = 0;
      }
      bytes += more;
      passes.back().push_back(&entry);
    }
    return passes;
  }

  /// If two models take from each other, x y' and y x' are transposes: one of the two is enough.
  static void find_mirrors(const std::vector<Entry*>& regressions) {
    std::map<SampledLayer, const Regression*> by_given;
    for (const Entry* entry : regressions) by_given.emplace(entry->first, &entry->second);
    for (Entry* entry : regressions) {
      for (Target& target : entry->second.targets) {
        const auto other = by_given.find(target.layer);
        if (other == by_given.end() || !(target.layer < entry->first)) continue;
        const std::vector<Target>& back = other->second->targets;
        const auto found =
            std::find_if(back.begin(), back.end(), [&](const Target& one) { return one.layer == entry->first; });
        if (found == back.end()) continue;
        target.mirror = &*found;
        target.mirrored_by = other->second;
      }
    }
  }

  /// Copies the products that regressions in the opposite direction computed.
  static void mirror(Regression& regression) {
    for (const Target& target : regression.targets) {
      if (target.mirror == nullptr) continue;
      const auto [begin, end] = std::pair(target.mirror->begin, target.mirror->end);
      regression.xy.narrow(1, target.begin, target.end - target.begin)
          .copy_(target.mirrored_by->xy.narrow(1, begin, end - begin).t());
    }
  }

  /// One pass over the frames, of the models that these regressions need.
  /// @return the sums of all their layers
  LayerMap sweep(const std::vector<Entry*>& regressions, const capture::Stores& calibration, std::int64_t batch,
                 Progress& progress) {
    LayerMap sampled;
    for (const Entry* entry : regressions) {
      sampled[entry->first];
      for (const Target& target : entry->second.targets) sampled[target.layer];
    }
    std::set<ModelIndex> models;
    std::set<int> groups;
    for (const auto& [one, unused] : sampled) {
      models.insert(one.model);
      groups.insert(group(one.model));
    }
    for (const auto& positions : capture::batches(calibration.front().size(), batch)) {
      std::map<int, c10::IValue> inputs;
      for (const int one : groups)
        inputs.emplace(one, capture::group_inputs(set_, calibration, {&one, 1}, positions).front());
      for (const ModelIndex model : models) {
        const auto& layers = wanted_.at(model);
        const auto take_samples = [&](int index, const at::Tensor& value) {
          const auto found = layers.find(index);
          if (found == layers.end()) return;
          for (const auto& [one, conversion] : found->second) {
            if (const auto wanted = sampled.find(one); wanted != sampled.end())
              wanted->second.values = samples_at(value, one.size, conversion);
          }
        };
        const c10::IValue output = progress.spend("forward", [&] {
          return capture::on_merged_frames(set_, calibration, positions, [&] {
            return runners_.at(model).run({inputs.at(group(model))}, take_samples);
          });
        });
        if (gives_output(model, batch)) outputs_.take(model, output, static_cast<std::int64_t>(positions.size()));
      }
      const c10::InferenceMode no_gradients;
      progress.spend("sums", [&] {
        for (auto& [layer, samples] : sampled) centre(samples);
        for (Entry* entry : regressions) add_products(*entry, sampled);
        for (auto& [layer, samples] : sampled) samples.values = at::Tensor();
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    has_run_.insert(models.begin(), models.end());
    return sampled;
  }

  /// In the first pass that a model takes part in, if it runs as it would alone.
  bool gives_output(ModelIndex model, std::int64_t batch) const {
    return outputs_.models.count(model) > 0 && has_run_.count(model) == 0 && set_.batch({&model, 1}) == batch;
  }

  static void centre(LayerSamples& samples) {
    if (!samples.values.defined()) throw Error(ErrorKind::kInternal, "a layer that is screened was not computed");
    if (!samples.shift.defined()) {
      samples.shift = samples.values.to(at::kDouble).mean(0);
      samples.sum = at::zeros_like(samples.shift);
      samples.squares = at::zeros_like(samples.shift);
    }
    samples.values.sub_(samples.shift.to(at::kFloat));
    samples.sum += samples.values.sum(0);
    samples.squares += samples.values.square().sum(0);
    samples.count += samples.values.size(0);
  }

  static void add_products(Entry& entry, const LayerMap& sampled) {
    Regression& regression = entry.second;
    const at::Tensor& x = sampled.at(entry.first).values;
    if (!regression.xx.defined()) {
      const at::TensorOptions options = x.options().dtype(at::kDouble);
      regression.xx = at::zeros({x.size(1), x.size(1)}, options);
      regression.xy = at::zeros({x.size(1), regression.targets.back().end}, options);
    }
    add_symmetric(regression.xx, x);
    for (const Target& target : regression.targets) {
      if (target.mirror != nullptr) continue;
      const at::Tensor& y = sampled.at(target.layer).values;
      // One order of the factors for both directions, so that it does not matter which of them computes the products.
      const at::Tensor products = target.layer < entry.first ? y.t().mm(x).t() : x.t().mm(y);
      regression.xy.narrow(1, target.begin, target.end - target.begin).add_(products);
    }
  }

  static NormalEquations sums_of(const Entry& entry, const LayerMap& sampled) {
    const LayerSamples& x = sampled.at(entry.first);
    std::vector<at::Tensor> shifts, sums, squares;
    for (const Target& target : entry.second.targets) {
      const LayerSamples& y = sampled.at(target.layer);
      shifts.push_back(y.shift);
      sums.push_back(y.sum);
      squares.push_back(y.squares);
    }
    NormalEquations::Sums all;
    all.samples = x.count;
    all.total = static_cast<double>(x.count);
    all.shift_x = x.shift;
    all.shift_y = at::cat(shifts);
    all.x = x.sum;
    all.y = at::cat(sums);
    all.xx = entry.second.xx;
    all.xy = entry.second.xy;
    all.yy = at::cat(squares);
    return NormalEquations(std::move(all));
  }

  /// @return [n, C] float32
  static at::Tensor samples_at(const at::Tensor& value, Size size, const Conversion& conversion) {
    const auto [height, width] = size;
    const at::Tensor map = resample_to(value, conversion.matrices, height, width);
    const at::Tensor visible = cells_in_view(positions_of(map), conversion.aligned, height, width);
    return samples_of(every_position(visible, kSamplesPerFrame)).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  const capture::ModelSet& set_;
  const Outputs& outputs_;
  std::set<ModelIndex> has_run_;  // in an earlier pass
  std::map<ModelIndex, std::map<LayerIndex, std::map<SampledLayer, Conversion>>> wanted_;
  std::map<SampledLayer, Regression> regressions_;  // by the donor's layer
  std::map<ModelIndex, graph::Runner> runners_;     // of all models that are wanted
  std::size_t count_ = 0;
};

}  // namespace

std::vector<std::vector<double>> screen(const capture::ModelSet& set, const capture::Stores& calibration,
                                        std::span<const Screening> screenings, Progress& progress,
                                        const ScreeningOptions& options, const Outputs& outputs) {
  std::vector<std::vector<double>> scores(screenings.size());
  for (const bool batchable : {true, false}) {
    std::vector<std::size_t> chosen;
    std::vector<const Screening*> together;
    for (std::size_t i = 0; i < screenings.size(); ++i) {
      const std::vector<ModelIndex> models{screenings[i].receiver, screenings[i].donor};
      if (screenings[i].pairs.empty() || (set.batch(models) > 1) != batchable) continue;
      chosen.push_back(i);
      together.push_back(&screenings[i]);
    }
    if (together.empty()) continue;
    Screen pass(set, together, outputs);
    const std::vector<double> found = pass.run(calibration, options, progress);
    auto from = found.begin();
    for (const std::size_t i : chosen) {
      const auto count = static_cast<std::ptrdiff_t>(screenings[i].pairs.size());
      scores[i].assign(from, from + count);
      from += count;
    }
  }
  return scores;
}

}  // namespace repsim::fit
