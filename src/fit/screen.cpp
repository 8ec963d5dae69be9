#include <algorithm>
#include <map>
#include <set>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit.hpp"
#include "repsim/optimised.hpp"
#include "symmetric.hpp"

namespace repsim::fit {
namespace {

constexpr std::int64_t kRowsPerFrame = 64;

using Size = std::pair<std::int64_t, std::int64_t>;

/// A layer's values brought to a size, at the cells that a receiver and a donor of two input groups both see.
struct Sample {
  ModelIndex model = -1;
  LayerIndex layer = -1;
  Size size;
  std::pair<int, int> groups;  ///< of receiver and donor; equal coordinates: -1, -1

  auto operator<=>(const Sample&) const = default;
};

/// Pairs whose models run in equal batches, in one pass over the frames or in as few as memory allows.
class Screen {
 public:
  Screen(const capture::ModelSet& set, std::span<const Screening* const> screenings, const Outputs& outputs)
      : set_(set), outputs_(outputs) {
    for (const Screening* one : screenings) {
      for (const LayerPair& pair : one->pairs) add(*one, pair);
    }
  }

  /// @return R2 of all pairs, in the order in which they were added
  std::vector<double> run(const capture::Stores& calibration, double ridge, std::int64_t most_bytes,
                          Progress& progress) {
    std::vector<ModelIndex> models;
    for (const auto& [model, layers] : wanted_) models.push_back(model);
    const auto runs = capture::batches(calibration.front().size(), set_.batch(models));
    const std::span<const std::int64_t> few = capture::frames_to_try(runs);
    // The copies that capture runs: it is ranks that are asked for, not last digits.
    for (const ModelIndex model : models) {
      const graph::Prepared& prepared = *set_.models[model];
      const int of_group = group(model);
      graph::ProbeRunner copy = graph::layer_runner(
          prepared, capture::group_inputs(set_, calibration, {&of_group, 1}, few), outputs_.models.count(model) > 0);
      if (!copy.reason.empty()) log::debug(prepared.name + ": screened with the model as it is: " + copy.reason);
      runners_.emplace(model, std::move(copy.runner));
    }
    const std::vector<std::vector<Entry*>> passes = in_passes(most_bytes);
    progress.begin("screen " + std::to_string(count_) + " pairs of layers",
                   calibration.front().size() * static_cast<std::int64_t>(passes.size()));
    std::vector<double> scores(count_);
    for (const std::vector<Entry*>& regressions : passes) {
      find_mirrors(regressions);
      const std::map<Sample, Rows> rows = sweep(regressions, calibration, set_.batch(models), progress);
      const c10::InferenceMode no_gradients;
      progress.spend("ridges", [&] {
        for (Entry* entry : regressions) mirror(entry->second);
        for (Entry* entry : regressions) {
          const NormalEquations::Solution solution = sums_of(*entry, rows).solve(ridge);
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
  /// How a tapped value becomes rows.
  struct Kind {
    std::vector<graph::Alignment> aligned;
    Matrices matrices;  ///< of donor layers, where coordinates differ
  };
  /// What all regressions with a layer have in common of it.
  struct Rows {
    at::Tensor shift;         ///< [C] float64
    at::Tensor values;        ///< [rows, C] float32, of one run, about the shift
    at::Tensor sum, squares;  ///< [C] float64, of these values over all runs
    std::int64_t count = 0;   ///< over all runs
  };
  struct Regression;
  /// Outputs begin..end of a regression: one receiver layer, for one pair or several.
  struct Target {
    Sample sample;
    std::int64_t begin = 0, end = 0;
    std::vector<std::size_t> pairs;
    /// The same products are those of a regression the other way round, which takes them; null: none does.
    const Target* mirror = nullptr;
    const Regression* mirrored_by = nullptr;
  };
  /// Pairs with the same regressors are one regression, whoever the receivers are: their layers stand side by side.
  struct Regression {
    std::vector<Target> targets;
    at::Tensor xx, xy;  ///< float64 sums of products that were taken in float32 run by run
  };
  using Entry = std::pair<const Sample, Regression>;

  const graph::Layer& layer(ModelIndex model, int index) const { return set_.models[model]->program.layers[index]; }
  int group(ModelIndex model) const { return set_.groups[model]; }

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
    return 8 * given * (given + taken) + 4 * video::kMinibatchFrames * kRowsPerFrame * (given + 2 * taken);
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

  /// Where two models take from each other, x y' and y x' are the same products: one of the two is enough.
  static void find_mirrors(const std::vector<Entry*>& regressions) {
    std::map<Sample, const Regression*> by_given;
    for (const Entry* entry : regressions) by_given.emplace(entry->first, &entry->second);
    for (Entry* entry : regressions) {
      for (Target& target : entry->second.targets) {
        const auto other = by_given.find(target.sample);
        if (other == by_given.end() || !(target.sample < entry->first)) continue;
        const std::vector<Target>& back = other->second->targets;
        const auto found =
            std::find_if(back.begin(), back.end(), [&](const Target& one) { return one.sample == entry->first; });
        if (found == back.end()) continue;
        target.mirror = &*found;
        target.mirrored_by = other->second;
      }
    }
  }

  static void mirror(Regression& regression) {
    for (const Target& target : regression.targets) {
      if (target.mirror == nullptr) continue;
      const auto [begin, end] = std::pair(target.mirror->begin, target.mirror->end);
      regression.xy.narrow(1, target.begin, target.end - target.begin)
          .copy_(target.mirrored_by->xy.narrow(1, begin, end - begin).t());
    }
  }

  /// One pass over the frames, of the models that these regressions need.
  /// @return what was added up of all
  std::map<Sample, Rows> sweep(const std::vector<Entry*>& regressions, const capture::Stores& calibration,
                               std::int64_t batch, Progress& progress) {
    std::map<Sample, Rows> rows;
    for (const Entry* entry : regressions) {
      rows[entry->first];
      for (const Target& target : entry->second.targets) rows[target.sample];
    }
    std::set<int> models, groups;
    for (const auto& [sample, unused] : rows) {
      models.insert(sample.model);
      groups.insert(group(sample.model));
    }
    for (const auto& positions : capture::batches(calibration.front().size(), batch)) {
      std::map<int, c10::IValue> inputs;
      for (const int one : groups)
        inputs.emplace(one, capture::group_inputs(set_, calibration, {&one, 1}, positions).front());
      for (const ModelIndex model : models) {
        const auto& layers = wanted_.at(model);
        const c10::IValue output = progress.spend("forward", [&] {
          return runners_.at(model).run({inputs.at(group(model))}, [&](int index, const at::Tensor& value) {
            const auto found = layers.find(index);
            if (found == layers.end()) return;
            for (const auto& [sample, kind] : found->second) {
              if (const auto wanted = rows.find(sample); wanted != rows.end())
                wanted->second.values = rows_of(value, sample, kind);
            }
          });
        });
        if (gives_output(model, batch)) outputs_.take(model, output, static_cast<std::int64_t>(positions.size()));
      }
      const c10::InferenceMode no_gradients;
      progress.spend("sums", [&] {
        for (auto& [sample, one] : rows) centre(one);
        for (Entry* entry : regressions) add_products(*entry, rows);
        for (auto& [sample, one] : rows) one.values = at::Tensor();
      });
      progress.step(static_cast<std::int64_t>(positions.size()));
    }
    has_run_.insert(models.begin(), models.end());
    return rows;
  }

  /// In the first pass that a model takes part in, if it runs as it would alone.
  bool gives_output(ModelIndex model, std::int64_t batch) const {
    return outputs_.models.count(model) > 0 && has_run_.count(model) == 0 && set_.batch({&model, 1}) == batch;
  }

  static void centre(Rows& rows) {
    if (!rows.values.defined()) throw Error(ErrorKind::kInternal, "a layer that is screened was not computed");
    if (!rows.shift.defined()) {
      rows.shift = rows.values.to(at::kDouble).mean(0);
      rows.sum = at::zeros_like(rows.shift);
      rows.squares = at::zeros_like(rows.shift);
    }
    rows.values.sub_(rows.shift.to(at::kFloat));
    rows.sum += rows.values.sum(0);
    rows.squares += rows.values.square().sum(0);
    rows.count += rows.values.size(0);
  }

  static void add_products(Entry& entry, const std::map<Sample, Rows>& rows) {
    Regression& regression = entry.second;
    const at::Tensor& x = rows.at(entry.first).values;
    if (!regression.xx.defined()) {
      const at::TensorOptions options = x.options().dtype(at::kDouble);
      regression.xx = at::zeros({x.size(1), x.size(1)}, options);
      regression.xy = at::zeros({x.size(1), regression.targets.back().end}, options);
    }
    add_symmetric(regression.xx, x);
    for (const Target& target : regression.targets) {
      if (target.mirror != nullptr) continue;
      const at::Tensor& y = rows.at(target.sample).values;
      // Always taken the same way round, so that it does not matter who takes them.
      const at::Tensor products = target.sample < entry.first ? y.t().mm(x).t() : x.t().mm(y);
      regression.xy.narrow(1, target.begin, target.end - target.begin).add_(products);
    }
  }

  static NormalEquations sums_of(const Entry& entry, const std::map<Sample, Rows>& rows) {
    const Rows& x = rows.at(entry.first);
    std::vector<at::Tensor> shifts, sums, squares;
    for (const Target& target : entry.second.targets) {
      const Rows& y = rows.at(target.sample);
      shifts.push_back(y.shift);
      sums.push_back(y.sum);
      squares.push_back(y.squares);
    }
    NormalEquations::Sums all;
    all.rows = x.count;
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

  static at::Tensor rows_of(const at::Tensor& value, const Sample& sample, const Kind& kind) {
    const auto [height, width] = sample.size;
    const at::Tensor map = resample_to(value, kind.matrices, height, width);
    const at::Tensor rows = rows_in_view(positions_of(map), kind.aligned, height, width);
    return matrix(every_position(rows, kRowsPerFrame)).to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
  }

  const capture::ModelSet& set_;
  const Outputs& outputs_;
  std::set<int> has_run_;                                        // models, in an earlier pass
  std::map<int, std::map<int, std::map<Sample, Kind>>> wanted_;  // per model and layer
  std::map<Sample, Regression> regressions_;                     // by what is given
  std::map<int, graph::Runner> runners_;                         // of all models that are wanted
  std::size_t count_ = 0;
};

}  // namespace

std::vector<std::vector<double>> screen(const capture::ModelSet& set, const capture::Stores& calibration,
                                        std::span<const Screening> screenings, const Options& options,
                                        Progress& progress, std::int64_t most_bytes, const Outputs& outputs) {
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
