// Time of the whole capture (all layers' signatures) as a ratio to the models' own bare forward passes as loaded, on
// the same frames in one process, batch 16 both, and the peak memory of the process.
//
//     repsim_bench VIDEO WIDTHxHEIGHT FRAMES A.pt B.pt ...
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "repsim/base/error.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/video.hpp"

namespace {

using namespace repsim;

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double peak_rss_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1000.0;
}

void run(const std::vector<std::string>& arguments) {
  constexpr int kRounds = 3;  // alternating; the medians are compared
  SilentProgress silent;
  const model::InputSpec spec = pipeline::parse_input_flag(arguments[1]).second;
  video::silence_opencv();
  const video::VideoInfo video = video::probe(arguments[0], silent);
  const video::Sampling sampling = video::sample_frames(video, std::stoll(arguments[2]), 0.01);
  const std::vector<video::Request> requests{{sampling.calibration, spec, video::Perturbation::kNone}};
  const capture::Stores stores = video::decode(video, requests, silent);
  const auto minibatches = capture::strided_minibatches(stores[0].size());
  double bare_total = 0, capture_total = 0;
  for (std::size_t i = 3; i < arguments.size(); ++i) {
    model::ModelSpec one{std::filesystem::path(arguments[i]).stem().string(), arguments[i], spec, {}};
    const model::Loaded loaded = model::load(one, "flags");
    const graph::DryRun dry = graph::dry_run(loaded);
    const graph::Prepared prepared = graph::prepare(loaded, dry);
    capture::ModelSet set{{&prepared}, {0}, {spec}, {}};
    const std::vector<int> group{0};
    torch::jit::Module module = loaded.module.deepcopy();
    const auto bare = [&] {
      const c10::InferenceMode no_gradients;
      for (const auto& positions : minibatches)
        (void)module.forward(capture::group_inputs(set, stores, group, positions));
    };
    bare();  // the executor specialises itself in its first runs
    std::vector<double> bare_seconds, capture_seconds;
    for (int round = 0; round < kRounds; ++round) {
      bare_seconds.push_back(seconds_of(bare));
      capture_seconds.push_back(seconds_of([&] { (void)capture::signatures(prepared, stores[0], silent); }));
    }
    std::sort(bare_seconds.begin(), bare_seconds.end());
    std::sort(capture_seconds.begin(), capture_seconds.end());
    const double b = bare_seconds[kRounds / 2], c = capture_seconds[kRounds / 2];
    const double frames = static_cast<double>(minibatches.size()) * static_cast<double>(video::kMinibatchFrames);
    std::printf("%-24s %3zu layers   bare %6.2f ms/frame   capture %6.2f ms/frame   ratio %.2f\n", one.name.c_str(),
                prepared.program.layers.size(), 1000 * b / frames, 1000 * c / frames, c / b);
    bare_total += b;
    capture_total += c;
  }
  std::printf("capture / bare forward   %.2f\npeak RSS                 %.0f MB\n", capture_total / bare_total,
              peak_rss_megabytes());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 4) {
    std::cerr << "usage: repsim_bench VIDEO WIDTHxHEIGHT FRAMES A.pt B.pt ...\n";
    return 2;
  }
  try {
    run(arguments);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
