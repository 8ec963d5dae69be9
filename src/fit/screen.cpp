#include <map>
#include <set>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit.hpp"
#include "repsim/optimised.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kScreenRowsPerFrame = 64;

using Size = std::pair<std::int64_t, std::int64_t>;

/// A layer's values brought to a size, at the cells that a receiver and a donor of two input groups both see.
struct Sample {
  int model = -1, layer = -1;
  Size size;
  std::pair<int, int> groups;  ///< of receiver and donor; equal coordinates: -1, -1

  auto operator<=>(const Sample&) const = default;
};

/// Pairs whose models run in equal batches, in one pass over the frames or in as few as memory allows.
class Screen {
 public:
  Screen(const capture::ModelSet& set, std::span<const Screening* const> screenings) : set_(set) {
    for (const Screening* one : screenings) {
      for (const LayerPair& pair : one->pairs) add(*one, pair);
    }
  }

  /// @return R2 of all pairs, in the order in which they were added
  std::vector<double> run(const capture::Stores& calibration, double ridge, std::int64_t most_bytes,
                          Progress& progress) {
    // The copies that capture runs: it is ranks that are asked for, not last digits.
    std::vector<int> models;
    for (const auto& [model, layers] : wanted_) {
      const graph::Prepared& prepared = *set_.models[static_cast<std::size_t>(model)];
      const std::int64_t example[] = {0};
      const int of_group = group(model);
      graph::TapRunner copy =
          graph::layer_runner(prepared, capture::group_inputs(set_, calibration, {&of_group, 1}, example));
      if (!copy.reason.empty()) log::debug(prepared.name + ": screened with the model as it is: " + copy.reason);
      runners_.emplace(model, std::move(copy.runner));
      models.push_back(model);
    }
    const std::vector<std::vector<Entry*>> passes = in_passes(most_bytes);
    progress.begin("screen " + std::to_string(count_) + " pairs of layers",
                   calibration.front().size() * static_cast<std::int64_t>(passes.size()));
    std::vector<double> scores(count_);
    for (const std::vector<Entry*>& regressions : passes) {
      sweep(regressions, calibration, set_.batch(models), progress);
      const c10::InferenceMode no_gradients;
      progress.spend("ridges", [&] {
        for (Entry* entry : regressions) {
          const NormalEquations::Solution solution = entry->second.sums.solve(ridge);
          for (const Target& target : entry->second.targets) {
            for (const std::size_t pair : target.pairs) scores[pair] = solution.r2(target.begin, target.end);
          }
          entry->second.sums = NormalEquations();
        }
      });
    }
    progress.end();
    return scores;
  }

 private:
  /// How a tapped value becomes rows.
  struct Kind {
    std::vector<graph::Alignment> aligned;
    Matrices matrices;  ///< of donor layers, where coordinates differ
  };
  /// Outputs begin..end of a regression: one receiver layer, for one pair or several.
  struct Target {
    Sample sample;
    std::int64_t begin = 0, end = 0;
    std::vector<std::size_t> pairs;
  };
  /// Pairs with the same regressors are one regression, whoever the receivers are: their layers stand side by side.
  struct Regression {
    std::vector<Target> targets;
    NormalEquations sums{NormalEquations::Products::kFloat};
  };
  using Entry = std::pair<const Sample, Regression>;

  const graph::Layer& layer(int model, int index) const {
    return set_.models[static_cast<std::size_t>(model)]->program.layers[static_cast<std::size_t>(index)];
  }
  int group(int model) const { return set_.groups[static_cast<std::size_t>(model)]; }

  void add(const Screening& screening, const LayerPair& pair) {
    const graph::Alignment aligned = alignment(set_, screening.receiver, screening.donor);
    const std::vector<std::int64_t>&to = layer(screening.receiver, pair.receiver_layer).shape,
          &from = layer(screening.donor, pair.donor_layer).shape;
    const Size size{to[1], to[2]};
    std::pair<int, int> groups{-1, -1};
    if (!aligned.identity()) groups = {group(screening.receiver), group(screening.donor)};
    const Sample taken{screening.receiver, pair.receiver_layer, size, groups},
        given{screening.donor, pair.donor_layer, size, groups};
    wanted_[taken.model][taken.layer].emplace(taken, Kind{{aligned}, {}});
    Kind kind{{aligned}, {}};
    if (!aligned.identity()) kind.matrices = matrices(aligned, from, to);
    wanted_[given.model][given.layer].insert_or_assign(given, kind);
    std::vector<Target>& targets = regressions_[given].targets;
    auto target = std::find_if(targets.begin(), targets.end(), [&](const Target& one) { return one.sample == taken; });
    if (target == targets.end()) {
      const std::int64_t begin = targets.empty() ? 0 : targets.back().end;
      targets.push_back({taken, begin, begin + to[0], {}});
      target = targets.end() - 1;
    }
    target->pairs.push_back(count_++);
  }

