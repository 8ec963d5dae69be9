#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Enumerations and their words in flags, configs and plans: one table per enumeration is the only place of its words.
namespace repsim {

template <typename Enum>
struct Word {
  Enum value;
  const char* word;
};

/// The word of a value.
template <typename Enum, std::size_t kCount>
[[nodiscard]] const char* word_of(const std::array<Word<Enum>, kCount>& words, Enum value) {
  for (const auto& entry : words) {
    if (entry.value == value) return entry.word;
  }
  return "?";  // no enumerator: only a cast can make one
}

/// The value that a word names; nothing for any other text.
template <typename Enum, std::size_t kCount>
[[nodiscard]] std::optional<Enum> value_of(const std::array<Word<Enum>, kCount>& words, std::string_view word) {
  for (const auto& entry : words) {
    if (entry.word == word) return entry.value;
  }
  return std::nullopt;
}

/// All words in the order of the table.
template <typename Enum, std::size_t kCount>
[[nodiscard]] std::vector<std::string> all_words(const std::array<Word<Enum>, kCount>& words) {
  std::vector<std::string> names;
  for (const auto& entry : words) names.emplace_back(entry.word);
  return names;
}

}  // namespace repsim
