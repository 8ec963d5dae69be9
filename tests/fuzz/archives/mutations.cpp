#include "mutations.hpp"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <array>
#include <random>
#include <sstream>
#include <string_view>

#include "repsim/base/hash.hpp"

namespace repsim::fuzz {
namespace {

using namespace std::string_view_literals;

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

std::string little(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xFFU);
  return bytes;
}

// --- bytes

void change_bytes(std::string& bytes, Chance& chance) {
  const std::size_t at = chance.below(bytes.size() + 1);
  switch (chance.below(5)) {
    case 0:
      bytes.resize(at);
      break;
    case 1:
      bytes.clear();
      break;
    case 2:
      bytes.insert(at, 1 + chance.below(16), static_cast<char>(chance.below(256)));
      break;
    default:
      for (std::size_t i = 0; i <= chance.below(8) && !bytes.empty(); ++i)
        bytes[chance.below(bytes.size())] = static_cast<char>(chance.below(256));
  }
}

// --- code

constexpr std::array kNumbers{
    "0"sv,          "1"sv,     "-1"sv,  "2"sv,   "7"sv,    "65536"sv, "2147483648"sv,          "4294967296"sv,
    "1000000000"sv, "1e400"sv, "nan"sv, "inf"sv, "None"sv, "True"sv,  "9223372036854775807"sv, "-9223372036854775808"sv,
    "\"text\""sv,   "[1, 2]"sv};
constexpr std::array kTypes{"Tensor"sv,
                            "int"sv,
                            "float"sv,
                            "bool"sv,
                            "str"sv,
                            "Device"sv,
                            "NoneType"sv,
                            "List[int]"sv,
                            "List[Tensor]"sv,
                            "Optional[Tensor]"sv,
                            "Tuple[Tensor, Tensor]"sv,
                            "Dict[str, Tensor]"sv,
                            "Future[Tensor]"sv,
                            "Any"sv,
                            "Generator"sv,
                            "Storage"sv,
                            "complex"sv,
                            "List[List[Tensor]]"sv,
                            "__torch__.M"sv,
                            "Union[Tensor, int]"sv};
constexpr std::array kNames{"x"sv,
                            "self"sv,
                            "input"sv,
                            "torch.conv2d"sv,
                            "torch.add"sv,
                            "torch.cat"sv,
                            "torch.view"sv,
                            "torch.select"sv,
                            "torch.as_strided"sv,
                            "torch.empty"sv,
                            "torch.zeros"sv,
                            "torch.resize_"sv,
                            "torch.set_"sv,
                            "torch.batch_norm"sv,
                            "torch.relu_"sv,
                            "torch.expand"sv,
                            "torch.repeat"sv,
                            "torch.item"sv,
                            "torch.detach"sv,
                            "torch.copy_"sv,
                            "torch.squeeze_"sv,
                            "torch.transpose_"sv,
                            "ops.prim.RaiseException"sv,
                            "ops.prim.data"sv,
                            "ops.aten.warn"sv,
                            "unchecked_cast"sv,
                            "annotate"sv,
                            "torch.len"sv,
                            "torch.slice"sv,
                            "torch.sleep"sv,
                            "torch._convolution"sv,
                            "torch.upsample_nearest2d"sv,
                            "torch.max_pool2d"sv,
                            "torch.index"sv,
                            "torch.gather"sv,
                            "ops.prim.shape"sv,
                            "ops.prim.unchecked_unwrap_optional"sv,
                            "fork"sv,
                            "uninitialized"sv,
                            "torch.embedding"sv,
                            "torch.quantize_per_tensor"sv,
                            "torch._unsafe_view"sv,
                            "torch.native_batch_norm"sv,
                            "torch.view_as_complex"sv,
                            "torch.to_sparse"sv};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.'; }

/// Words and the single characters between them.
std::vector<std::string> tokens_of(const std::string& code) {
  std::vector<std::string> tokens;
  for (const char c : code) {
    if (!tokens.empty() && is_word(c) && is_word(tokens.back().front())) {
      tokens.back() += c;
    } else {
      tokens.emplace_back(1, c);
    }
  }
  return tokens;
}

std::string joined(const std::vector<std::string>& parts, std::string_view between) {
  std::string text;
  for (const std::string& part : parts) text.append(part).append(between);
  return text;
}

void change_token(std::vector<std::string>& tokens, Chance& chance) {
  std::vector<std::size_t> words;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (is_word(tokens[i].front())) words.push_back(i);
  }
  if (words.empty()) return;
  std::string& token = tokens[chance.of(words)];
  if (std::isdigit(static_cast<unsigned char>(token.front())) != 0) {
    token = chance.one_in(3) ? std::to_string(chance.below(70)) : std::string(chance.of(kNumbers));
    return;
  }
  if (std::find(kTypes.begin(), kTypes.end(), token) != kTypes.end()) {
    token = chance.of(kTypes);
    return;
  }
  switch (chance.below(6)) {
    case 0:
      token = chance.of(kNames);
      break;
    case 1:
      token = chance.of(kNumbers);
      break;
    case 2:
      token.clear();
      break;
    default:
      token = std::string(tokens[chance.of(words)]);  // another one of this file
  }
}

