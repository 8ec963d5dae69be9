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
                  const std::vector<std::int64_t>& to, Joint& joint) {
  if (alignment.identity()) return;
  const graph::Axis rows = graph::vertical(alignment, from[1], to[1]),
                    columns = graph::horizontal(alignment, from[2], to[2]);
  if (!columns.identity()) {
    if (joint.columns.insert(columns).second) joint.elements_added += columns.elements();
    joint.flops_added += 2 * from[0] * from[1] * columns.elements();
  }
  if (!rows.identity()) {
    if (joint.rows.insert(rows).second) joint.elements_added += rows.elements();
    joint.flops_added += 2 * from[0] * to[2] * rows.elements();
  }
}

/// What corrections of these maps add.
struct CorrectedMap {
  graph::ConvGeometry geometry;
  std::int64_t inputs = 0;            ///< channels
  std::vector<std::int64_t> returns;  ///< [C,H,W]; height and width 0 where only their product is known
  std::int64_t places = 0;            ///< height * width
};
void add_corrections(const capture::ModelSet& set, int receiver, const std::vector<CorrectedMap>& maps,
                     const Options& options, Joint& joint) {
  if (options.rank == 0) return;
  joint.rank = options.rank;
  const bool sizes_known = std::all_of(maps.begin(), maps.end(), [](auto& map) { return map.returns[1] > 0; });
  if (sizes_known) joint.sides = options.sides;
  for (const CorrectedMap& map : maps) {
    const std::int64_t elements = options.rank * (map.inputs * larger_kernel(map.geometry) + map.returns[0]);
    joint.elements_added += elements;
    joint.flops_added += (2 * elements + map.returns[0]) * map.places;
    for (const Side& side : joint.sides) {
      const auto& given = set.models[static_cast<std::size_t>(side.donor)]
                              ->program.layers[static_cast<std::size_t>(side.donor_layer)]
                              .shape;
      joint.elements_added += options.rank * given[0];
      joint.flops_added += options.rank * (2 * given[0] + 1) * map.places;
      add_matrices(alignment(set, receiver, side.donor), given, map.returns, joint);
    }
  }
}

}  // namespace

std::vector<int> Cut::donors() const {
  std::set<int> found;
  for (const Tap& tap : taps) found.insert(tap.donor);
  return {found.begin(), found.end()};
}

Joint plan_joint(const capture::ModelSet& set, const Cut& cut, const Options& options) {
  const graph::Prepared& receiver = *set.models[static_cast<std::size_t>(cut.receiver)];
  const auto given_by = [&](const Tap& tap) -> const graph::Layer& {
    return set.models[static_cast<std::size_t>(tap.donor)]->program.layers[static_cast<std::size_t>(tap.donor_layer)];
  };
  Joint joint;
  std::vector<int> layers;
  bool channels_agree = true;
  for (const Tap& tap : cut.taps) {
    const graph::Alignment aligned = alignment(set, cut.receiver, tap.donor);
    const graph::Layer& wanted = receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)];
    const graph::Layer& given = given_by(tap);
    if (wanted.shape.size() != 3 || given.shape.size() != 3) return joint;
    layers.push_back(tap.receiver_layer);
    joint.resample.push_back(!aligned.identity());
    joint.resize.push_back(aligned.identity() &&
                           (wanted.shape[1] != given.shape[1] || wanted.shape[2] != given.shape[2]));
    add_matrices(aligned, given.shape, wanted.shape, joint);
    channels_agree = channels_agree && wanted.shape[0] == given.shape[0];
  }
  if (options.refit) joint.refit_nodes = graph::refit_convolutions(receiver, layers);
  joint.possible = true;
  if (!joint.refit_nodes.empty()) {
    joint.linear.assign(cut.taps.size(), false);
    std::vector<CorrectedMap> corrected;
    // The convolution's input changes by as many channels as the taps bring more or less.
    std::int64_t change = 0;
    bool any_changes = false;
    for (const Tap& tap : cut.taps) {
      const std::int64_t more =
          given_by(tap).shape[0] - receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)].shape[0];
      change += more;
      any_changes = any_changes || more != 0;  // changes that cancel out change each convolution all the same
    }
    if (any_changes && joint.refit_nodes.size() > 1) {
      // Several convolutions may each see some of the taps only; fit() measures, this would guess.
      joint.refit_nodes.clear();
    } else {
      for (const int node : joint.refit_nodes) {
        const graph::ConvGeometry geometry = graph::convolution_geometry(receiver, node);
        const std::int64_t outputs = geometry.weight_shape[0];
        const std::int64_t kernel = geometry.weight_shape[2] * geometry.weight_shape[3];
        const std::int64_t regressors = (geometry.weight_shape[1] + change) * kernel;
        joint.gram_elements += regressors * regressors;
        joint.elements_added += change * outputs * kernel;
        if (!geometry.has_bias) joint.elements_added += outputs;
        joint.normalisations.push_back(graph::normalisation_behind(receiver, node));
        if (const auto& taken_in = joint.normalisations.back()) {
          joint.flops_taken_in += receiver.program.ops[static_cast<std::size_t>(taken_in->op)].flops;
          for (const int parameter : taken_in->parameters)
            joint.bytes_taken_in += receiver.program.parameters[static_cast<std::size_t>(parameter)].bytes;
        }
        std::vector<std::int64_t> returns{outputs, 0, 0};
        if (geometry.layer >= 0) {
          const auto& shape = receiver.program.layers[static_cast<std::size_t>(geometry.layer)].shape;
          returns = {outputs, shape[1], shape[2]};
        }
        corrected.push_back({geometry, geometry.weight_shape[1] + change, returns, geometry.output_places});
      }
      add_corrections(set, cut.receiver, corrected, options, joint);
      joint.bytes_added = 4 * joint.elements_added;
      return joint;
    }
  }
  joint.linear.assign(cut.taps.size(), options.linear);
  if (!options.linear) {
    joint.possible = channels_agree;
    joint.bytes_added = 4 * joint.elements_added;
    return joint;
  }
  std::vector<CorrectedMap> corrected;
  for (const Tap& tap : cut.taps) {
    const auto& wanted = receiver.program.layers[static_cast<std::size_t>(tap.receiver_layer)].shape;
    const auto& given = given_by(tap).shape;
    joint.gram_elements += given[0] * given[0];
    joint.elements_added += wanted[0] * given[0] + wanted[0];
    joint.flops_added += 2 * product(wanted) * given[0];
    corrected.push_back({graph::pointwise_geometry(), given[0], wanted, wanted[1] * wanted[2]});
  }
  add_corrections(set, cut.receiver, corrected, options, joint);
  joint.bytes_added = 4 * joint.elements_added;
  return joint;
}

}  // namespace repsim::fit
