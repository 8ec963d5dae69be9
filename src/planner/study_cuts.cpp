#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "repsim/planner.hpp"
#include "repsim/predictor.hpp"

namespace repsim::planner {
namespace {

constexpr int kMostReplacements = 6;  // as the planner's cuts along the depth
constexpr int kTriesPerCut = 40;      // draws of a cut that is new

bool same_size(const graph::Layer& a, const graph::Layer& b) {
  return a.shape[1] == b.shape[1] && a.shape[2] == b.shape[2];
}

/// 0 for maps of equal size, else how many times they differ, in logarithms.
double distance(const graph::Layer& a, const graph::Layer& b) {
  const auto ratio = [](std::int64_t x, std::int64_t y) {
    return std::abs(std::log(static_cast<double>(x) / static_cast<double>(y)));
  };
  return ratio(a.shape[1], b.shape[1]) + ratio(a.shape[2], b.shape[2]);
}

class Drawing {
 public:
  explicit Drawing(const StudyLayers& layers)
      : receiver_(layers.receiver), donor_(layers.donor), replaceable_(layers.replaceable) {
    for (LayerIndex layer = 0; layer < static_cast<LayerIndex>(receiver_.layers.size()); ++layer) {
      std::vector<LayerIndex> list;
      double nearest = std::numeric_limits<double>::infinity();
      for (LayerIndex given = 0; replaceable_[layer] && given < static_cast<LayerIndex>(donor_.layers.size());
           ++given) {
        if (!layers.givable[given] || !layers.fits(layer, given)) continue;
        const double away = distance(receiver_.layers[layer], donor_.layers[given]);
        if (away > nearest) continue;
        if (away < nearest) list.clear();
        nearest = away;
        list.push_back(given);
      }
      fitting_.push_back(std::move(list));
    }
  }

  [[nodiscard]] bool possible(const DepthCut& cut) const {
    return std::all_of(cut.layers.begin(), cut.layers.end(),
                       [&](LayerIndex layer) { return !fitting_[layer].empty(); });
  }

  /// The donor layer at the same depth.
  [[nodiscard]] int equal(LayerIndex layer) const {
    const auto& list = fitting_[layer];
    const graph::Layer& wanted = receiver_.layers[layer];
    std::vector<int> own;
    for (std::size_t one = 0; one < receiver_.layers.size(); ++one) {
      if (replaceable_[one] && same_size(receiver_.layers[one], wanted)) own.push_back(static_cast<int>(one));
    }
    const auto fraction = [](std::size_t rank, std::size_t count) {
      return (static_cast<double>(rank) + 0.5) / static_cast<double>(count);
    };
    const auto rank = static_cast<std::size_t>(std::find(own.begin(), own.end(), layer) - own.begin());
    const double depth = fraction(rank, own.size());
    const bool any_of_kind =
        std::any_of(list.begin(), list.end(), [&](int one) { return donor_.layers[one].kind == wanted.kind; });
    int best = -1;
    double best_away = 2;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (any_of_kind && donor_.layers[list[i]].kind != wanted.kind) continue;
      const double away = std::abs(fraction(i, list.size()) - depth);
      if (away >= best_away) continue;
      best_away = away;
      best = list[i];
    }
    return best;
  }

  template <typename Next>
  [[nodiscard]] int drawn(LayerIndex layer, Next&& next) const {
    const auto& list = fitting_[layer];
    return list[below(list.size(), next)];
  }

 private:
  const graph::Program &receiver_, &donor_;
  const std::vector<bool>& replaceable_;
  std::vector<std::vector<LayerIndex>>
      fitting_;  // per receiver layer: donor layers of the same size, or of the nearest one
};

}  // namespace

std::vector<StudyCut> study_cuts(const StudyLayers& layers, std::int64_t most, std::uint64_t seed) {
  const Drawing drawing(layers);
  std::vector<std::vector<LayerIndex>> cuts;
  for (const DepthCut& cut : depth_cuts(layers.receiver, layers.replaceable, kMostReplacements)) {
    if (drawing.possible(cut)) cuts.push_back(cut.layers);
  }
  std::vector<StudyCut> result;
  if (cuts.empty()) return result;
  std::set<std::pair<std::vector<LayerIndex>, std::vector<LayerIndex>>> seen;
  const auto add = [&](StudyCut cut) {
    if (seen.insert({cut.layers, cut.donor_layers}).second) result.push_back(std::move(cut));
  };
  const std::size_t equal = std::min(cuts.size(), static_cast<std::size_t>(most / 2));
  for (std::size_t i = 0; i < equal; ++i) {
    StudyCut cut{cuts[i * cuts.size() / equal], {}, true};
    for (const LayerIndex layer : cut.layers) cut.donor_layers.push_back(drawing.equal(layer));
    add(std::move(cut));
  }
  std::mt19937_64 engine(seed);
  for (std::int64_t tries = 0; tries < most * kTriesPerCut && static_cast<std::int64_t>(result.size()) < most;
       ++tries) {
    StudyCut cut{cuts[below(cuts.size(), engine)], {}, false};
    bool elsewhere = false;
    for (const LayerIndex layer : cut.layers) {
      cut.donor_layers.push_back(drawing.drawn(layer, engine));
      elsewhere = elsewhere || cut.donor_layers.back() != drawing.equal(layer);
    }
    if (elsewhere) add(std::move(cut));
  }
  return result;
}

}  // namespace repsim::planner
