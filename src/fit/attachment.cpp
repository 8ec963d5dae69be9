#include <numeric>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

std::int64_t product(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

/// Matrices are stored once, their products are computed for every frame. None where coordinates are equal.
void add_matrices(const graph::Alignment& alignment, const std::vector<std::int64_t>& from,
                  const std::vector<std::int64_t>& to, Attachment& attachment) {
  if (alignment.identity()) return;
  const graph::ResampledAxis vertical = graph::vertical_axis(alignment, from[1], to[1]),
                             horizontal = graph::horizontal_axis(alignment, from[2], to[2]);
  if (!horizontal.identity()) {
    if (attachment.horizontal.insert(horizontal).second) attachment.elements_added += horizontal.elements();
    attachment.flops_added += 2 * from[0] * from[1] * horizontal.elements();
  }
  if (!vertical.identity()) {
    if (attachment.vertical.insert(vertical).second) attachment.elements_added += vertical.elements();
    attachment.flops_added += 2 * from[0] * to[2] * vertical.elements();
  }
}

/// What corrections of these maps add.
struct CorrectedMap {
  graph::ConvGeometry geometry;
  std::int64_t inputs = 0;            ///< channels
  std::vector<std::int64_t> returns;  ///< [C,H,W]; height and width 0 where only their product is known
  std::int64_t places = 0;            ///< height * width
};
void add_corrections(const capture::ModelSet& set, ModelIndex receiver, const std::vector<CorrectedMap>& maps,
                     const Options& options, Attachment& attachment) {
  if (options.rank == 0) return;
  attachment.rank = options.rank;
  const bool sizes_known = std::all_of(maps.begin(), maps.end(), [](auto& map) { return map.returns[1] > 0; });
  if (sizes_known) attachment.auxiliary_inputs = options.auxiliary_inputs;
  for (const CorrectedMap& map : maps) {
    const std::int64_t elements = options.rank * (map.inputs * larger_kernel(map.geometry) + map.returns[0]);
    attachment.elements_added += elements;
    attachment.flops_added += (2 * elements + map.returns[0]) * map.places;
    for (const DonorLayer& auxiliary : attachment.auxiliary_inputs) {
      const auto& given = set.models[auxiliary.donor]->program.layers[auxiliary.donor_layer].shape;
      attachment.elements_added += options.rank * given[0];
      attachment.flops_added += options.rank * (2 * given[0] + 1) * map.places;
      add_matrices(alignment(set, receiver, auxiliary.donor), given, map.returns, attachment);
    }
  }
}

}  // namespace

Attachment plan_attachment(const capture::ModelSet& set, const Cut& cut, const Options& options) {
  const graph::Prepared& receiver = *set.models[cut.receiver];
  const auto given_by = [&](const Replacement& replacement) -> const graph::Layer& {
    return set.models[replacement.donor]->program.layers[replacement.donor_layer];
  };
  Attachment attachment;
  std::vector<LayerIndex> layers;
  bool channels_agree = true;
  for (const Replacement& replacement : cut.replacements) {
    const graph::Alignment aligned = alignment(set, cut.receiver, replacement.donor);
    const graph::Layer& wanted = receiver.program.layers[replacement.receiver_layer];
    const graph::Layer& given = given_by(replacement);
    if (wanted.shape.size() != 3 || given.shape.size() != 3) return attachment;
    layers.push_back(replacement.receiver_layer);
    attachment.resample.push_back(!aligned.identity());
    attachment.resize.push_back(aligned.identity() &&
                                (wanted.shape[1] != given.shape[1] || wanted.shape[2] != given.shape[2]));
    add_matrices(aligned, given.shape, wanted.shape, attachment);
    channels_agree = channels_agree && wanted.shape[0] == given.shape[0];
  }
  if (options.refit) attachment.refit_nodes = graph::refit_convolutions(receiver, layers);
  attachment.possible = true;
  if (!attachment.refit_nodes.empty()) {
    attachment.linear.assign(cut.replacements.size(), false);
    std::vector<CorrectedMap> corrected;
    // The convolution's input changes by as many channels as the replacements bring more or less.
    std::int64_t change = 0;
    bool any_changes = false;
    for (const Replacement& replacement : cut.replacements) {
      const std::int64_t more =
          given_by(replacement).shape[0] - receiver.program.layers[replacement.receiver_layer].shape[0];
      change += more;
      any_changes = any_changes || more != 0;  // changes that cancel out change each convolution all the same
    }
    if (any_changes && attachment.refit_nodes.size() > 1) {
      // Several convolutions may each see some of the replacements only; fit() measures, this would guess.
      attachment.refit_nodes.clear();
    } else {
      for (const int node : attachment.refit_nodes) {
        const graph::ConvGeometry geometry = graph::convolution_geometry(receiver, node);
        const std::int64_t outputs = geometry.weight_shape[0];
        const std::int64_t kernel = geometry.weight_shape[2] * geometry.weight_shape[3];
        const std::int64_t regressors = (geometry.weight_shape[1] + change) * kernel;
        attachment.gram_elements += regressors * regressors;
        attachment.elements_added += change * outputs * kernel;
        if (!geometry.has_bias) attachment.elements_added += outputs;
        attachment.normalisations.push_back(graph::normalisation_behind(receiver, node));
        if (const auto& folded = attachment.normalisations.back()) {
          attachment.flops_folded += receiver.program.ops[folded->op].flops;
          for (const int parameter : folded->parameters)
            attachment.bytes_folded += receiver.program.parameters[parameter].bytes;
        }
        std::vector<std::int64_t> returns{outputs, 0, 0};
        if (geometry.layer >= 0) {
          const auto& shape = receiver.program.layers[geometry.layer].shape;
          returns = {outputs, shape[1], shape[2]};
        }
        corrected.push_back({geometry, geometry.weight_shape[1] + change, returns, geometry.output_places});
      }
      add_corrections(set, cut.receiver, corrected, options, attachment);
      attachment.bytes_added = 4 * attachment.elements_added;
      return attachment;
    }
  }
  attachment.linear.assign(cut.replacements.size(), options.linear);
  if (!options.linear) {
    attachment.possible = channels_agree;
    attachment.bytes_added = 4 * attachment.elements_added;
    return attachment;
  }
  std::vector<CorrectedMap> corrected;
  for (const Replacement& replacement : cut.replacements) {
    const auto& wanted = receiver.program.layers[replacement.receiver_layer].shape;
    const auto& given = given_by(replacement).shape;
    attachment.gram_elements += given[0] * given[0];
    attachment.elements_added += wanted[0] * given[0] + wanted[0];
    attachment.flops_added += 2 * product(wanted) * given[0];
    corrected.push_back({graph::pointwise_geometry(), given[0], wanted, wanted[1] * wanted[2]});
  }
  add_corrections(set, cut.receiver, corrected, options, attachment);
  attachment.bytes_added = 4 * attachment.elements_added;
  return attachment;
}

}  // namespace repsim::fit
