#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "repsim/base/index.hpp"

/// The best choice of shares, each of which stands only beside the donors' shares with which it was measured.
namespace repsim::planner {

struct AcceptedShare {
  std::size_t option = 0;
  ModelIndex receiver = -1;
  /// The option of each of its donors, of their donors and so on; absent: that model takes no layers.
  std::map<ModelIndex, std::optional<std::size_t>> upstream = {};
  double saving = 0;
  double fidelity = 0;
};

/// The choice of largest saving. There are few shares: branch and bound tries them all, up to a million steps.
/// @return indices into `shares`, ascending by receiver
[[nodiscard]] std::vector<std::size_t> largest_saving(const std::vector<AcceptedShare>& shares,
                                                      std::optional<std::int64_t> max_shares);

/// The choice of best worst fidelity that saves enough, and of largest saving among equals; empty if none does.
[[nodiscard]] std::vector<std::size_t> most_faithful(const std::vector<AcceptedShare>& shares,
                                                     std::optional<std::int64_t> max_shares, double to_save);

}  // namespace repsim::planner
