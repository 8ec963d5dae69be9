#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>

#include "chance.hpp"

namespace repsim::fuzz {
namespace {

using namespace std::string_view_literals;

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

}  // namespace

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

}  // namespace repsim::fuzz
