#include <algorithm>
#include <charconv>
#include <cmath>

#include "repsim/measure.hpp"

namespace repsim::measure {
namespace {

constexpr double kMiddle = 0.5, kNineOfTen = 0.9;

/// The median over rounds of what `value` says of each.
template <typename Value>
double over_rounds(const std::vector<Round>& rounds, const Value& value) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const Round& round : rounds) values.push_back(static_cast<double>(value(round)));
  return quantile(std::move(values), kMiddle);
}

template <typename Value>
std::int64_t bytes_over_rounds(const std::vector<Round>& rounds, const Value& value) {
  return std::llround(over_rounds(rounds, value));
}

/// The sum over processes.
template <typename Value>
auto sum_of(const Round& round, const Value& value) {
  decltype(value(round.front())) sum{};
  for (const Sample& sample : round) sum += value(sample);
  return sum;
}

std::int64_t together(const Round& round, MemoryUse Sample::* moment) {
  std::vector<MemoryUse> processes;
  for (const Sample& sample : round) processes.push_back(sample.*moment);
  return resident_together(processes);
}

/// What is a process's own adds up at the peak, too.
std::int64_t peak_together(const Round& round) {
  std::vector<MemoryUse> processes;
  for (const Sample& sample : round) {
    const std::int64_t files = sample.running.resident - sample.running.anonymous;
    processes.push_back({sample.peak_bytes, 0, sample.peak_bytes - files});
  }
  return resident_together(processes);
}

/// The times of a frame that all processes compute together: the first calls of all, the second ones, ...
std::vector<double> frame_times(const Round& round, std::vector<double> Times::* kind) {
  std::vector<double> times = round.front().frame.*kind;
  for (std::size_t process = 1; process < round.size(); ++process) {
    const std::vector<double>& more = round[process].frame.*kind;
    times.resize(std::min(times.size(), more.size()));
    for (std::size_t i = 0; i < times.size(); ++i) times[i] += more[i];
  }
  return times;
}

double frame_median(const Round& round, std::vector<double> Times::* kind) {
  return quantile(frame_times(round, kind), kMiddle);
}

std::optional<DeviceMemory> device_memory(const std::vector<Round>& rounds) {
  for (const Sample& sample : rounds.front()) {
    if (!sample.device) return std::nullopt;
  }
  DeviceMemory memory;
  const auto of = [&](const auto& value) {
    return bytes_over_rounds(rounds, [&](const Round& round) { return sum_of(round, value); });
  };
  memory.allocated = of([](const Sample& sample) { return sample.device->allocated; });
  memory.reserved = of([](const Sample& sample) { return sample.device->reserved; });
  bool known = true;
  for (const Round& round : rounds) {
    for (const Sample& sample : round) known = known && sample.device && sample.device->driver;
  }
  if (known) memory.driver = of([](const Sample& sample) { return *sample.device->driver; });
  return memory;
}

std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

double divided(double value, double by) { return by > 0 ? value / by : 1; }

}  // namespace

double quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = part * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

std::int64_t resident_together(const std::vector<MemoryUse>& processes) {
  std::int64_t own = 0, files = 0;
  for (const MemoryUse& use : processes) {
    own += use.anonymous;
    files = std::max(files, use.resident - use.anonymous);
  }
  return own + files;
}

Figures figures_of(const std::vector<Round>& rounds, std::int64_t file_bytes) {
  Figures figures;
  figures.file_bytes = file_bytes;
  const auto moment = [&](MemoryUse Sample::* when) {
    return bytes_over_rounds(rounds, [when](const Round& round) { return together(round, when); });
  };
  const auto summed = [&](const auto& value) {
    return over_rounds(rounds, [&](const Round& round) { return sum_of(round, value); });
  };
  figures.before_bytes = moment(&Sample::before);
  figures.loaded_bytes = moment(&Sample::loaded);
  figures.running_bytes = moment(&Sample::running);
  figures.peak_bytes = bytes_over_rounds(rounds, peak_together);
  figures.proportional_bytes = std::llround(summed([](const Sample& sample) { return sample.running.proportional; }));
  figures.activation_bytes = bytes_over_rounds(rounds, [](const Round& round) {
    std::int64_t most = 0;
    for (const Sample& sample : round) most = std::max(most, sample.activation_bytes);
    return most;
  });
  figures.device = device_memory(rounds);
  figures.load_seconds = summed([](const Sample& sample) { return sample.load_seconds; });
  figures.first_seconds = summed([](const Sample& sample) { return sample.first_seconds; });
  std::vector<double> medians;
  for (const Round& round : rounds) medians.push_back(frame_median(round, &Times::wall_ms));
  figures.frame_ms = quantile(medians, kMiddle);
  figures.least_ms = *std::min_element(medians.begin(), medians.end());
  figures.most_ms = *std::max_element(medians.begin(), medians.end());
  figures.frame_ms_90 =
      over_rounds(rounds, [](const Round& round) { return quantile(frame_times(round, &Times::wall_ms), kNineOfTen); });
  figures.cpu_ms = over_rounds(rounds, [](const Round& round) { return frame_median(round, &Times::cpu_ms); });
  return figures;
}

Ratios ratios_of(const std::vector<Round>& rounds, const std::vector<Round>& baseline) {
  std::vector<double> frame, cpu, load;
  for (std::size_t i = 0; i < std::min(rounds.size(), baseline.size()); ++i) {
    frame.push_back(divided(frame_median(rounds[i], &Times::wall_ms), frame_median(baseline[i], &Times::wall_ms)));
    cpu.push_back(divided(frame_median(rounds[i], &Times::cpu_ms), frame_median(baseline[i], &Times::cpu_ms)));
    const auto seconds = [](const Sample& sample) { return sample.load_seconds; };
    load.push_back(divided(sum_of(rounds[i], seconds), sum_of(baseline[i], seconds)));
  }
  return {quantile(frame, kMiddle), quantile(cpu, kMiddle), quantile(load, kMiddle)};
}

Alone alone_of(const std::vector<Sample>& original, const std::vector<Sample>& bundle, std::size_t index) {
  std::vector<double> by_itself, cpu, in_bundle, ratios, cpu_ratios;
  for (std::size_t i = 0; i < std::min(original.size(), bundle.size()); ++i) {
    const Times &own = original[i].frame, &run = bundle[i].alone.at(index);
    by_itself.push_back(quantile(own.wall_ms, kMiddle));
    cpu.push_back(quantile(own.cpu_ms, kMiddle));
    in_bundle.push_back(quantile(run.wall_ms, kMiddle));
    ratios.push_back(divided(in_bundle.back(), by_itself.back()));
    cpu_ratios.push_back(divided(quantile(run.cpu_ms, kMiddle), cpu.back()));
  }
  Alone alone;
  alone.original_ms = quantile(by_itself, kMiddle);
  alone.bundle_ms = quantile(in_bundle, kMiddle);
  alone.ratio = quantile(ratios, kMiddle);
  alone.original_cpu_ms = quantile(cpu, kMiddle);
  alone.cpu_ratio = quantile(cpu_ratios, kMiddle);
  return alone;
}

std::optional<std::int64_t> driver_memory_from(const std::string& text, std::int64_t process) {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t comma = line.find(", ");
    if (comma == std::string::npos) continue;
    const auto id = whole_number(line.substr(0, comma)), mebibytes = whole_number(line.substr(comma + 2));
    if (id && mebibytes && *id == process) return *mebibytes * kMebibyte;
  }
  return std::nullopt;
}

}  // namespace repsim::measure
