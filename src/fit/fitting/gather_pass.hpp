#pragma once

#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "repsim/fit/fitting.hpp"

/// The pass over the frames that adds up the samples of cuts.
namespace repsim::fit {

/// What a fit stands on.
struct FitContext {
  const capture::ModelSet& set;
  const FrameSubset& frames;
  std::span<const graph::Splice> shares;  ///< that are already part of the merged model
  Progress& progress;
};

/// Adds up the samples of the maps of several cuts in one pass over the frames. The merged graph holds the receivers as
/// they are, which compute what the maps have to return, and per cut one copy of its receiver with the donors' values
/// in place, which computes what the maps will read. The assembly shares identical computations.
class GatherPass {
 public:
  enum class Purpose {
    kMaps,            ///< the sums of the maps alone; cross-validation over four blocks of the frames chooses the ridge
    kCorrections,     ///< with what corrections read; cross-validation chooses the ridge of corrections
    kAuxiliaryInputs  ///< with what corrections read, in two blocks: the first three quarters and the last quarter
  };

  /// @param attachments,sums  one per cut; sums without blocks, which run() fills. All arguments outlive the object
  GatherPass(const FitContext& context, std::span<const Attachment> attachments, std::span<CutSums> sums,
             Purpose purpose)
      : context_(context), attachments_(attachments), sums_(sums), purpose_(purpose) {}

  /// Takes what context.frames.reuse keeps, and computes the rest.
  /// @throws Error{kInput} where a cut cannot be computed; Error{kInterrupted}
  void run();

 private:
  /// The regression of one map.
  struct Regression {
    std::size_t cut = 0;
    std::vector<ModelIndex> donors;                  // whose layers the map and its correction read
    std::size_t x = 0, y = 0;                        // indices of place requests: what the map reads and has to return
    std::vector<std::size_t> auxiliary_inputs = {};  // of place requests, one per auxiliary input of the map
    bool reads_input = false;
    MapSums* sums = nullptr;
    std::optional<MapKey> key = {};  // nothing: its values depend on fitted weights, so its sums are not kept
  };
  class RunWeights;

  [[nodiscard]] bool all_kept();
  void request_places();
  void request_places_of(std::size_t cut, ModelIndex copy, std::vector<graph::PlaceRequest>& requests);
  void look_up_kept();
  void add_up();
  void keep_sums();

  [[nodiscard]] CutKey cut_key(std::size_t cut) const;
  [[nodiscard]] std::optional<MapKey> map_key(const Regression& one,
                                              const std::vector<graph::InvariantValue>& values) const;
  [[nodiscard]] const SampleWeights& weights_of(ModelIndex receiver) const;
  [[nodiscard]] std::string task_name() const;
  void add_samples(const Regression& one, const std::vector<at::Tensor>& values,
                   const std::vector<std::int64_t>& positions, RunWeights& weights) const;
  [[nodiscard]] NormalEquations& block_at(MapSums& map, std::int64_t position, std::int64_t regressors) const;
  void choose_ridge(MapSums& map) const;

  const FitContext context_;
  const std::span<const Attachment> attachments_;
  const std::span<CutSums> sums_;
  const Purpose purpose_;

  std::set<ModelIndex> receivers_, donors_;
  std::int64_t batch_ = 0;  // frames per run
  graph::Assembly assembly_;
  std::vector<Regression> regressions_;                    // after look_up_kept(): those to compute
  std::vector<std::pair<MapSums*, MapSums*>> duplicates_;  // a map, and the computed one that has equal sums
  std::vector<std::vector<std::optional<MapKey>>> keys_;   // per cut and map; empty: nothing is reused
};

}  // namespace repsim::fit
