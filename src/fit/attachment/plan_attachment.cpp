#include <algorithm>
#include <functional>
#include <numeric>

#include "../fitting/patches.hpp"
#include "coordinates.hpp"
#include "repsim/fit/attachment.hpp"

namespace repsim::fit {
namespace {

std::int64_t product(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

/// Plans the attachment of one cut.
class Planner {
 public:
  Planner(const capture::ModelSet& set, const Cut& cut, const AttachmentOptions& options)
      : set_(set), options_(options), receiver_(*set.models[cut.receiver]) {
    result_.cut = cut;
  }

  std::optional<Attachment> run() {
    if (!plan_size_changes()) return std::nullopt;
    plan_weights();
    if (const std::vector<int> nodes = refit_nodes(); !nodes.empty()) {
      plan_refit(nodes);
    } else if (options_.linear || channels_agree()) {
      plan_adapters();
    } else {
      return std::nullopt;
    }
    result_.bytes_added = 4 * result_.elements_added;
    return std::move(result_);
  }

 private:
  [[nodiscard]] const std::vector<std::int64_t>& replaced_shape(const Replacement& replacement) const {
    return receiver_.program.layers[replacement.receiver_layer].shape;
  }
  [[nodiscard]] const std::vector<std::int64_t>& donor_shape(const DonorLayer& layer) const {
    return set_.models[layer.donor]->program.layers[layer.donor_layer].shape;
  }
  [[nodiscard]] const std::vector<std::int64_t>& donor_shape(const Replacement& replacement) const {
    return donor_shape(DonorLayer{replacement.donor, replacement.donor_layer});
  }

  /// @return false if a layer is no feature map
  bool plan_size_changes() {
    for (const Replacement& replacement : result_.cut.replacements) {
      const auto &to = replaced_shape(replacement), &from = donor_shape(replacement);
      if (to.size() != 3 || from.size() != 3) return false;
      const graph::Alignment aligned = alignment(set_, result_.cut.receiver, replacement.donor);
      const bool other_size = to[1] != from[1] || to[2] != from[2];
      result_.size_changes.push_back(!aligned.identity() ? SizeChange::kResample
                                     : other_size        ? SizeChange::kResize
                                                         : SizeChange::kNone);
      add_matrices(aligned, from, to);
    }
    return true;
  }

  /// Matrices are stored once, their products are computed for every frame. None where coordinates are equal.
  void add_matrices(const graph::Alignment& alignment, const std::vector<std::int64_t>& from,
                    const std::vector<std::int64_t>& to) {
    if (alignment.identity()) return;
    const graph::ResampledAxis vertical = graph::vertical_axis(alignment, from[1], to[1]),
                               horizontal = graph::horizontal_axis(alignment, from[2], to[2]);
    if (!horizontal.identity()) {
      if (result_.horizontal.insert(horizontal).second) result_.elements_added += horizontal.elements();
      result_.flops_added += 2 * from[0] * from[1] * horizontal.elements();
    }
    if (!vertical.identity()) {
      if (result_.vertical.insert(vertical).second) result_.elements_added += vertical.elements();
      result_.flops_added += 2 * from[0] * to[2] * vertical.elements();
    }
  }

  void plan_weights() {
    if (result_.cut.weights.empty()) return;
    for (const graph::StoredWeight& one : graph::stored_weights(receiver_)) {
      const auto shared =
          std::find_if(result_.cut.weights.begin(), result_.cut.weights.end(),
                       [&](const graph::SharedWeight& weight) { return weight.parameter == one.parameter; });
      if (shared == result_.cut.weights.end()) continue;
      const graph::DifferenceCost cost =
          graph::difference_cost(shared->rank, one.channels(), one.taps(), one.geometry.output_places);
      result_.elements_added += cost.elements;
      result_.flops_added += cost.flops;
      result_.bytes_taken += receiver_.program.parameters[one.parameter].bytes;
    }
  }

  /// Channels that the replacement brings beyond those of the replaced layer.
  [[nodiscard]] std::int64_t more_channels(const Replacement& replacement) const {
    return donor_shape(replacement)[0] - replaced_shape(replacement)[0];
  }
  [[nodiscard]] bool channels_agree() const {
    return std::all_of(result_.cut.replacements.begin(), result_.cut.replacements.end(),
                       [&](const Replacement& one) { return more_channels(one) == 0; });
  }

  /// The convolutions to solve again; none: adapters.
  [[nodiscard]] std::vector<int> refit_nodes() const {
    if (!options_.refit) return {};
    std::vector<int> nodes = graph::refit_convolutions(receiver_, result_.cut.receiver_layers());
    // Each of several convolutions may read only some of the replacements. How many channels each of them gains or
    // loses would be a guess here; changes that cancel out in sum change each convolution all the same.
    if (nodes.size() > 1 && !channels_agree()) nodes.clear();
    return nodes;
  }

  void plan_refit(const std::vector<int>& nodes) {
    std::int64_t change = 0;  // of the convolution's input channels
    for (const Replacement& replacement : result_.cut.replacements) change += more_channels(replacement);
    Refit refit;
    for (const int node : nodes) {
      const graph::ConvGeometry geometry = graph::convolution_geometry(receiver_, node);
      const std::int64_t outputs = geometry.weight_shape[0], inputs = geometry.weight_shape[1] + change;
      const std::int64_t kernel = geometry.weight_shape[2] * geometry.weight_shape[3];
      result_.gram_elements += inputs * kernel * inputs * kernel;
      result_.elements_added += change * outputs * kernel;
      if (!geometry.has_bias) result_.elements_added += outputs;
      refit.convolutions.push_back({node, graph::normalisation_behind(receiver_, node)});
      if (const auto& folded = refit.convolutions.back().normalisation) {
        result_.flops_folded += receiver_.program.ops[folded->op].flops;
        for (const int parameter : folded->parameters)
          result_.bytes_folded += receiver_.program.parameters[parameter].bytes;
      }
      std::vector<std::int64_t> shape{outputs, 0, 0};
      if (geometry.layer >= 0) {
        const auto& layer = receiver_.program.layers[geometry.layer].shape;
        shape = {outputs, layer[1], layer[2]};
      }
      corrected_.push_back({inputs, geometry.output_places});
      result_.maps.push_back({geometry, {node, 0}, true, result_.cut.donors(), shape});
    }
    result_.method = std::move(refit);
    add_corrections();
  }

  void plan_adapters() {
    result_.method = Adapters{options_.linear};
    for (const Replacement& replacement : result_.cut.replacements) {
      const auto &to = replaced_shape(replacement), &from = donor_shape(replacement);
      graph::ConvGeometry geometry = graph::pointwise_geometry();
      geometry.layer = replacement.receiver_layer;
      result_.maps.push_back({geometry,
                              graph::place_of(receiver_.program.layers[replacement.receiver_layer]),
                              false,
                              {replacement.donor},
                              to});
      if (!options_.linear) continue;
      result_.gram_elements += from[0] * from[0];
      result_.elements_added += to[0] * from[0] + to[0];
      result_.flops_added += 2 * product(to) * from[0];
      corrected_.push_back({from[0], to[1] * to[2]});
    }
    if (options_.linear) add_corrections();
  }

  /// Counts what corrections of all maps add.
  void add_corrections() {
    if (options_.rank == 0) return;
    result_.rank = options_.rank;
    const bool sizes_known = std::all_of(result_.maps.begin(), result_.maps.end(),
                                         [](const AttachedMap& map) { return map.map_shape[1] > 0; });
    if (sizes_known) result_.auxiliary_inputs = options_.auxiliary_inputs;
    for (std::size_t i = 0; i < result_.maps.size(); ++i) {
      const AttachedMap& map = result_.maps[i];
      const auto& [inputs, places] = corrected_[i];
      const std::int64_t outputs = map.map_shape[0];
      const std::int64_t elements = options_.rank * (inputs * larger_kernel(map.geometry) + outputs);
      result_.elements_added += elements;
      result_.flops_added += (2 * elements + outputs) * places;
      for (const DonorLayer& auxiliary : result_.auxiliary_inputs) {
        const auto& from = donor_shape(auxiliary);
        result_.elements_added += options_.rank * from[0];
        result_.flops_added += options_.rank * (2 * from[0] + 1) * places;
        add_matrices(alignment(set_, result_.cut.receiver, auxiliary.donor), from, map.map_shape);
      }
    }
  }

  /// What a correction of a map reads, and how often it is computed per frame.
  struct CorrectedMap {
    std::int64_t inputs = 0;  ///< channels
    std::int64_t places = 0;  ///< height * width of what the map returns
  };

  const capture::ModelSet& set_;
  const AttachmentOptions& options_;
  const graph::Prepared& receiver_;
  Attachment result_;
  std::vector<CorrectedMap> corrected_;  // per map that can have a correction
};

}  // namespace

bool Attachment::adds_linear() const {
  const auto* const adapters = std::get_if<Adapters>(&method);
  return adapters != nullptr && adapters->linear;
}

std::vector<graph::Normalisation> Attachment::folded() const {
  std::vector<graph::Normalisation> result;
  if (const auto* const refit = std::get_if<Refit>(&method)) {
    for (const RefitConvolution& one : refit->convolutions) {
      if (one.normalisation) result.push_back(*one.normalisation);
    }
  }
  return result;
}

std::optional<Attachment> plan_attachment(const capture::ModelSet& set, const Cut& cut,
                                          const AttachmentOptions& options) {
  return Planner(set, cut, options).run();
}

std::string adapter_word(const Attachment& attachment, std::size_t replacement) {
  const SizeChange change = attachment.size_changes[replacement];
  const std::string map = change == SizeChange::kResample ? "resample" : change == SizeChange::kResize ? "resize" : "";
  if (!attachment.adds_linear()) return map.empty() ? "none" : map;
  return map.empty() ? "linear" : map + "+linear";
}

}  // namespace repsim::fit
