#include "symmetric.hpp"

#include <algorithm>

namespace repsim::fit {
namespace {

constexpr std::int64_t kColumns = 256;  // at a time

}  // namespace

void add_symmetric(at::Tensor& sum, const at::Tensor& rows) {
  const std::int64_t p = rows.size(1);
  for (std::int64_t begin = 0; begin < p; begin += kColumns) {
    const std::int64_t count = std::min(kColumns, p - begin), behind = begin + count;
    const at::Tensor block = rows.narrow(1, begin, count).t().mm(rows.narrow(1, begin, p - begin));
    sum.narrow(0, begin, count).narrow(1, begin, p - begin).add_(block);
    if (behind < p) {
      sum.narrow(0, behind, p - behind).narrow(1, begin, count).add_(block.narrow(1, count, p - behind).t());
    }
  }
}

}  // namespace repsim::fit
