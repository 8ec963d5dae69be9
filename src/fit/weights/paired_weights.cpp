#include <algorithm>

#include "repsim/fit/shared_weights.hpp"

namespace repsim::fit {
namespace {

std::int64_t elements_of(const graph::StoredWeight& one) { return one.channels() * one.taps(); }

/// The largest number of elements that the weights from each pair of positions on can have in common.
class CommonElements {
 public:
  CommonElements(const std::vector<graph::StoredWeight>& receiver, const std::vector<graph::StoredWeight>& donor)
      : columns_(donor.size() + 1), most_((receiver.size() + 1) * columns_, 0) {
    for (std::size_t i = receiver.size(); i-- > 0;) {
      for (std::size_t j = donor.size(); j-- > 0;) {
        std::int64_t best = std::max(at(i + 1, j), at(i, j + 1));
        if (pairs(receiver[i], donor[j])) best = std::max(best, elements_of(receiver[i]) + at(i + 1, j + 1));
        most_[i * columns_ + j] = best;
      }
    }
  }

  static bool pairs(const graph::StoredWeight& receiver, const graph::StoredWeight& donor) {
    return receiver.sole_reader && same_structure(receiver, donor);
  }
  [[nodiscard]] std::int64_t at(std::size_t receiver, std::size_t donor) const {
    return most_[receiver * columns_ + donor];
  }

 private:
  std::size_t columns_;
  std::vector<std::int64_t> most_;
};

}  // namespace

bool same_structure(const graph::StoredWeight& a, const graph::StoredWeight& b) {
  const graph::ConvGeometry &left = a.geometry, &right = b.geometry;
  return left.weight_shape == right.weight_shape && left.stride == right.stride && left.padding == right.padding &&
         left.dilation == right.dilation && a.groups == b.groups && a.is_linear == b.is_linear;
}

std::vector<graph::SharedWeight> paired_weights(const capture::ModelSet& set, ModelIndex receiver, ModelIndex donor) {
  const std::vector<graph::StoredWeight> taking = graph::stored_weights(*set.models[receiver]),
                                         giving = graph::stored_weights(*set.models[donor]);
  const CommonElements common(taking, giving);
  std::vector<graph::SharedWeight> result;
  std::size_t i = 0, j = 0;
  while (i < taking.size() && j < giving.size()) {
    const bool paired = CommonElements::pairs(taking[i], giving[j]) &&
                        common.at(i, j) == elements_of(taking[i]) + common.at(i + 1, j + 1);
    if (paired) {
      result.push_back({taking[i].parameter, donor, giving[j].parameter, 0});
      ++i;
      ++j;
    } else if (common.at(i, j) == common.at(i + 1, j)) {
      ++i;
    } else {
      ++j;
    }
  }
  return result;
}

}  // namespace repsim::fit
