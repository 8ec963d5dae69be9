#include "pickle.hpp"

#include <cstdint>
#include <optional>

namespace repsim::model {
namespace {

using namespace std::string_view_literals;

/// An operation by its first byte, and what follows it.
enum class Argument { kNone, kBytes1, kBytes2, kBytes4, kBytes8, kText1, kText4, kNames };

/// The operations of protocol 2 and below that Torch's reader knows. Nothing for all others.
std::optional<Argument> argument_of(char operation) {
  if (".(0N}])Rabetsuld\x85\x86\x87\x88\x89\x81Q"sv.find(operation) != std::string_view::npos) return Argument::kNone;
  if ("\x80Kqh"sv.find(operation) != std::string_view::npos) return Argument::kBytes1;
  if ("Jrj"sv.find(operation) != std::string_view::npos) return Argument::kBytes4;
  if ("\x8aU"sv.find(operation) != std::string_view::npos) return Argument::kText1;
  if ("\x8bXTB"sv.find(operation) != std::string_view::npos) return Argument::kText4;
  if (operation == 'M') return Argument::kBytes2;
  if (operation == 'G') return Argument::kBytes8;
  if (operation == 'c') return Argument::kNames;
  return std::nullopt;
}

std::uint64_t little(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = (value << 8U) | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

/// Bytes of the argument at the front of `rest`; more than there are where it is cut.
std::uint64_t argument_size(Argument argument, std::string_view rest) {
  const auto text = [rest](std::size_t width) { return width + little(rest.substr(0, width)); };
  switch (argument) {
    case Argument::kNone:
      return 0;
    case Argument::kBytes1:
      return 1;
    case Argument::kBytes2:
      return 2;
    case Argument::kBytes4:
      return 4;
    case Argument::kBytes8:
      return 8;
    case Argument::kText1:
      return text(1);
    case Argument::kText4:
      return text(4);
    case Argument::kNames: {
      const std::size_t module = rest.find('\n');
      const std::size_t name = module == std::string_view::npos ? module : rest.find('\n', module + 1);
      return name == std::string_view::npos ? rest.size() + 1 : name + 1;
    }
  }
  return rest.size() + 1;
}

}  // namespace

bool is_whole_pickle(std::string_view pickle) {
  const std::size_t whole = pickle.size();
  while (!pickle.empty()) {
    const char operation = pickle.front();
    pickle.remove_prefix(1);
    if (operation == '.') return true;
    const auto argument = argument_of(operation);
    if (!argument) return true;  // Torch stops there
    const std::uint64_t size = argument_size(*argument, pickle);
    if (size > pickle.size()) return false;
    // A pickle remembers fewer values than it has bytes.
    if (operation == 'r' && little(pickle.substr(0, 4)) > whole) return false;
    pickle.remove_prefix(static_cast<std::size_t>(size));
  }
  return false;
}

}  // namespace repsim::model
