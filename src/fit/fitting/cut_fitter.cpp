#include <algorithm>

#include "../attachment/coordinates.hpp"
#include "auxiliary_inputs.hpp"
#include "gather_pass.hpp"
#include "regressors.hpp"
#include "repsim/base/error.hpp"
#include "repsim/fit/fitting.hpp"

namespace repsim::fit {
namespace {

/// Channels, or combinations of them, of which a neighbourhood has at most so many values.
std::int64_t max_channels(const MapSums& map, std::int64_t max_regressors) {
  return std::max<std::int64_t>(1, max_regressors / larger_kernel(map.geometry));
}

/// Where the replacements' values come from, in the size of the replaced layers; no map yet.
graph::Splice without_maps(const capture::ModelSet& set, const Cut& cut) {
  graph::Splice splice;
  splice.receiver = cut.receiver;
  const graph::Program& receiver = set.models[cut.receiver]->program;
  for (const Replacement& replacement : cut.replacements) {
    const auto& shape = receiver.layers[replacement.receiver_layer].shape;
    const DonorLayer from{replacement.donor, replacement.donor_layer};
    splice.replacements.push_back({replacement, resampling_of(set, cut.receiver, from, shape), {}, {}});
  }
  return splice;
}

CutSums without_samples(const capture::ModelSet& set, const Attachment& attachment) {
  CutSums sums{without_maps(set, attachment.cut), {}};
  for (const AttachedMap& map : attachment.maps) sums.maps.emplace_back().geometry = map.geometry;
  return sums;
}

/// The maps of `plain` with what corrections read, without samples.
CutSums corrected(const capture::ModelSet& set, const Attachment& attachment, const CutSums& plain,
                  std::int64_t max_regressors) {
  const c10::InferenceMode no_gradients;
  CutSums sums{plain.splice, {}};
  for (std::size_t i = 0; i < plain.maps.size(); ++i) {
    const MapSums& map = plain.maps[i];
    MapSums& more = sums.maps.emplace_back();
    more.geometry = map.geometry;
    more.channels = map.channels;
    more.corrections = true;
    more.ridges.map = map.ridges.map;
    const std::int64_t count = max_channels(map, max_regressors);
    if (map.channels > count)
      more.projection = merged(map.blocks).principal_directions(middle_values(map.geometry, map.channels), count);
    for (const DonorLayer& auxiliary : attachment.auxiliary_inputs) {
      const graph::Layer& layer = set.models[auxiliary.donor]->program.layers[auxiliary.donor_layer];
      more.auxiliary_inputs.push_back(
          {auxiliary, resampling_of(set, attachment.cut.receiver, auxiliary, attachment.maps[i].map_shape),
           layer.shape[0]});
    }
  }
  return sums;
}

/// Adds the samples of other frames.
void add(CutSums& sums, const CutSums& more) {
  const c10::InferenceMode no_gradients;
  for (std::size_t i = 0; i < sums.maps.size(); ++i) {
    const std::vector<NormalEquations> both{merged(sums.maps[i].blocks), merged(more.maps[i].blocks)};
    sums.maps[i].blocks = {merged(both)};
  }
}

}  // namespace

std::vector<CutSums> CutFitter::gather(std::span<const Attachment> attachments) const {
  std::vector<CutSums> empty;
  for (const Attachment& attachment : attachments) empty.push_back(without_samples(set_, attachment));
  if (empty.empty()) return empty;
  return over_frames(attachments, empty, /*corrections=*/false);
}

CutSums CutFitter::gather(const Attachment& attachment) const { return std::move(gather({&attachment, 1}).front()); }

CutSums CutFitter::gather_corrections(const Attachment& attachment, const CutSums& plain,
                                      std::int64_t max_regressors) const {
  const CutSums empty = corrected(set_, attachment, plain, max_regressors);
  return std::move(over_frames({&attachment, 1}, {&empty, 1}, /*corrections=*/true).front());
}

/// The samples of all frames, part after part.
std::vector<CutSums> CutFitter::over_frames(std::span<const Attachment> attachments, std::span<const CutSums> empty,
                                            bool corrections) const {
  std::vector<CutSums> all;
  for (const FrameSubset& frames : frames_) {
    std::vector<CutSums> sums(empty.begin(), empty.end());
    GatherPass({set_, frames, shares_, progress_}, attachments, sums,
               corrections ? GatherPass::Purpose::kCorrections : GatherPass::Purpose::kMaps)
        .run();
    if (all.empty()) {
      all = std::move(sums);
    } else {
      for (std::size_t i = 0; i < all.size(); ++i) add(all[i], sums[i]);
    }
  }
  return all;
}

std::vector<DonorLayer> CutFitter::choose_auxiliary_inputs(const Attachment& attachment, const CutSums& plain,
                                                           const std::vector<DonorLayer>& offered,
                                                           std::size_t max_count) const {
  if (offered.empty() || max_count == 0) return {};
  if (frames_.size() != 1) throw Error(ErrorKind::kInternal, "auxiliary inputs are chosen on frames in several parts");
  Attachment all = attachment;
  all.auxiliary_inputs = offered;
  CutSums sums = corrected(set_, all, plain, kMaxTrialRegressors);
  // Nothing is kept: sums of all these layers would push out what other fits need.
  const FrameSubset frames{frames_.front().stores, frames_.front().weights, nullptr};
  GatherPass({set_, frames, shares_, progress_}, {&all, 1}, {&sums, 1}, GatherPass::Purpose::kAuxiliaryInputs).run();
  std::vector<DonorLayer> chosen;
  for (const std::size_t auxiliary : best_auxiliary_inputs(sums.maps, attachment.rank, max_count))
    chosen.push_back(offered[auxiliary]);
  return chosen;
}

Fitted CutFitter::fit(const Attachment& attachment, const FixedRidges& ridges) const {
  CutSums sums = gather(attachment);
  if (attachment.rank > 0) sums = gather_corrections(attachment, sums);
  return solve(sums, attachment, ridges);
}

bool reads_more(const CutSums& plain, std::int64_t max_regressors, std::int64_t more_regressors) {
  return std::any_of(plain.maps.begin(), plain.maps.end(), [&](const MapSums& map) {
    return std::min(map.channels, max_channels(map, more_regressors)) >
           std::min(map.channels, max_channels(map, max_regressors));
  });
}

}  // namespace repsim::fit
