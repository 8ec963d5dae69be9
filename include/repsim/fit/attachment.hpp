#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/replacement.hpp"
#include "repsim/resample.hpp"

/// How a cut is attached to its receiver: planned from the models' layers alone, without frames.
namespace repsim::fit {

using graph::Cut;
using graph::DonorLayer;
using graph::Replacement;

/// What an attachment may do.
struct AttachmentOptions {
  bool linear = true;  ///< 1x1 adapters may be fitted; else maps are resized or resampled at most (channels must agree)
  bool refit = true;   ///< the first convolutions behind the cut may be solved again instead
  int rank = 0;        ///< channels of the correction beside each fitted map; 0: no corrections (graph::Correction)
  std::vector<DonorLayer> auxiliary_inputs;  ///< that these corrections read
};

/// A convolution behind the cut that gets new weights.
struct RefitConvolution {
  int node = -1;  ///< of the top block of the receiver's prepared graph
  /// The batch normalisation behind it, whose effect the new weights include.
  std::optional<graph::Normalisation> normalisation;
};
/// The first convolutions behind the cut are solved again, jointly over all replacements.
struct Refit {
  std::vector<RefitConvolution> convolutions;  ///< one per map of the attachment
};
/// Every replaced layer gets its donor's layer.
struct Adapters {
  bool linear = true;  ///< a 1x1 convolution stands between; false: the donor's values are taken as they are
};

/// How a donor's map gets the size of the layer that it replaces.
enum class SizeChange {
  kNone,
  kResize,   ///< both models see the same part of the frame
  kResample  ///< they see different parts: products with constant matrices line the maps up
};

/// A linear map between values of the receiver, which a fit solves: a refitted convolution, or what stands in the place
/// of a replaced layer.
struct AttachedMap {
  /// As it is before the fit; of adapters only the kernel's size and the replaced layer.
  graph::ConvGeometry geometry;
  graph::Place place;        ///< in the receiver's prepared graph: the value that the map has to return
  bool reads_input = false;  ///< the map reads the first input of the node at `place`; else the value that replaces it
  std::vector<ModelIndex> donors;       ///< whose layers the map reads
  std::vector<std::int64_t> map_shape;  ///< [C,H,W] of what it returns; height and width 0: unknown
};

/// How a cut would be attached.
struct Attachment {
  Cut cut;
  std::variant<Refit, Adapters> method;
  std::vector<AttachedMap> maps;             ///< one per refitted convolution, or one per replacement
  std::vector<SizeChange> size_changes;      ///< per replacement
  int rank = 0;                              ///< of the corrections; 0: none
  std::vector<DonorLayer> auxiliary_inputs;  ///< that they read; none if the size of what a map returns is unknown

  /// The distinct matrices of resampled donor layers. Other shares may have brought some of them into the bundle.
  std::set<graph::ResampledAxis> vertical, horizontal;
  /// Of adapters, corrections, matrices and differences of weights; of refits beyond what they had.
  std::int64_t elements_added = 0;
  std::int64_t bytes_added = 0;  ///< 4 per element
  std::int64_t flops_added = 0;  ///< per frame
  /// Of the batch normalisations that refits include, and so gone in addition to what the cut removes.
  std::int64_t bytes_folded = 0, flops_folded = 0;
  std::int64_t bytes_taken = 0;    ///< of the receiver's weights in whose place a donor's are
  std::int64_t gram_elements = 0;  ///< of the Gram matrices of the maps' regressors, without corrections

  [[nodiscard]] bool is_refit() const { return std::holds_alternative<Refit>(method); }
  /// Whether a 1x1 convolution is added in the place of each replaced layer.
  [[nodiscard]] bool adds_linear() const;
  /// Whether a fit solves the maps; else donors' values stand in as they are.
  [[nodiscard]] bool is_fitted() const { return is_refit() || adds_linear(); }
  /// The batch normalisations that refits include.
  [[nodiscard]] std::vector<graph::Normalisation> folded() const;
};

/// Decides how to attach a cut: replacements by a refit if one is allowed and possible, else by adapters; shared
/// weights as the cut says.
/// @param cut  replacements of feature maps [C,H,W]; shared weights of fit::paired_weights() with their ranks
/// @return nothing if a layer is no feature map, or if channels differ and neither adapters nor a refit are allowed
/// @throws Error{kInternal} when set.views is neither empty nor one per group
[[nodiscard]] std::optional<Attachment> plan_attachment(const capture::ModelSet& set, const Cut& cut,
                                                        const AttachmentOptions& options);

/// Bytes of a constant matrix, float32.
[[nodiscard]] inline std::int64_t matrix_bytes(const graph::ResampledAxis& axis) { return 4 * axis.elements(); }

/// What is put between a donor's layer and the receiver's: "none", "resize", "resample", "linear", "resize+linear",
/// "resample+linear".
[[nodiscard]] std::string adapter_word(const fit::Attachment& attachment, std::size_t replacement);

}  // namespace repsim::fit
