#pragma once

#include <torch/script.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/fit/attachment.hpp"
#include "repsim/fit/regression.hpp"
#include "repsim/graph.hpp"
#include "repsim/merged_pass.hpp"

/// Fitting adapters and refits in closed form, on unlabelled calibration frames.
namespace repsim::fit {

/// How much the positions of a receiver's input count: `floor`, and inside a box of its own detections the score more.
/// A fit of positions where nothing is ever found takes expressiveness from those where something is.
struct SampleWeights {
  std::vector<model::Detections> boxes;  ///< per frame, relative to the model's input; empty: all positions count alike
  double floor = 0.1;

  /// Weights of the cells of a map, float64 [B, height * width]. A box counts by the part of the cell, or of itself
  /// where it is smaller, that lies in the other.
  /// @param positions  [B], of the frames
  [[nodiscard]] at::Tensor of(std::span<const std::int64_t> positions, std::int64_t height, std::int64_t width) const;
};
/// Weights per receiver; for one that is missing, all samples count alike.
using WeightsOf = std::map<ModelIndex, SampleWeights>;

/// The sums of one map's regression over the frames.
struct MapSums {
  graph::ConvGeometry geometry;
  /// The map's regressors, then those of its correction. One entry per block of the frames until the ridges are chosen,
  /// then their sum.
  std::vector<NormalEquations> blocks;
  std::int64_t channels = 0;  ///< that the map reads
  bool corrections = false;   ///< the sums hold what corrections need
  Ridges ridges;              ///< by cross-validation over the blocks
  /// The correction reads these combinations of the channels, float64 [count, channels]; undefined: the channels.
  at::Tensor projection;
  struct AuxiliaryInput {
    DonorLayer layer;
    graph::Resampling resampling;
    std::int64_t channels = 0;
  };
  std::vector<AuxiliaryInput> auxiliary_inputs = {};  ///< that the correction reads as well
};

/// The sums of a cut over the calibration frames: all that a fit needs to know of them. Their size does not depend on
/// the number of frames.
struct CutSums {
  graph::Splice splice;       ///< where the replacements' values come from and how they get their size; no map yet
  std::vector<MapSums> maps;  ///< one per map of the attachment
};

/// A fitted cut. Its tensors are on the CPU wherever it was fitted.
struct Fitted {
  graph::Splice splice;
  /// Per replacement: 1 - R2 on the calibration frames, of its adapter or of the refit (the worst of its convolutions).
  std::vector<double> residuals;
  /// Per shared weight: the part of its layer's output variance that differs on the calibration frames.
  std::vector<double> output_variances = {};
};

/// Which regression a map's sums belong to. Two maps with equal keys have equal sums on the same frames.
struct MapKey {
  ModelIndex receiver = -1;            ///< whose weights count
  bool reads_input = false;            ///< AttachedMap::reads_input
  std::vector<int> donor_groups = {};  ///< input groups of the donors: they decide which positions are samples
  int x = -1, y = -1;                  ///< graph::InvariantValue::number of what the map reads and has to return
  std::int64_t batch = 0;              ///< frames per run
  std::optional<std::int64_t> projected =
      {};                                  ///< with corrections: combinations of channels that they read; 0: channels
  std::vector<int> auxiliary_inputs = {};  ///< numbers of the values that corrections read as well

  [[nodiscard]] auto operator<=>(const MapKey&) const = default;
};

/// Which sums a cut needs if its donors have no shares.
struct CutKey {
  ModelIndex receiver = -1;
  std::vector<Replacement> replacements;
  std::vector<int> refit_nodes;  ///< empty: adapters
  std::vector<DonorLayer> auxiliary_inputs;
  std::vector<std::optional<std::int64_t>> projected;  ///< per map, as in MapKey

  [[nodiscard]] auto operator<=>(const CutKey&) const = default;
};

/// Layer values and regression sums that several fits on one list of calibration frames share. Keeps them while they
/// fit into memory. It changes no result.
class Reuse {
 public:
  /// @param value_bytes,sum_bytes  limits of the values and of the sums that are kept
  Reuse(std::int64_t value_bytes, std::int64_t sum_bytes) : values(value_bytes), max_sum_bytes_(sum_bytes) {}

  capture::ValueCache values;

  /// @return null if nothing is kept for this key; valid until the next call of keep()
  [[nodiscard]] const MapSums* find(const MapKey& key);
  /// Keeps a copy. Drops the sums that were used longest ago until the copy fits.
  void keep(const MapKey& key, const MapSums& sums);

  /// The sums of all maps of a cut that was kept before: no merged graph is needed to find them.
  /// @return per map; nothing if one of them is missing
  [[nodiscard]] std::optional<std::vector<const MapSums*>> find_cut(const CutKey& cut);
  /// @param maps  the keys of the cut's maps, in order
  void keep_cut(const CutKey& cut, std::vector<MapKey> maps) { cuts_[cut] = std::move(maps); }

