// Runs all fuzz targets for a few seconds, without libFuzzer: their seeds, and mutations of these that a number
// decides.
//
//   repsim_fuzz_short --seeds FOLDER [--target NAME] [--runs N] [--first N]
//
// A failure ends the program with a line that says how to repeat it: --target NAME --first RUN --runs 1.
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>
#include <unistd.h>

#define REPSIM_TARGET(name, runs) extern "C" int repsim_fuzz_##name(const std::uint8_t* data, std::size_t size);
#include "../targets.def"
#undef REPSIM_TARGET

namespace {

namespace fs = std::filesystem;

struct Target {
  const char* name;
  std::int64_t runs;
  int (*run)(const std::uint8_t*, std::size_t);
};

constexpr std::array kTargets{
#define REPSIM_TARGET(name, runs) Target{#name, runs, repsim_fuzz_##name},
#include "../targets.def"
#undef REPSIM_TARGET
};

/// What runs now, for the handler of signals, which may not allocate.
std::array<char, 128> running{};

void on_signal(int number) {
  static_cast<void>(!::write(STDERR_FILENO, running.data(), std::strlen(running.data())));
  std::signal(number, SIG_DFL);
  std::raise(number);
}

class Mutations {
 public:
  explicit Mutations(std::uint64_t seed) : engine_(seed) {}

  std::string of(const std::vector<std::string>& seeds) {
    std::string bytes = seeds[below(seeds.size())];
    for (std::size_t count = 1 + below(4); count > 0; --count) change(bytes, seeds[below(seeds.size())]);
    return bytes;
  }

 private:
  static constexpr std::size_t kLongest = 1 << 14;

  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : static_cast<std::size_t>(engine_() % limit); }
  char byte() {
    static constexpr std::string_view kUsual("\0\x01\x7f\x80\xff {}[]\",:=-.0123456789e\n\r\t\\/%*", 34);
    return below(2) == 0 ? kUsual[below(kUsual.size())] : static_cast<char>(below(256));
  }

  void change(std::string& bytes, const std::string& other) {
    static constexpr std::array<std::string_view, 14> kWords{"null",
                                                             "true",
                                                             "-1",
                                                             "1e999",
                                                             "NaN",
                                                             "18446744073709551615",
                                                             "9223372036854775807",
                                                             "-9223372036854775808",
                                                             "\"\"",
                                                             "[]",
                                                             "{}",
                                                             "0.1",
                                                             "PK\x01\x02",
                                                             "\xef\xbb\xbf"};
    const std::size_t at = below(bytes.size() + 1), length = 1 + below(below(2) == 0 ? 4 : 64);
    switch (below(8)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(static_cast<unsigned>(bytes[at]) ^ (1U << below(8)));
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = byte();
        break;
      case 2:
        bytes.insert(at, 1, byte());
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(below(bytes.size() + 1), std::string(bytes, at, length));
        break;
      case 5:
        bytes.replace(at, below(3) * length, kWords[below(kWords.size())]);
        break;
      case 6:
        bytes.replace(at, length, std::string(other, below(other.size() + 1), length));
        break;
      default:
        if (below(4) == 0) bytes.resize(at);
    }
    if (bytes.size() > kLongest) bytes.resize(kLongest);
  }

  std::mt19937_64 engine_;
};

std::vector<std::string> seeds_of(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  if (seeds.empty()) throw std::runtime_error("no seeds in " + folder.string());
  return seeds;
}

struct Options {
  fs::path seeds;
  std::string target;
  std::int64_t first = 0, runs = 0;  // 0: as many as the target's row says
};

/// The first runs take the seeds as they are; every run depends on its number alone.
void run(const Target& target, const Options& options) {
  const std::vector<std::string> seeds = seeds_of(options.seeds / target.name);
  const std::int64_t end = options.first + (options.runs > 0 ? options.runs : target.runs);
  for (std::int64_t i = options.first; i < end; ++i) {
    std::snprintf(running.data(), running.size(), "\nfuzz: failed: --target %s --first %lld --runs 1\n", target.name,
                  static_cast<long long>(i));
    const auto number = static_cast<std::size_t>(i);
    const std::string bytes =
        number < seeds.size() ? seeds[number] : Mutations(static_cast<std::uint64_t>(i)).of(seeds);
    target.run(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  std::cout << target.name << ": " << end - options.first << " runs" << std::endl;
}

int usage() {
  std::cerr << "usage: repsim_fuzz_short --seeds FOLDER [--target NAME] [--runs N] [--first N]\n";
  return 2;
}

}  // namespace

int main(int count, char** values) {
  Options options;
  const std::span<char*> arguments(values, static_cast<std::size_t>(count));
  for (std::size_t i = 1; i + 1 < arguments.size(); i += 2) {
    const std::string name = arguments[i];
    if (name == "--seeds") {
      options.seeds = arguments[i + 1];
    } else if (name == "--target") {
      options.target = arguments[i + 1];
    } else if (name == "--runs") {
      options.runs = std::strtoll(arguments[i + 1], nullptr, 10);
    } else if (name == "--first") {
      options.first = std::strtoll(arguments[i + 1], nullptr, 10);
    } else {
      return usage();
    }
  }
  if (options.seeds.empty() || count % 2 == 0) return usage();
  spdlog::set_level(spdlog::level::off);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) std::signal(number, on_signal);
  bool any = false;
  for (const Target& target : kTargets) {
    if (!options.target.empty() && options.target != target.name) continue;
    any = true;
    try {
      run(target, options);
    } catch (const std::exception& error) {
      std::cerr << running.data() << error.what() << "\n";
      return 1;
    }
  }
  return any ? 0 : usage();
}
