#include <algorithm>
#include <cmath>
#include <map>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/planner.hpp"
#include "repsim/video.hpp"
#include "values.hpp"

namespace repsim::config {
namespace {

constexpr std::int64_t kMaxSide = 8192;
constexpr std::int64_t kMaxPad = 255;
constexpr std::int64_t kMaxShares = 1'000'000;
constexpr std::int64_t kMaxRank = 64, kMaxSideInputs = 16;
constexpr std::int64_t kMaxFrames = 1'000'000;  // nobody waits for more, and a slip of the finger asks for it

/// Where a complaint about a complete set of settings points to: the flag of the same meaning.
std::string flag_of(const std::string& field) {
  static const std::map<std::string, std::string> kFlags{{"frames.count", "--frames"},
                                                         {"frames.holdout", "--holdout"},
                                                         {"merge.min_fidelity", "--min-fidelity"},
                                                         {"merge.adapters", "--adapters"},
                                                         {"merge.max_rank", "--max-rank"},
                                                         {"merge.max_side_inputs", "--max-side-inputs"},
                                                         {"merge.layers", "--layers"},
                                                         {"merge.exclude", "--exclude"},
                                                         {"merge.share", "--share"},
                                                         {"merge.max_trials", "--max-trials"},
                                                         {"merge.max_minutes", "--max-minutes"},
                                                         {"merge.confidence", "--confidence"},
                                                         {"merge.objective", "--objective"},
                                                         {"merge.budget", "--budget"},
                                                         {"merge.max_shares", "--max-shares"},
                                                         {"merge.donors", "--donors"},
                                                         {"merge.keep", "--keep"},
                                                         {"threads", "--threads"},
                                                         {"device", "--device"},
                                                         {"memory_limit", "--memory-limit"},
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

void check_ssd(const model::SsdOptions& options, const std::string& field, const Complain& complain) {
  for (const double variance : options.variances) {
    if (!std::isfinite(variance) || variance <= 0) {
      complain(field + "variances", "the value " + shortest(variance) + " is not above 0", "for example [0.1, 0.2]");
    }
  }
  if (!options.priors) return;
  const model::Priors& priors = *options.priors;
  const std::string where = field + "priors";
  if (priors.strides.empty() || priors.strides.size() != priors.min_sizes.size()) {
    complain(where,
             std::to_string(priors.min_sizes.size()) + " levels of min_sizes for " +
                 std::to_string(priors.strides.size()) + " strides",
             "one list of sizes per stride");
  }
  for (const std::int64_t stride : priors.strides) {
    if (stride < 1 || stride > kMaxSide) {
      complain(where + ".strides", "the value is " + std::to_string(stride) + ", not 1 to " + std::to_string(kMaxSide),
               "");
    }
  }
  for (const auto& level : priors.min_sizes) {
    if (level.empty()) complain(where + ".min_sizes", "a level has no sizes", "one list of sizes per stride");
    for (const double size : level) {
      if (!std::isfinite(size) || size <= 0) {
        complain(where + ".min_sizes", "the size " + shortest(size) + " is not above 0", "pixels of the input");
      }
    }
  }
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
    check_ssd(spec.output.ssd, field + ".output.", complain);
    const double threshold = spec.output.score_threshold;
    if (!(threshold > 0 && threshold < 1)) {
      complain(field + ".output.score_threshold", "the value is " + shortest(threshold) + ", not between 0 and 1", "");
    }
  }
}

void check_globs(const std::vector<std::string>& globs, const std::string& field, const Complain& complain,
                 const std::string& remedy = "a layer's name, * and ? allowed: 'backbone.*'") {
  if (std::find(globs.begin(), globs.end(), "") != globs.end()) complain(field, "a pattern is empty", remedy);
}

void check_goals(const Settings& settings, const Complain& complain) {
  const auto check_fidelity = [&](double value, const std::string& whose) {
    if (value >= 0 && value <= 1) return;
    complain("merge.min_fidelity", "the value" + whose + " is " + shortest(value) + ", not 0 to 1", "");
  };
  check_fidelity(settings.min_fidelity, "");
  for (const auto& [name, value] : settings.min_fidelity_of) check_fidelity(value, " of '" + name + "'");
  const auto& objectives = objective_names();
  if (std::find(objectives.begin(), objectives.end(), settings.objective) == objectives.end()) {
    complain("merge.objective", "there is no objective '" + settings.objective + "'",
             did_you_mean(settings.objective, objectives));
  }
  if (settings.budget && *settings.budget < 1)
    complain("merge.budget", "the value is " + std::to_string(*settings.budget) + ", not above 0", size_remedy());
  if (settings.budget && settings.objective != "bytes") {
    complain("merge.budget", "a budget is one of bytes, and the objective is " + settings.objective,
             "leave one of them out");
  }
  if (settings.max_shares && (*settings.max_shares < 0 || *settings.max_shares > kMaxShares)) {
    complain("merge.max_shares",
             "the value is " + std::to_string(*settings.max_shares) + ", not 0 to " + std::to_string(kMaxShares), "");
  }
  if (settings.max_rank < 0 || settings.max_rank > kMaxRank) {
    complain("merge.max_rank",
             "the value is " + std::to_string(settings.max_rank) + ", not 0 to " + std::to_string(kMaxRank), "");
  }
  if (settings.max_side_inputs < 0 || settings.max_side_inputs > kMaxSideInputs) {
    complain(
        "merge.max_side_inputs",
        "the value is " + std::to_string(settings.max_side_inputs) + ", not 0 to " + std::to_string(kMaxSideInputs),
        "");
  }
  if (!(settings.confidence >= 0 && settings.confidence < 1)) {
    complain("merge.confidence", "the value is " + shortest(settings.confidence) + ", not 0 (off) to below 1",
             "for example 0.9");
  }
  if (!(settings.max_minutes >= 0 && std::isfinite(settings.max_minutes))) {
    complain("merge.max_minutes", "the value is " + shortest(settings.max_minutes) + ", not 0 (no limit) or more", "");
  }
  check_globs(settings.donors, "merge.donors", complain, "a model's name, * and ? allowed");
}

/// Models that settings name.
void check_names(const Settings& settings) {
  std::vector<std::string> names;
  for (const auto& spec : settings.models) names.push_back(spec.name);
  const auto known = [&](const std::string& name, const std::string& where) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", where, did_you_mean(name, names));
  };
  for (const auto& [name, value] : settings.min_fidelity_of)
    known(name, "--min-fidelity " + name + "=" + shortest(value));
  for (const std::string& name : settings.keep) {
    known(name, "--keep " + name);
    for (const auto& [receiver, donor] : settings.share) {
      if (receiver != name) continue;
      throw Error(ErrorKind::kUsage, "'" + name + "' is never changed, so it cannot receive", "--keep " + name,
                  "leave out --keep " + name + " or --share " + receiver + "<-" + donor);
    }
  }
  for (const std::string& glob : settings.donors) {
    const auto matches = [&](const std::string& name) { return planner::glob_matches(glob, name); };
    if (std::any_of(names.begin(), names.end(), matches)) continue;
    throw Error(ErrorKind::kUsage, "no model's name matches '" + glob + "'", "--donors " + glob,
                did_you_mean(glob, names));
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

void check_video(const Settings& settings) {
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

}  // namespace

const std::vector<std::string>& adapter_names() {
  static const std::vector<std::string> kNames{"none", "linear"};
  return kNames;
}

const std::vector<std::string>& objective_names() {
  static const std::vector<std::string> kNames{"bytes", "flops", "latency", "peak-memory"};
  return kNames;
}

std::string size_remedy() { return "bytes: 1500000, or 1500K, 1.5M, 2G"; }

std::string model_field(std::size_t index) { return "models[" + std::to_string(index) + "]"; }

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
  if (spec.dtype == model::InputDtype::kUint8) {
    // Levels that were scaled or centred are no bytes any more: rounding them would feed something nobody asked for.
    const std::string rule = " is given with the dtype uint8, which takes the pixels as they are";
    if (spec.scale != 1) return std::pair("scale", "a scale" + rule);
    if (spec.mean != model::InputSpec{}.mean) return std::pair("mean", "a mean" + rule);
    if (spec.std != model::InputSpec{}.std) return std::pair("std", "a deviation" + rule);
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
    complain("frames.holdout", "the value is " + shortest(settings.holdout) + ", not between 0 and 1",
             "for example 0.3: the last 30 % judge");
  }
  check_goals(settings, complain);
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
  if (!parse_device(settings.device)) {
    complain("device", no_device(settings.device), device_remedy());
  }
  if (settings.memory_limit && *settings.memory_limit < 1) {
    complain("memory_limit", "the value is " + std::to_string(*settings.memory_limit) + ", not above 0", size_remedy());
  }
}

void check_to_capture(const Settings& settings) {
  if (settings.models.empty())
    throw Error(ErrorKind::kUsage, "no model is given", "", "the path of a TorchScript file");
  check_values(settings, [](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw Error(ErrorKind::kUsage, problem, flag_of(field), remedy);
  });
  check_video(settings);
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
  check_names(settings);
  check_video(settings);
}

}  // namespace repsim::config
