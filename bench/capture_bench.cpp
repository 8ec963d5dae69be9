// What capturing and comparing models costs, in units of running them: every figure of docs/performance.md.
//
//     repsim_bench VIDEO INPUT FRAMES [--rounds N] [--json FILE] [--inputs FILE.npy] A.pt B.pt ...
//
// INPUT as --input takes it. All figures of one run come from the same process, machine and frames, alternating; of N
// rounds the fastest counts (others were disturbed). --inputs writes the models' input, minibatch after minibatch, for
// other programs to run on.
#include <ATen/Parallel.h>
#include <malloc.h>
#include <sys/resource.h>
#include <torch/csrc/jit/api/module.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <iostream>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"
#include "repsim/optimised.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/similarity_report.hpp"
#include "repsim/video.hpp"

namespace {

using namespace repsim;

double now() {
  timespec time{};
  // With one thread its processor time, which other programs on the machine disturb less.
  clock_gettime(at::get_num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds_of(const std::function<void()>& work) {
  const double begin = now();
  work();
  return now() - begin;
}

double peak_rss_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1000.0;
}

struct Arguments {
  std::string video, input, json, inputs;
  std::int64_t frames = 0;
  int rounds = 3;
  std::vector<std::string> models;
};

Arguments parse(const std::vector<std::string>& words) {
  Arguments arguments;
  std::vector<std::string> places;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto value = [&] { return words.at(++i); };
    if (words[i] == "--rounds") {
      arguments.rounds = std::stoi(value());
    } else if (words[i] == "--json") {
      arguments.json = value();
    } else if (words[i] == "--inputs") {
      arguments.inputs = value();
    } else {
      places.push_back(words[i]);
    }
  }
  arguments.video = places.at(0);
  arguments.input = places.at(1);
  arguments.frames = std::stoll(places.at(2));
  arguments.models.assign(places.begin() + 3, places.end());
  if (arguments.models.empty()) throw std::out_of_range("no model");
  return arguments;
}

/// Things to be timed, each `rounds` times, in turn.
class Race {
 public:
  void add(const std::string& name, std::function<void()> work) { runners_.push_back({name, std::move(work), 1e30}); }
  std::map<std::string, double> run(int rounds) {
    for (Runner& runner : runners_) runner.work();  // executors specialise themselves in their first runs
    for (int round = 0; round < rounds; ++round) {
      for (Runner& runner : runners_) runner.best = std::min(runner.best, seconds_of(runner.work));
    }
    std::map<std::string, double> seconds;
    for (const Runner& runner : runners_) seconds[runner.name] = runner.best;
    return seconds;
  }

 private:
  struct Runner {
    std::string name;
    std::function<void()> work;
    double best;
  };
  std::vector<Runner> runners_;
};

/// Reads a buffer that no cache holds: what the replacements could reach at best.
double read_bandwidth() {
  const at::Tensor buffer = at::ones({std::int64_t{1} << 26}, at::kFloat);
  double best = 1e30;
  for (int i = 0; i < 4; ++i) best = std::min(best, seconds_of([&] { (void)buffer.sum(); }));
  return static_cast<double>(buffer.nbytes()) / best / 1e9;
}

/// A model as users have it, and the forms in which it is run here.
class Subject {
 public:
  Subject(const std::string& path, const model::InputSpec& spec, const video::FrameStore& store)
      : store_(store), loaded_(model::load({std::filesystem::path(path).stem().string(), path, spec, {}}, "flags")) {
    prepared_ = graph::prepare(loaded_, graph::trace_run(loaded_));
    single_ = prepared_;
    single_.batchable = false;
    as_loaded_ = loaded_.module.deepcopy();
    torch::jit::Module clone = loaded_.module.clone();
    by_torch_ = torch::jit::optimize_for_inference(clone);
    graph::Optimised optimised = graph::optimise(prepared_);
    by_repsim_ = std::make_unique<graph::Runner>(*optimised.graph, optimised.parameters, std::vector<graph::Place>{},
                                                 /*keep_output=*/true);
    tapped_ = std::make_unique<graph::Runner>(*optimised.graph, optimised.parameters, optimised.places, false);
    minibatches_ = capture::strided_minibatches(store.size());
  }

  [[nodiscard]] const std::string& name() const { return prepared_.name; }
  [[nodiscard]] std::size_t layers() const { return prepared_.program.layers.size(); }
  [[nodiscard]] std::int64_t bytes_per_frame() const {
    std::int64_t bytes = 0;
    for (const graph::Layer& layer : prepared_.program.layers) {
      std::int64_t elements = 1;
      for (const std::int64_t size : layer.shape) elements *= size;
      bytes += elements * static_cast<std::int64_t>(sizeof(float));
    }
    return bytes;
  }