  /// Of a regression's sums and of the rows of a run that go into them, each counted as if no other needed them.
  std::int64_t bytes_of(const Entry& entry) const {
    const std::int64_t given = layer(entry.first.model, entry.first.layer).shape[0],
                       taken = entry.second.targets.back().end;
    return 8 * given * (given + taken) + 4 * video::kMinibatchFrames * kScreenRowsPerFrame * (given + 2 * taken);
  }

  std::vector<std::vector<Entry*>> in_passes(std::int64_t most_bytes) {
    std::vector<std::vector<Entry*>> passes(1);
    std::int64_t bytes = 0;
    for (Entry& entry : regressions_) {
      const std::int64_t more = bytes_of(entry);
      if (!passes.back().empty() && more > most_bytes - bytes) {
        passes.emplace_back();
        bytes = 0;
      }
      bytes += more;
      passes.back().push_back(&entry);
    }
    return passes;
  }

  /// One pass over the frames, of the models that these regressions need.
  void sweep(const std::vector<Entry*>& regressions, const capture::Stores& calibration, std::int64_t batch,
             Progress& progress) const {
    std::set<Sample> needed;
    for (const Entry* entry : regressions) {
      needed.insert(entry->first);
      for (const Target& target : entry->second.targets) needed.insert(target.sample);
    }
    std::set<int> models, groups;
    for (const Sample& sample : needed) {
      models.insert(sample.model);
      groups.insert(group(sample.model));
    }
    for (const auto& positions : capture::batches(calibration.front().size(), batch)) {
      std::map<Sample, at::Tensor> samples;
      std::map<int, c10::IValue> inputs;
      for (const int one : groups)
        inputs.emplace(one, capture::group_inputs(set_, calibration, {&one, 1}, positions).front());
      progress.spend("forward", [&] {
        for (const int model : models) {
          const auto& layers = wanted_.at(model);
          runners_.at(model).run({inputs.at(group(model))}, [&](int index, const at::Tensor& value) {
            const auto found = layers.find(index);
            if (found == layers.end()) return;
            for (const auto& [sample, kind] : found->second) {
              if (needed.count(sample) > 0) samples[sample] = rows_of(value, sample, kind);
            }
          });
        }
      });
      const c10::InferenceMode no_gradients;
      progress.spend("sums", [&] {
        for (Entry* entry : regressions) {
          std::vector<at::Tensor> targets;
          for (const Target& target : entry->second.targets) targets.push_back(samples.at(target.sample));
          entry->second.sums.add(samples.at(entry->first), at::cat(targets, 1));
        }
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
  }

  static at::Tensor rows_of(const at::Tensor& value, const Sample& sample, const Kind& kind) {
    const auto [height, width] = sample.size;
    const at::Tensor map = brought_to(value, kind.matrices, height, width);
    const at::Tensor rows = rows_in_view(positions_of(map), kind.aligned, height, width);
    return matrix(every_position(rows, kScreenRowsPerFrame)).clone();
  }

  const capture::ModelSet& set_;
  std::map<int, std::map<int, std::map<Sample, Kind>>> wanted_;  // per model and layer
  std::map<Sample, Regression> regressions_;                     // by what is given
  std::map<int, graph::Runner> runners_;                         // of all models that are wanted
  std::size_t count_ = 0;
};

}  // namespace

std::vector<std::vector<double>> screen(const capture::ModelSet& set, const capture::Stores& calibration,
                                        std::span<const Screening> screenings, const Options& options,
                                        Progress& progress, std::int64_t most_bytes) {
  std::vector<std::vector<double>> scores(screenings.size());
  for (const bool batchable : {true, false}) {
    std::vector<std::size_t> chosen;
    std::vector<const Screening*> together;
    for (std::size_t i = 0; i < screenings.size(); ++i) {
      const std::vector<int> models{screenings[i].receiver, screenings[i].donor};
      if (screenings[i].pairs.empty() || (set.batch(models) > 1) != batchable) continue;
      chosen.push_back(i);
      together.push_back(&screenings[i]);
    }
    if (together.empty()) continue;
    Screen pass(set, together);
    const std::vector<double> found = pass.run(calibration, options.ridge.value_or(kRidge), most_bytes, progress);
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
