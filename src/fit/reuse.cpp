#include <algorithm>

#include "repsim/fit.hpp"

namespace repsim::fit {

const Gathered::Map* Reuse::find(const std::string& key) {
  const auto found = sums_.find(key);
  if (found == sums_.end()) return nullptr;
  found->second.used = ++now_;
  return &found->second.map;
}

void Reuse::keep(const std::string& key, const Gathered::Map& map) {
  std::int64_t bytes = 0;
  for (const NormalEquations& part : map.parts) bytes += part.bytes();
  if (bytes > most_sum_bytes_) return;
  while (sum_bytes_ + bytes > most_sum_bytes_) {
    const auto oldest =
        std::min_element(sums_.begin(), sums_.end(), [](auto& a, auto& b) { return a.second.used < b.second.used; });
    sum_bytes_ -= oldest->second.bytes;
    sums_.erase(oldest);
  }
  sum_bytes_ += bytes;
  sums_[key] = {map, bytes, ++now_};
}

std::optional<std::vector<const Gathered::Map*>> Reuse::find_cut(const std::string& question) {
  const auto found = cuts_.find(question);
  if (found == cuts_.end()) return std::nullopt;
  std::vector<const Gathered::Map*> maps;
  for (const std::string& key : found->second) {
    maps.push_back(find(key));
    if (maps.back() == nullptr) return std::nullopt;
  }
  return maps;
}

}  // namespace repsim::fit