  void enter(Race& race) {
    const auto forward = [this](torch::jit::Module& module, std::int64_t batch) {
      const c10::InferenceMode no_gradients;
      for_batches(batch, [&](const c10::IValue& input) { (void)module.forward({input}); });
    };
    const std::int64_t batch = prepared_.batchable ? video::kMinibatchFrames : 1;
    race.add("bare", [=, this] { forward(as_loaded_, batch); });
    race.add("bare_1", [=, this] { forward(as_loaded_, 1); });
    race.add("bare_torch", [=, this] { forward(by_torch_, batch); });
    race.add("bare_repsim",
             [=, this] { for_batches(batch, [&](const c10::IValue& input) { (void)by_repsim_->run({input}); }); });
    race.add("inputs", [=, this] { for_batches(batch, [](const c10::IValue&) {}); });
    race.add("taps", [=, this] {
      for_batches(batch, [&](const c10::IValue& input) { tapped_->run({input}, [](int, const at::Tensor&) {}); });
    });
    race.add("capture", [this] { signatures_ = capture::signatures(prepared_, store_, silent_); });
    race.add("capture_1", [this] { (void)capture::signatures(single_, store_, silent_); });
  }
  [[nodiscard]] const similarity::Signatures& signatures() const { return signatures_; }

 private:
  void for_batches(std::int64_t batch, const std::function<void(const c10::IValue&)>& work) {
    for (const auto& minibatch : minibatches_) {
      for (std::size_t i = 0; i < minibatch.size(); i += static_cast<std::size_t>(batch)) {
        const std::span positions = std::span(minibatch).subspan(i, static_cast<std::size_t>(batch));
        work(model::make_input(store_.spec(), frames_of(positions)));
      }
    }
  }
  [[nodiscard]] at::Tensor frames_of(std::span<const std::int64_t> positions) const {
    at::Tensor frames = at::empty(
        {static_cast<std::int64_t>(positions.size()), 3, store_.spec().height, store_.spec().width}, at::kFloat);
    store_.preprocess(positions, frames.data_ptr<float>());
    return frames;
  }

