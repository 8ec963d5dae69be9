#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/video.hpp"
#include "settings_values.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kMaxSide = 8192;
constexpr std::int64_t kMaxPad = 255;
constexpr std::int64_t kMaxFrames = 1'000'000;  // nobody waits for more, and a slip of the finger asks for it

/// Where a complaint about a complete set of settings points to: the flag of the same meaning.
std::string flag_of(const std::string& field) {
  static const std::map<std::string, std::string> kFlags{{"frames.count", "--frames"},
                                                         {"frames.holdout", "--holdout"},
                                                         {"merge.min_fidelity", "--min-fidelity"},
                                                         {"merge.adapters", "--adapters"},
                                                         {"merge.layers", "--layers"},
                                                         {"merge.exclude", "--exclude"},
                                                         {"merge.share", "--share"},
                                                         {"merge.max_trials", "--max-trials"},
                                                         {"threads", "--threads"},
                                                         {"video", "--video"}};
  const auto found = kFlags.find(field);
  return found == kFlags.end() ? field : found->second;
}

/// Names are written in flags (NAME=PATH, NAME=320x240, A<-B) and in tables.
bool is_model_name(const std::string& name) {
  const auto unfit = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' || byte == 0x7f || c == '=' || c == ',' || c == '<' || c == '>';
  };
  return !name.empty() && std::none_of(name.begin(), name.end(), unfit);
}

void check_models(const Settings& settings, const Complain& complain) {
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const model::ModelSpec& spec = settings.models[i];
    const std::string field = model_field(i);
    if (!is_model_name(spec.name)) {
      complain(field + ".name", "'" + spec.name + "' cannot be a model's name", "a name without any of = , < >");
    }
    const auto same = [&](const model::ModelSpec& other) { return other.name == spec.name; };
    const auto end = settings.models.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(settings.models.begin(), end, same)) {
      complain(field + ".name", "two models are named '" + spec.name + "'",
               "name one of them: --model NAME=" + spec.path);
    }
    if (spec.path.empty()) complain(field + ".path", "the path is empty", "the path of a TorchScript file");
    if (spec.input) {
      if (const auto problem = problem_of(*spec.input))
        complain(field + ".input." + problem->first, problem->second, "");
    }
    const double threshold = spec.output.score_threshold;
    if (!(threshold > 0 && threshold < 1)) {
      complain(field + ".output.score_threshold", "the value is " + number_text(threshold) + ", not between 0 and 1",
               "");
    }
  }
}

void check_globs(const std::vector<std::string>& globs, const std::string& field, const Complain& complain) {
  if (std::find(globs.begin(), globs.end(), "") != globs.end()) {
    complain(field, "a pattern is empty", "a layer's name, * and ? allowed: 'backbone.*'");
  }
}

void check_directions(const Settings& settings) {
  std::vector<std::string> names;
  for (const auto& spec : settings.models) names.push_back(spec.name);
  for (const auto& [receiver, donor] : settings.share) {
    const std::string where = "--share " + receiver + "<-" + donor;
    for (const auto& name : {receiver, donor}) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", where, did_you_mean(name, names));
    }
    if (receiver == donor) {
      throw Error(ErrorKind::kUsage, "a model cannot take representations from itself", where, "name two models");
    }
  }
}

}  // namespace

const std::vector<std::string>& adapter_names() {
  static const std::vector<std::string> kNames{"none", "linear"};
  return kNames;
}

std::string model_field(std::size_t index) { return "models[" + std::to_string(index) + "]"; }

std::string number_text(double value) {
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, result.ptr};
}

std::string threads_problem(std::int64_t threads) {
  return "the value is " + std::to_string(threads) + ", not 0 (as many as there are cores) to " +
         std::to_string(kMaxThreads);
}

std::optional<std::pair<std::string, std::string>> problem_of(const model::InputSpec& spec) {
  const auto bad_side = [](std::int64_t side) { return side < 1 || side > kMaxSide; };
  const auto side_problem = [](std::int64_t side) {
    return "the value is " + std::to_string(side) + ", not 1 to " + std::to_string(kMaxSide) + " pixels";
  };
  if (bad_side(spec.width)) return std::pair("width", side_problem(spec.width));
  if (bad_side(spec.height)) return std::pair("height", side_problem(spec.height));
  if (spec.pad < 0 || spec.pad > kMaxPad)
    return std::pair("pad", "the value is " + std::to_string(spec.pad) + ", not 0 to 255");
  if (!std::isfinite(spec.scale) || spec.scale == 0) return std::pair("scale", "the value is 0 or not finite");
  for (std::size_t channel = 0; channel < spec.mean.size(); ++channel) {
    if (!std::isfinite(spec.mean[channel])) return std::pair("mean", "a value is not finite");
    if (!std::isfinite(spec.std[channel]) || spec.std[channel] == 0) {
      return std::pair("std", "a value is 0 or not finite");
    }
  }
  return std::nullopt;
}

void check_values(const Settings& settings, const Complain& complain) {
  check_models(settings, complain);
  if (settings.frames < 1 || settings.frames > kMaxFrames) {
    complain("frames.count",
             "the value is " + std::to_string(settings.frames) + ", not 1 to " + std::to_string(kMaxFrames), "");
  }
  if (!(settings.holdout > 0 && settings.holdout < 1)) {
    complain("frames.holdout", "the value is " + number_text(settings.holdout) + ", not between 0 and 1",
             "for example 0.3: the last 30 % judge");
  }
  if (!(settings.min_fidelity >= 0 && settings.min_fidelity <= 1)) {
    complain("merge.min_fidelity", "the value is " + number_text(settings.min_fidelity) + ", not 0 to 1", "");
  }
  const auto& adapters = adapter_names();
  if (std::find(adapters.begin(), adapters.end(), settings.adapters) == adapters.end()) {
    complain("merge.adapters", "there are no adapters '" + settings.adapters + "'",
             did_you_mean(settings.adapters, adapters));
  }
  if (settings.max_trials < 1) {
    complain("merge.max_trials", "the value is " + std::to_string(settings.max_trials) + ", not 1 or more", "");
  }
  check_globs(settings.layers, "merge.layers", complain);
  check_globs(settings.exclude, "merge.exclude", complain);
  if (settings.threads < 0 || settings.threads > kMaxThreads)
    complain("threads", threads_problem(settings.threads), "");
}

void check(const Settings& settings) {
  if (settings.models.size() < 2) {
    const std::string given = settings.models.empty() ? "no model is given" : "only one model is given";
    throw Error(ErrorKind::kUsage, given + "; sharing needs two or more", "",
                "repsim plan A.pt B.pt --video V --out DIR");
  }
  check_values(settings, [](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw Error(ErrorKind::kUsage, problem, flag_of(field), remedy);
  });
  check_directions(settings);
  if (settings.video.empty()) {
    throw Error(ErrorKind::kUsage, "no video is given", "", R"(--video FILE, or "video" in the config)");
  }
  // The sampler knows how many frames are too few. A long video stands in for the real one, which nobody has opened
  // yet.
  video::VideoInfo assumed;
  assumed.path = settings.video;
  assumed.frame_count = kMaxFrames;
  static_cast<void>(video::sample_frames(assumed, settings.frames, settings.holdout));
}

}  // namespace repsim::pipeline
