#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "repsim/candidates.hpp"
#include "savings.hpp"

namespace repsim::candidates {
namespace {

constexpr std::size_t kStretches = 16;        // of the depth: neighbours there say much the same
constexpr std::int64_t kMostChannels = 1024;  // of all layers offered: what choosing costs grows with their square

/// The receiver's layers that hold what the attachment's maps return; -1: none does.
std::vector<LayerIndex> returned_layers(const fit::Attachment& attachment) {
  std::vector<LayerIndex> layers;
  for (const fit::AttachedMap& map : attachment.maps) layers.push_back(map.geometry.layer);
  return layers;
}

/// Layers where paths part: that several others read, or another one and the results. All, where there are few.
std::vector<bool> partings(const graph::Program& program) {
  std::vector<std::size_t> readers(program.layers.size(), 0);
  for (const graph::Layer& layer : program.layers) {
    for (const int one : layer.inputs) ++readers[one];
  }
  std::vector<bool> parting(program.layers.size());
  for (std::size_t i = 0; i < parting.size(); ++i) {
    const auto returned = std::count(program.results.begin(), program.results.end(), program.layers[i].op);
    parting[i] = readers[i] + static_cast<std::size_t>(returned) > 1;
  }
  const auto found = std::count(parting.begin(), parting.end(), true);
  return found < static_cast<std::ptrdiff_t>(kStretches / 2) ? std::vector<bool>(parting.size(), true) : parting;
}

/// Layers of a model that nobody can take once it is a receiver itself, ascending: see share_option_of().
/// @param splices  at most one per receiver
std::vector<LayerIndex> lost_layers(const fit::AttachmentOptions& options, const session::Session& session,
                                    std::span<const graph::Splice> splices, ModelIndex model) {
  const auto own =
      std::find_if(splices.begin(), splices.end(), [&](const graph::Splice& one) { return one.receiver == model; });
  if (own == splices.end()) return {};
  graph::Cut taken{model, {}};
  for (const graph::Replacement& one : own->replacements) taken.replacements.push_back(one);
  return share_option_of(session, taken, options).unavailable;
}

}  // namespace

std::vector<fit::DonorLayer> offered_auxiliary_inputs(const Options& options, const session::Session& session,
                                                      const similarity::ModelPairs& similarity,
                                                      const fit::Attachment& attachment,
                                                      std::span<const graph::Splice> before) {
  const std::vector<LayerIndex> returned = returned_layers(attachment);
  if (std::any_of(returned.begin(), returned.end(), [](LayerIndex layer) { return layer < 0; })) return {};
  struct Offer {
    fit::DonorLayer auxiliary;
    double similarity = 0;  // sum over the returned layers
    std::int64_t channels = 0;
  };
  std::vector<Offer> all;  // donor after donor, in the order of their depth
  for (const ModelIndex donor : attachment.cut.donors()) {
    const graph::Program& program = session.models[donor].prepared.program;
    const similarity::MatrixView of_donor = similarity.between(attachment.cut.receiver, donor);
    const std::vector<bool> usable = usable_layers(options, program, /*as_receiver=*/false);
    const std::vector<LayerIndex> lost = lost_layers(options.attachment, session, before, donor);
    // Of a guest only what it computes for this cut anyway: anything else would cost its layers in front as well.
    const std::vector<bool> live = session.is_guest(donor)
                                       ? graph::live_ops(program, {}, given_ops(program, attachment.cut, donor))
                                       : graph::live_ops(program, {});
    const std::vector<bool> parting = partings(program);
    for (std::size_t layer = 0; layer < program.layers.size(); ++layer) {
      const fit::DonorLayer auxiliary{donor, static_cast<int>(layer)};
      bool taken = false;
      for (const graph::Replacement& one : attachment.cut.replacements)
        taken = taken || auxiliary == fit::DonorLayer{one.donor, one.donor_layer};
      if (!usable[layer] || !parting[layer] || taken || !live[program.layers[layer].op] ||
          std::binary_search(lost.begin(), lost.end(), auxiliary.donor_layer))
        continue;
      double sum = 0;
      for (const LayerIndex to : returned) sum += of_donor.at(to, auxiliary.donor_layer);
      if (!std::isnan(sum)) all.push_back({auxiliary, sum, program.layers[layer].shape[0]});
    }
  }
  std::vector<Offer> best;
  for (std::size_t stretch = 0; stretch < kStretches; ++stretch) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(stretch * all.size() / kStretches),
               end = all.begin() + static_cast<std::ptrdiff_t>((stretch + 1) * all.size() / kStretches);
    const auto found = std::max_element(begin, end, [](auto& a, auto& b) { return a.similarity < b.similarity; });
    if (found != end) best.push_back(*found);
  }
  // The narrow ones first: they cost least, here and in the bundle.
  std::stable_sort(best.begin(), best.end(), [](auto& a, auto& b) { return a.channels < b.channels; });
  std::vector<fit::DonorLayer> offered;
  std::int64_t channels = 0;
  for (const Offer& one : best) {
    channels += one.channels;
    if (channels <= kMostChannels) offered.push_back(one.auxiliary);
  }
  return offered;
}

}  // namespace repsim::candidates