  const video::FrameStore& store_;
  model::Loaded loaded_;
  graph::Prepared prepared_, single_;
  torch::jit::Module as_loaded_, by_torch_;
  std::unique_ptr<graph::Runner> by_repsim_, tapped_;
  std::vector<std::vector<std::int64_t>> minibatches_;
  similarity::Signatures signatures_;
  SilentProgress silent_;
};

void write_inputs(const std::string& path, const video::FrameStore& store) {
  const model::InputSpec& spec = store.spec();
  std::vector<double> values;
  std::int64_t rows = 0;
  std::vector<float> frame(static_cast<std::size_t>(3 * spec.height * spec.width));
  for (const auto& minibatch : capture::strided_minibatches(store.size())) {
    for (const std::int64_t position : minibatch) {
      store.preprocess(std::span(&position, 1), frame.data());
      values.insert(values.end(), frame.begin(), frame.end());
      ++rows;
    }
  }
  write_file_atomically(path, report::npy(values, rows, static_cast<std::int64_t>(frame.size())));
}

/// What all models took together.
struct Totals {
  std::map<std::string, double> seconds;
  double frames = 0, similarity = 0, decode = 0;
};

void print_heading(const Arguments& arguments, double frames) {
  std::printf("%.0f frames, %d threads, ms per frame (the fastest of %d rounds)\n\n", frames, at::get_num_threads(),
              arguments.rounds);
  std::printf("%-20s %6s %9s | %8s %8s %8s %8s | %8s %8s %8s\n", "model", "layers", "MB/frame", "bare", "bare B=1",
              "torch's", "repsim's", "taps", "capture", "B=1");
}

/// Prints the line of a model. @param seconds  by contestant, for all frames @return its entry in the JSON file
Json report_model(const Subject& subject, const std::map<std::string, double>& seconds, double frames) {
  Json one;
  one["name"] = subject.name();
  one["layers"] = subject.layers();
  one["bytes_per_frame"] = subject.bytes_per_frame();
  for (const auto& [name, value] : seconds) one["ms_per_frame"][name] = 1000 * value / frames;
  const auto ms = [&](const char* name) { return 1000 * seconds.at(name) / frames; };
  std::printf("%-20s %6zu %9.1f | %8.2f %8.2f %8.2f %8.2f | %8.2f %8.2f %8.2f\n", subject.name().c_str(),
              subject.layers(), static_cast<double>(subject.bytes_per_frame()) / 1e6, ms("bare"), ms("bare_1"),
              ms("bare_torch"), ms("bare_repsim"), ms("taps"), ms("capture"), ms("capture_1"));
  const double inside = seconds.at("capture") - seconds.at("taps");
  one["gram_gigabytes_per_second"] =
      static_cast<double>(subject.bytes_per_frame()) * frames / std::max(inside, 1e-9) / 1e9;
  return one;
}

/// Prints what capture and S cost beside bare forward passes, and adds the ratios to `json`.
void report_ratios(const Totals& totals, Json& json) {
  const auto ratio = [&](const char* name, double mine, double other) {
    json["ratios"][name] = mine / other;
    std::printf("  %-66s %5.2f\n", name, mine / other);
  };
  const auto& total = totals.seconds;
  const double s = totals.similarity, decode = totals.decode;
  std::printf("\nS of all pairs %.1f ms, decoding %.2f ms per frame, peak RSS %.0f MB, memory reads at %.1f GB/s\n\n",
              1000 * s, 1000 * decode / totals.frames, json["peak_rss_megabytes"].get<double>(),
              json["read_gigabytes_per_second"].get<double>());
  std::printf("capture + S, relative to bare forward passes (inputs made on both sides)\n");
  ratio("as loaded, batch 16 both", total.at("capture") + s, total.at("bare"));
  ratio("as loaded, batch 1 both", total.at("capture_1") + s, total.at("bare_1"));
  ratio("as loaded, batch 16 both, decoding too", total.at("capture") + s + decode, total.at("bare") + decode);
  ratio("optimised by torch (optimize_for_inference), batch 16 both", total.at("capture") + s, total.at("bare_torch"));
  ratio("optimised by repsim, batch 16 both", total.at("capture") + s, total.at("bare_repsim"));
}

void run(const Arguments& arguments) {
  SilentProgress silent;
  const model::InputSpec spec = config::parse_input_flag(arguments.input).second;
  video::silence_opencv();
  const video::VideoInfo video = video::probe(arguments.video, silent);
  const video::Sampling sampling = video::sample_frames(video, arguments.frames, 0.01);
  const std::vector<video::Request> requests{{sampling.calibration, spec, video::Perturbation::kNone}};
  capture::Stores stores;
  Totals totals;
  totals.decode = seconds_of([&] { stores = video::decode(video, requests, silent); });
  totals.frames = static_cast<double>(capture::strided_minibatches(stores[0].size()).size() * 16);
  if (!arguments.inputs.empty()) write_inputs(arguments.inputs, stores[0]);

  Json json;
  json["frames"] = totals.frames;
  json["threads"] = at::get_num_threads();
  json["decode_seconds"] = totals.decode;
  json["models"] = Json::array();
  std::vector<similarity::Signatures> signatures;
  print_heading(arguments, totals.frames);
  for (const std::string& path : arguments.models) {
    Subject subject(path, spec, stores[0]);
    Race race;
    subject.enter(race);
    const std::map<std::string, double> seconds = race.run(arguments.rounds);
    signatures.push_back(subject.signatures());
    for (const auto& [name, value] : seconds) totals.seconds[name] += value;
    json["models"].push_back(report_model(subject, seconds, totals.frames));
  }
  totals.similarity = 1e30;
  for (int round = 0; round < arguments.rounds; ++round) {
    const double s = seconds_of([&] { (void)similarity::all_pairs(signatures, at::get_num_threads()); });
    totals.similarity = std::min(totals.similarity, s);
  }
  json["similarity_seconds"] = totals.similarity;
  json["read_gigabytes_per_second"] = read_bandwidth();
  json["peak_rss_megabytes"] = peak_rss_megabytes();
  report_ratios(totals, json);
  if (!arguments.json.empty()) write_file_atomically(arguments.json, to_text(json));
}

}  // namespace

int main(int argc, char** argv) {
  mallopt(M_MMAP_MAX, 0);  // as the program does, for both sides
  mallopt(M_TRIM_THRESHOLD, -1);
  try {
    run(parse({argv + 1, argv + argc}));
  } catch (const std::out_of_range&) {
    std::cerr << "usage: repsim_bench VIDEO INPUT FRAMES [--rounds N] [--json FILE] [--inputs FILE] A.pt B.pt ...\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
