#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

/// What the mutations of records have in common.
namespace repsim::fuzz {

/// Random numbers that a seed decides.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(engine_() % limit); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <typename List>
  const auto& of(const List& list) {
    return list[below(list.size())];
  }

 private:
  std::mt19937_64 engine_;
};

/// The lowest `width` bytes of a number, lowest first.
[[nodiscard]] std::string little(std::uint64_t value, int width);

[[nodiscard]] std::string joined(const std::vector<std::string>& parts, std::string_view between);

/// Changes, inserts or cuts off a few bytes.
void change_bytes(std::string& bytes, Chance& chance);

/// Changes tokens or lines of TorchScript code.
void change_code(std::string& code, Chance& chance);

/// Changes an operation of a pickle; it keeps the form of its opcodes most of the time.
void change_pickle(std::string& pickle, Chance& chance);

}  // namespace repsim::fuzz