std::string nested(Chance& chance) {
  static constexpr std::array kOpen{"("sv, "["sv, "not "sv, "-"sv, "if x:\n "sv, "List["sv, "a."sv, "\""sv, "f("sv};
  std::string text;
  const std::string_view open = chance.of(kOpen);
  const std::size_t depth = std::size_t{1} << chance.below(17);
  for (std::size_t i = 0; i < depth; ++i) text += open;
  return text;
}

void change_code(std::string& code, Chance& chance) {
  if (chance.one_in(40)) {
    code.insert(chance.below(code.size() + 1), nested(chance));
    return;
  }
  if (chance.below(4) > 0) {
    std::vector<std::string> tokens = tokens_of(code);
    change_token(tokens, chance);
    code = joined(tokens, "");
    return;
  }
  std::vector<std::string> lines;
  std::istringstream stream(code);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  if (lines.empty()) return;
  const auto at = static_cast<std::ptrdiff_t>(chance.below(lines.size()));
  switch (chance.below(4)) {
    case 0:
      lines.erase(lines.begin() + at);
      break;
    case 1:
      lines.insert(lines.begin() + at, std::string(chance.of(lines)));
      break;
    case 2:
      std::swap(lines[static_cast<std::size_t>(at)], lines[chance.below(lines.size())]);
      break;
    default:
      lines[static_cast<std::size_t>(at)].insert(0, chance.below(4), ' ');
  }
  code = joined(lines, "\n");
}

// --- pickles

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

// --- records

void change_content(const std::string& name, std::string& content, Chance& chance) {
  if (chance.one_in(12)) {
    change_bytes(content, chance);
  } else if (name.ends_with(".py")) {
    change_code(content, chance);
  } else if (name.ends_with("pkl")) {
    change_pickle(content, chance);
  } else {
    change_bytes(content, chance);
  }
}

void change_records(Records& records, const Records& other, Chance& chance) {
  std::vector<std::string> names, others;
  for (const auto& [name, content] : records) names.push_back(name);
  for (const auto& [name, content] : other) others.push_back(name);
  const std::string name = chance.of(names);
  switch (chance.below(5)) {
    case 0:
      if (records.size() > 1) records.erase(name);
      break;
    case 1:
      std::swap(records[name], records[chance.of(names)]);
      break;
    case 2: {
      const std::string& foreign = chance.of(others);
      records[foreign] = other.at(foreign);
      break;
    }
    case 3:
      records["code/" + chance.of(names)] = records[name];
      break;
    default:
      records[name] = other.at(chance.of(others));
  }
}

}  // namespace

Records records_of(const std::string& archive) {
  std::istringstream stream(archive);
  caffe2::serialize::PyTorchStreamReader reader(&stream);
  Records records;
  for (const std::string& name : reader.getAllRecords()) {
    const auto [data, size] = reader.getRecord(name);
    records[name] = std::string(static_cast<const char*>(data.get()), size);
  }
  return records;
}

std::string archive_of(const Records& records) {
  std::string file, directory;
  for (const auto& [short_name, content] : records) {
    const std::string name = "m/" + short_name;
    const std::string kind = little(0, 2) + little(0, 2) + little(0, 4);
    const std::string sums = little(crc32(content), 4) + little(content.size(), 4) + little(content.size(), 4);
    directory += "PK\x01\x02" + little(20, 2) + little(20, 2) + kind + sums + little(name.size(), 2) + little(0, 8) +
                 little(0, 4) + little(file.size(), 4) + name;
    file += "PK\x03\x04" + little(20, 2) + kind + sums + little(name.size(), 2) + little(0, 2) + name + content;
  }
  return file + directory + "PK\x05\x06" + little(0, 4) + little(records.size(), 2) + little(records.size(), 2) +
         little(directory.size(), 4) + little(file.size(), 4) + little(0, 2);
}

Records mutated(const std::vector<Records>& seeds, std::uint64_t number) {
  Chance chance(number);
  Records records = chance.of(seeds);
  const std::size_t changes = chance.one_in(3) ? 2 + chance.below(3) : 1;
  for (std::size_t i = 0; i < changes; ++i) {
    if (chance.one_in(10)) {
      change_records(records, chance.of(seeds), chance);
      continue;
    }
    std::vector<std::string> names;  // code and pickles hold the structure: they are changed most
    for (const auto& [name, content] : records) {
      const bool structure = (name.starts_with("code/") && name.ends_with(".py")) || name == "data.pkl";
      names.insert(names.end(), structure ? 12 : name == "constants.pkl" || name == "traced_inputs.pkl" ? 3 : 1, name);
    }
    const std::string name = chance.of(names);
    change_content(name, records[name], chance);
  }
  return records;
}

}  // namespace repsim::fuzz
