#include <numeric>

#include "coordinates.hpp"
#include "patches.hpp"
#include "repsim/fit.hpp"

namespace repsim::fit {
namespace {

std::int64_t product(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

/// What corrections of these maps add.
struct CorrectedMap {
  graph::ConvGeometry geometry;
  std::int64_t inputs = 0, outputs = 0, places = 0;  ///< channels in and out, height * width of the result
};
void add_corrections(const std::vector<CorrectedMap>& maps, int rank, Joint& joint) {
  if (rank == 0) return;
  joint.rank = rank;
  for (const CorrectedMap& map : maps) {
    const std::int64_t elements = rank * (map.inputs * larger_kernel(map.geometry) + map.outputs);
    joint.elements_added += elements;
    joint.flops_added += (2 * elements + map.outputs) * map.places;
  }
}

/// A tap's matrices are stored once, its products are computed for every frame.
void add_matrices(const graph::Alignment& alignment, const std::vector<std::int64_t>& from,
                  const std::vector<std::int64_t>& to, Joint& joint) {
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
    if (!aligned.identity()) add_matrices(aligned, given.shape, wanted.shape, joint);
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
        corrected.push_back({geometry, geometry.weight_shape[1] + change, outputs, geometry.output_places});
      }
      add_corrections(corrected, options.rank, joint);
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
    corrected.push_back({graph::pointwise_geometry(), given[0], wanted[0], wanted[1] * wanted[2]});
  }
  add_corrections(corrected, options.rank, joint);
  joint.bytes_added = 4 * joint.elements_added;
  return joint;
}

}  // namespace repsim::fit