 private:
  struct Entry {
    MapSums sums;
    std::int64_t bytes = 0;
    std::uint64_t used = 0;
  };
  std::int64_t max_sum_bytes_, sum_bytes_ = 0;
  std::uint64_t now_ = 0;
  std::map<MapKey, Entry> sums_;
  std::map<CutKey, std::vector<MapKey>> cuts_;
};

/// All calibration frames, or a part of them.
struct FrameSubset {
  const capture::Stores* stores = nullptr;
  const WeightsOf* weights = nullptr;  ///< of these frames; null: all samples count alike
  /// Keeps what fits on these frames share; null: nothing is kept. Requires that the weights of a receiver never
  /// change.
  Reuse* reuse = nullptr;
};

/// The most regressors of a correction's neighbourhood: of a share that is kept, and of one that a search tries. The
/// cost of a fit grows with their square.
inline constexpr std::int64_t kMaxRegressors = 4096, kMaxTrialRegressors = 768;

/// Ridges to use in place of those that cross-validation chooses.
struct FixedRidges {
  std::optional<double> map, correction;
};

/// Fits cuts on calibration frames by least squares with ridge. An adapter maps the donor's layer to the receiver's own
/// one. Refitted convolutions map their input after the replacement to what they returned before, jointly over all
/// replacements; the batch normalisation behind them is then folded in, which is exact. Samples are the positions of
/// all frames in their order, without those whose centre lies where the replacement's donor (adapter) or one of the
/// donors (refit) does not see. Corrections are reduced-rank regressions of the residual on a neighbourhood that is
/// larger by one cell on each side, and on auxiliary inputs. Sums are float64 in a fixed order: results are
/// deterministic.
class CutFitter {
 public:
  /// @param frames  at least one entry. The fitter sums each entry by itself and then adds the sums, so that it can
  /// take
  ///        those of one entry from its `reuse`. It chooses ridges on the first entry
  /// @param shares  of the donors, which the merged model already has: they decide what the donors' layers hold
  /// All arguments outlive the object.
  CutFitter(const capture::ModelSet& set, std::vector<FrameSubset> frames, std::span<const graph::Splice> shares,
            Progress& progress)
      : set_(set), frames_(std::move(frames)), shares_(shares), progress_(progress) {}

  /// Sums of several cuts, without the regressors of corrections, in one pass over the frames in which every model runs
  /// once.
  /// @return one per attachment
  /// @throws Error{kInput} where a cut cannot be computed; Error{kInterrupted}
  [[nodiscard]] std::vector<CutSums> gather(std::span<const Attachment> attachments) const;
  [[nodiscard]] CutSums gather(const Attachment& attachment) const;

  /// Sums of one cut with the regressors of corrections, which serve all ranks. A neighbourhood of more than
  /// `max_regressors` values is reduced to the principal directions of the channels.
  /// @param attachment  its rank does not matter
  /// @param plain  what gather() returned for this cut
  /// @throws Error{kInput}, Error{kInterrupted} as gather()
  [[nodiscard]] CutSums gather_corrections(const Attachment& attachment, const CutSums& plain,
                                           std::int64_t max_regressors = kMaxRegressors) const;

  /// Chooses the layers that corrections should read as well: again and again the offered layer that takes most off the
  /// error per weight, as long as that is more than what the weakest channel of a correction of attachment.rank takes
  /// off per weight. The error is that of the last of four blocks of the frames after a fit on the first three,
  /// relative to the variance of what a map returns, summed over the cut's maps.
  /// @param attachment  of a rank above 0, without auxiliary inputs
  /// @param plain  what gather() returned for this cut
  /// @param max_count  of the layers
  /// @return in the order in which they were chosen
  /// @throws Error{kInternal} for a fitter of several entries of frames; Error{kInterrupted}
  [[nodiscard]] std::vector<DonorLayer> choose_auxiliary_inputs(const Attachment& attachment, const CutSums& plain,
                                                                const std::vector<DonorLayer>& offered,
                                                                std::size_t max_count) const;

  /// gather(), gather_corrections() if the attachment has a rank, and solve().
  [[nodiscard]] Fitted fit(const Attachment& attachment, const FixedRidges& ridges = {}) const;

 private:
  [[nodiscard]] std::vector<CutSums> over_frames(std::span<const Attachment> attachments,
                                                 std::span<const CutSums> empty, bool corrections) const;

  const capture::ModelSet& set_;
  std::vector<FrameSubset> frames_;
  std::span<const graph::Splice> shares_;
  Progress& progress_;
};

/// Solves the maps of a cut.
/// @param attachment  of rank 0, or of any rank if `sums` hold corrections
[[nodiscard]] Fitted solve(const CutSums& sums, const Attachment& attachment, const FixedRidges& ridges = {});
/// solve() for attachments that differ only in their ranks, all of them above 0, at little more than the cost of one.
[[nodiscard]] std::vector<Fitted> solve_ranks(const CutSums& sums, std::span<const Attachment> attachments,
                                              const FixedRidges& ridges = {});

/// Whether gather_corrections() of this cut with `more_regressors` reads more than with `max_regressors`.
[[nodiscard]] bool reads_more(const CutSums& plain, std::int64_t max_regressors, std::int64_t more_regressors);

}  // namespace repsim::fit
