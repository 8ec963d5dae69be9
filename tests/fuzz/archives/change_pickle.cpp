#include <algorithm>
#include <array>

#include "chance.hpp"

namespace repsim::fuzz {
namespace {

using namespace std::string_view_literals;

std::uint64_t number_at(std::string_view bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = width; i-- > 0;)
    value = (value << 8U) | (at + i < bytes.size() ? static_cast<std::uint8_t>(bytes[at + i]) : 0U);
  return value;
}

/// Bytes of the operation at `at`, its arguments included.
std::size_t operation_size(std::string_view pickle, std::size_t at) {
  switch (pickle[at]) {
    case '\x80':
    case 'K':
    case 'q':
    case 'h':
      return 2;
    case 'M':
      return 3;
    case 'J':
    case 'r':
    case 'j':
      return 5;
    case 'G':
      return 9;
    case '\x8a':
      return 2 + number_at(pickle, at + 1, 1);
    case 'X':
      return 5 + number_at(pickle, at + 1, 4);
    case 'c': {
      const std::size_t first = pickle.find('\n', at);
      const std::size_t second = first == std::string_view::npos ? first : pickle.find('\n', first + 1);
      return second == std::string_view::npos ? pickle.size() - at : second + 1 - at;
    }
    default:
      return 1;
  }
}

std::vector<std::string> operations_of(const std::string& pickle) {
  std::vector<std::string> operations;
  for (std::size_t at = 0; at < pickle.size();) {
    operations.push_back(pickle.substr(at, operation_size(pickle, at)));
    at += operations.back().size();
  }
  return operations;
}

std::string whole_number(Chance& chance) {
  static constexpr std::array<std::int64_t, 14> kValues{
      0, 1, -1, 2, 3, 7, 255, 256, 65535, 1 << 20, (1LL << 31) - 1, -(1LL << 31), 1LL << 40, 1LL << 62};
  const std::int64_t value = chance.of(kValues);
  if (value >= 0 && value < 256) return "K" + little(static_cast<std::uint64_t>(value), 1);
  if (value >= -(1LL << 31) && value < (1LL << 31)) return "J" + little(static_cast<std::uint64_t>(value), 4);
  return "\x8a\x08" + little(static_cast<std::uint64_t>(value), 8);
}

std::string global(Chance& chance) {
  static constexpr std::array kGlobals{"__torch__\nM\n"sv,
                                       "torch._utils\n_rebuild_tensor_v2\n"sv,
                                       "torch._utils\n_rebuild_qtensor\n"sv,
                                       "torch._utils\n_rebuild_sparse_tensor\n"sv,
                                       "torch\nFloatStorage\n"sv,
                                       "torch\nLongStorage\n"sv,
                                       "torch\nQInt8Storage\n"sv,
                                       "torch\nBoolStorage\n"sv,
                                       "torch\nper_tensor_affine\n"sv,
                                       "torch\ndevice\n"sv,
                                       "collections\nOrderedDict\n"sv,
                                       "torch.jit._pickle\nbuild_intlist\n"sv,
                                       "builtins\nlist\n"sv,
                                       "torch.jit._pickle\nbuild_tensor_from_id\n"sv,
                                       "torch.jit._pickle\nrestore_type_tag\n"sv,
                                       "torch.jit._pickle\nbuild_tensorlist\n"sv,
                                       "torch._utils\n_rebuild_parameter\n"sv,
                                       "builtins\ncomplex\n"sv,
                                       "torch._utils\n_rebuild_meta_tensor_no_storage\n"sv,
                                       "torch\n_C\n"sv,
                                       "torch\nfloat32\n"sv};
  return "c" + std::string(chance.of(kGlobals));
}

void change_operation(std::vector<std::string>& operations, Chance& chance) {
  static constexpr std::array kPlain{
      "."sv,    "("sv,    ")"sv,    "t"sv,    "]"sv,    "}"sv,    "R"sv,     "b"sv,     "Q"sv,
      "s"sv,    "u"sv,    "e"sv,    "a"sv,    "0"sv,    "N"sv,    "1"sv,     "2"sv,     "\x85"sv,
      "\x86"sv, "\x87"sv, "\x88"sv, "\x89"sv, "\x81"sv, "\x92"sv, "q\x00"sv, "h\x00"sv, "j\xff\xff\xff\x7f"sv};
  std::vector<std::size_t> numbers;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if ("KMJ\x8a"sv.find(operations[i].front()) != std::string_view::npos) numbers.push_back(i);
  }
  const std::size_t at = chance.below(operations.size());
  const auto place = operations.begin() + static_cast<std::ptrdiff_t>(at);
  switch (chance.below(10)) {
    case 0:
    case 1:
    case 2:
      if (!numbers.empty()) operations[chance.of(numbers)] = whole_number(chance);
      break;
    case 3:
      operations.erase(place);
      break;
    case 4:
      operations.insert(place, std::string(chance.of(operations)));
      break;
    case 5:
      operations.insert(place, std::string(chance.of(kPlain)));
      break;
    case 6:
      operations[at] = chance.of(operations);
      break;
    case 7:
      operations[at] = global(chance);
      break;
    case 8:
      std::swap(operations[at], operations[chance.below(operations.size())]);
      break;
    default:
      change_bytes(operations[at], chance);
  }
}

}  // namespace

void change_pickle(std::string& pickle, Chance& chance) {
  std::vector<std::string> operations = operations_of(pickle);
  if (operations.empty()) return;
  if (chance.one_in(200)) {  // lists in lists
    operations.insert(operations.begin() + 1, std::size_t{1} << chance.below(19), "]");
  } else {
    change_operation(operations, chance);
  }
  pickle = joined(operations, "");
}

}  // namespace repsim::fuzz
