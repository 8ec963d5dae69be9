#include "repsim/failure_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <vector>

namespace repsim::model {
namespace {

constexpr std::size_t kLongestWords = 200;
constexpr std::int64_t kPictureChannels = 3;

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

/// The part between two marks; empty if one of them is missing.
std::string_view between(std::string_view text, std::string_view before, std::string_view behind) {
  const auto at = text.find(before);
  if (at == std::string_view::npos) return {};
  const auto begin = at + before.size(), end = text.find(behind, begin);
  return end == std::string_view::npos ? std::string_view{} : text.substr(begin, end - begin);
}

/// All whole numbers in a text: those of "[8, 6, 96]".
std::vector<std::int64_t> numbers_in(std::string_view text) {
  std::vector<std::int64_t> numbers;
  for (const char *at = text.data(), *end = at + text.size(); at != end;) {
    std::int64_t number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error == std::errc{}) numbers.push_back(number);
    at = error == std::errc{} ? next : at + 1;
  }
  return numbers;
}

/// The first number behind a mark; 0: there is none.
std::int64_t number_behind(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return 0;
  std::int64_t number = 0;
  const char* begin = text.data() + at + mark.size();
  (void)std::from_chars(begin, text.data() + text.size(), number);
  return number;
}

/// What Torch's interpreter puts in front of an exception's text, and what it puts behind it.
std::string_view message_in(std::string_view text) {
  static constexpr std::string_view kStack = "\nException raised from ", kBuiltins = "builtins.",
                                    kRuntime = "RuntimeError: ";
  text = text.substr(0, text.find(kStack));
  const bool traced = holds(text, "Traceback of TorchScript");
  // Behind a traceback stands what the model's own code raised: "builtins.ValueError: ...".
  if (const auto at = text.rfind("\nbuiltins."); traced && at != std::string_view::npos)
    return trimmed(text.substr(at + 1 + kBuiltins.size()));
  if (const auto at = text.rfind(kRuntime); at != std::string_view::npos) {
    const std::string_view message = trimmed(text.substr(at));
    // The exception of an assertion comes inside of another.
    const std::string_view inner = trimmed(message.substr(kRuntime.size() - 1));
    return inner.starts_with("AssertionError") ? inner : message;
  }
  text = trimmed(text);
  return traced ? trimmed(text.substr(text.rfind('\n') + 1)) : text;
}

/// The line of the model's source that a traceback marks last.
std::string_view marked_line(std::string_view text) {
  const auto mark = text.rfind("<--- HERE");
  if (mark == std::string_view::npos) return {};
  const auto end = text.rfind('\n', mark);
  if (end == std::string_view::npos || end == 0) return {};
  const auto begin = text.rfind('\n', end - 1);
  return trimmed(text.substr(begin + 1, end - begin - 1));
}

/// Names of Torch's backends that are no CPU, as they stand in its texts, and what to call them.
struct Device {
  std::string_view mark, name;
};
constexpr std::array<Device, 18> kDevices{{
    {"Cannot initialize CUDA without", "cuda"},
    {"Torch not compiled with CUDA enabled", "cuda"},
    {"not linked with support for cuda devices", "cuda"},
    {"Found no NVIDIA driver", "cuda"},
    {"No CUDA GPUs are available", "cuda"},
    {"CUDA driver version is insufficient", "cuda"},
    {"on a CUDA device but torch.cuda.is_available() is False", "cuda"},
    {"from the 'CUDA' backend", "cuda"},
    {"Expected all tensors to be on the same device", "cuda"},
    {"torch.cuda.", "cuda"},
    {"Cannot initialize HIP without", "hip"},
    {"from the 'HIP' backend", "hip"},
    {"from the 'MPS' backend", "mps"},
    {"not linked with support for mps devices", "mps"},
    {"from the 'XPU' backend", "xpu"},
    {"Cannot initialize XPU without", "xpu"},
    {"from the 'Meta' backend", "meta"},
    {"from the 'Vulkan' backend", "vulkan"},
}};

std::optional<FailureCause> device_cause(std::string_view text) {
  const auto known =
      std::find_if(kDevices.begin(), kDevices.end(), [&](const Device& device) { return holds(text, device.mark); });
  if (known == kDevices.end()) return std::nullopt;
  return FailureCause{FailureCause::Kind::kDevice, std::string(known->name)};
}

std::optional<FailureCause> memory_cause(std::string_view text) {
  static constexpr std::array<std::string_view, 5> kMarks{"can't allocate memory", "not enough memory", "out of memory",
                                                          "std::bad_alloc", "Cannot allocate memory"};
  if (std::none_of(kMarks.begin(), kMarks.end(), [&](std::string_view mark) { return holds(text, mark); }))
    return std::nullopt;
  return FailureCause{FailureCause::Kind::kMemory, {}, 0, number_behind(text, "tried to allocate ")};
}

/// "Given groups=1, weight of size [4, 1, 3, 3], expected input[1, 3, 32, 32] to have 1 channels, but got 3 channels
/// instead"
std::optional<FailureCause> channel_cause(std::string_view text) {
  const std::int64_t wanted = number_behind(text, "] to have "), given = number_behind(text, " channels, but got ");
  if (wanted == 0 || given != kPictureChannels || wanted == kPictureChannels) return std::nullopt;
  return FailureCause{FailureCause::Kind::kChannels, {}, wanted, given};
}

/// "shape '[8, 6, 96]' is invalid for input of size 576": eight times as many values as there are.
std::optional<FailureCause> batch_cause(std::string_view text) {
  const std::vector<std::int64_t> shape = numbers_in(between(text, "shape '[", "]'"));
  const std::int64_t size = number_behind(text, "is invalid for input of size ");
  if (shape.empty() || size <= 0 || shape.front() < 2) return std::nullopt;
  std::int64_t values = 1;
  for (const std::int64_t side : shape) {
    if (side <= 0 || values > INT64_MAX / side) return std::nullopt;
    values *= side;
  }
  if (values % size != 0 || values / size < 2 || shape.front() % (values / size) != 0) return std::nullopt;
  return FailureCause{FailureCause::Kind::kBatch, {}, values / size};
}

/// "Input type (float) and bias type (double) should be the same"
std::optional<FailureCause> dtype_cause(std::string_view text) {
  if (!holds(text, "should be the same") || !holds(text, "Input type (")) return std::nullopt;
  for (const std::string_view dtype : {"double", "BFloat16"}) {
    if (holds(text, std::string(dtype) + ") should be the same"))
      return FailureCause{FailureCause::Kind::kDtype, dtype == "double" ? "float64" : "bfloat16"};
  }
  return std::nullopt;
}

std::optional<FailureCause> operator_cause(std::string_view text) {
  const std::string_view name = between(text, "Could not run '", "'");
  if (name.empty()) return std::nullopt;
  return FailureCause{FailureCause::Kind::kOperator, std::string(name)};
}

/// Whether the operation that a traceback marks is one that raises an exception.
bool marks_raise(std::string_view text) {
  for (auto mark = text.find("<--- HERE"); mark != std::string_view::npos; mark = text.find("<--- HERE", mark + 1)) {
    const auto end = text.rfind('\n', mark);
    if (end == std::string_view::npos || end == 0) continue;
    const auto begin = text.rfind('\n', end - 1);
    if (holds(text.substr(begin + 1, end - begin - 1), "ops.prim.RaiseException(")) return true;
  }
  return false;
}

std::optional<FailureCause> own_check(std::string_view text) {
  if (!marks_raise(text) && !holds(text, "\nbuiltins.") && !holds(text, "RuntimeError: AssertionError"))
    return std::nullopt;
  return FailureCause{FailureCause::Kind::kOwnCheck};
}

/// "1.5 GB": in text of one's own, since the stage that has such a function comes later.
std::string size_text(std::int64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits{"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < kUnits.size(); ++unit) value /= 1000;
  const auto tenths = static_cast<std::int64_t>(value * 10);
  return std::to_string(tenths / 10) + (unit > 0 ? "." + std::to_string(tenths % 10) : "") + " " + kUnits[unit];
}

std::string picture(const InputSpec& input) {
  return "torch.rand(1, 3, " + std::to_string(input.height) + ", " + std::to_string(input.width) + ")";
}

Advice channel_advice(const FailureCause& cause) {
  const std::string plural = cause.wanted == 1 ? " channel" : " channels";
  Advice advice{"forward takes pictures of " + std::to_string(cause.wanted) + plural + ", repsim gives 3", ""};
  const std::string wrap = "wrap the model before torch.jit.script: a module whose forward(x) returns model(";
  if (cause.wanted == 1) {
    advice.remedy = wrap + "x.mean(1, keepdim=True))";
  } else if (cause.wanted == 4) {
    advice.remedy = wrap + "torch.cat([x, torch.ones_like(x[:, :1])], 1)), if the fourth channel is the opacity";
  } else {
    advice.remedy = wrap + "...) of a picture of 3 channels";
  }
  return advice;
}

}  // namespace

std::string own_words(std::string_view text) {
  std::string_view message = message_in(text);
  // An assertion without words: its source says more.
  std::string words;
  if (message == "AssertionError:" || message == "AssertionError") {
    const std::string_view line = marked_line(text);
    words = "AssertionError";
    if (line.starts_with("assert")) words += ": " + std::string(line);
  } else {
    words = message;
  }
  if (const auto begin = words.find("[enforce fail at "); begin != std::string::npos) {
    // "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: ..."
    auto end = words.find("] ", begin);
    if (const auto condition = words.find(". ", begin); condition != std::string::npos) end = std::max(end, condition);
    if (end != std::string::npos) words.erase(begin, end + 2 - begin);
  }
  if (const auto paragraph = words.find("\n\n"); paragraph != std::string::npos) words.erase(paragraph);
  std::string line;
  for (const char c : words) {
    const bool space = std::isspace(static_cast<unsigned char>(c)) != 0;
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (line.size() <= kLongestWords) return line;
  // Not in the middle of a word, and so not in the middle of a character of several bytes if there are spaces.
  auto end = line.rfind(' ', kLongestWords);
  if (end == std::string::npos) {
    end = kLongestWords;
    while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xC0U) == 0x80U) --end;
  }
  return line.substr(0, end) + " ...";
}

