#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "repsim/base/words.hpp"

namespace repsim::planner {

/// What a plan saves as much as it can of.
enum class Objective {
  kBytes,       ///< of parameters
  kFlops,       ///< per frame
  kLatency,     ///< per frame, as estimated
  kPeakMemory,  ///< bytes of parameters and of the peak of activations
};

inline constexpr auto kObjectiveWords = std::to_array<Word<Objective>>({
    {Objective::kBytes, "bytes"},
    {Objective::kFlops, "flops"},
    {Objective::kLatency, "latency"},
    {Objective::kPeakMemory, "peak-memory"},
});

[[nodiscard]] inline const char* to_string(Objective value) { return word_of(kObjectiveWords, value); }

/// The objective of this word, exactly as to_string() writes it; nothing for any other text.
[[nodiscard]] inline std::optional<Objective> parse_objective(std::string_view word) {
  return value_of(kObjectiveWords, word);
}

}  // namespace repsim::planner
