#include "symmetric.hpp"

#include <algorithm>

namespace repsim::fit {
namespace {

constexpr std::int64_t kBlock = 256;  // regressors at a time

}  // namespace

void add_symmetric(at::Tensor& sum, const at::Tensor& samples) {
  const std::int64_t p = samples.size(1);
  for (std::int64_t begin = 0; begin < p; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, p - begin), behind = begin + count;
    const at::Tensor block = samples.narrow(1, begin, count).t().mm(samples.narrow(1, begin, p - begin));
    sum.narrow(0, begin, count).narrow(1, begin, p - begin).add_(block);
    if (behind < p) {
      sum.narrow(0, behind, p - behind).narrow(1, begin, count).add_(block.narrow(1, count, p - behind).t());
    }
  }
}

}  // namespace repsim::fit