FailureCause cause_of(std::string_view text) {
  // A device comes first: its texts also name operators that cannot run. A model's own words may quote anything, so
  // they are looked for before sizes and types.
  for (const auto& read :
       {device_cause, memory_cause, own_check, operator_cause, channel_cause, batch_cause, dtype_cause}) {
    if (std::optional<FailureCause> cause = read(text)) return *std::move(cause);
  }
  return {};
}

std::optional<Advice> advice_on(const FailureCause& cause, const InputSpec& input) {
  switch (cause.kind) {
    case FailureCause::Kind::kUnknown:
      return std::nullopt;
    case FailureCause::Kind::kDevice:
      return Advice{"the device '" + cause.subject + "' is wired into the model's code; repsim runs models on the CPU",
                    "export it on the CPU: model.cpu().eval(), then torch.jit.trace(model, " + picture(input) +
                        ").save('model.pt'), without .cuda() or .to('" + cause.subject + "') in forward"};
    case FailureCause::Kind::kMemory:
      return Advice{
          "out of memory" + (cause.given > 0 ? ": it asks for " + size_text(cause.given) + " at once" : std::string()),
          "a smaller --input, or a machine with more memory"};
    case FailureCause::Kind::kChannels:
      return channel_advice(cause);
    case FailureCause::Kind::kBatch:
      return Advice{"the model was traced for batches of " + std::to_string(cause.wanted) +
                        " frames, repsim also gives single ones",
                    "trace it with one: torch.jit.trace(model, " + picture(input) + ").save('model.pt')"};
    case FailureCause::Kind::kDtype:
      return Advice{"the model computes in " + cause.subject + ", repsim gives float32",
                    "export it in float32: model.float()"};
    case FailureCause::Kind::kOperator:
      return Advice{"the operator " + cause.subject + " cannot run on the CPU",
                    "export the model on the CPU: model.cpu().eval(), or export it without this operator"};
    case FailureCause::Kind::kOwnCheck:
      return Advice{"", "let forward return an empty result instead of raising an exception, and export it again"};
  }
  return std::nullopt;
}

}  // namespace repsim::model
