#include <charconv>

#include "repsim/config.hpp"

namespace repsim::config {
namespace {

constexpr int kMostGpus = 64;

}  // namespace

std::optional<Device> parse_device(const std::string& text) {
  if (text == "cpu") return Device{};
  if (text == "cuda") return Device{Device::Kind::kCuda, std::nullopt};
  const std::string prefix = "cuda:";
  if (!text.starts_with(prefix)) return std::nullopt;
  int index = 0;
  const char *begin = text.data() + prefix.size(), *end = text.data() + text.size();
  const auto [last, error] = std::from_chars(begin, end, index);
  if (error != std::errc{} || last != end || index < 0 || index > kMostGpus) return std::nullopt;
  return Device{Device::Kind::kCuda, index};
}

std::string to_string(const Device& device) {
  if (device.kind == Device::Kind::kCpu) return "cpu";
  return device.number ? "cuda:" + std::to_string(*device.number) : "cuda";
}

std::string no_device(const std::string& text) { return "there is no device '" + text + "'"; }

std::string device_remedy() { return "cpu, cuda (the first GPU) or cuda:1"; }

}  // namespace repsim::config
