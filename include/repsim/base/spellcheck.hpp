#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace repsim {

/// The candidate closest to `word` by edit distance (insert, delete, substitute, swap of neighbours), ties by name.
/// Nothing when the distance is more than a third of the word's length (at least 1, at most 3).
[[nodiscard]] std::optional<std::string> closest(std::string_view word, std::span<const std::string> candidates);

/// "did you mean 'x'?" or, when nothing is close, "known: a, b, c" ("none is known" without candidates).
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace repsim
