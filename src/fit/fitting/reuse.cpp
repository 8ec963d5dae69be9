#include <algorithm>

#include "repsim/fit/fitting.hpp"

namespace repsim::fit {

const MapSums* Reuse::find(const MapKey& key) {
  const auto found = sums_.find(key);
  if (found == sums_.end()) return nullptr;
  found->second.used = ++now_;
  return &found->second.sums;
}

void Reuse::keep(const MapKey& key, const MapSums& sums) {
  std::int64_t bytes = 0;
  for (const NormalEquations& block : sums.blocks) bytes += block.bytes();
  if (bytes > max_sum_bytes_) return;
  while (sum_bytes_ + bytes > max_sum_bytes_) {
    const auto oldest =
        std::min_element(sums_.begin(), sums_.end(), [](auto& a, auto& b) { return a.second.used < b.second.used; });
    sum_bytes_ -= oldest->second.bytes;
    sums_.erase(oldest);
  }
  sum_bytes_ += bytes;
  sums_[key] = {sums, bytes, ++now_};
}

std::optional<std::vector<const MapSums*>> Reuse::find_cut(const CutKey& cut) {
  const auto found = cuts_.find(cut);
  if (found == cuts_.end()) return std::nullopt;
  std::vector<const MapSums*> maps;
  for (const MapKey& key : found->second) {
    maps.push_back(find(key));
    if (maps.back() == nullptr) return std::nullopt;
  }
  return maps;
}

}  // namespace repsim::fit
