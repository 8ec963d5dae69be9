#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "repsim/base/words.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/objective.hpp"
#include "repsim/video_source.hpp"

/// What a job may be told, and the table of it: a member of `Settings` and a row of `kSettings` are all that a new
/// setting needs beside the code that uses it. The config reader, --set, the checks, the JSON of a plan, the command
/// line, the schema and the table of docs/config.md are made from the rows. No torch.
namespace repsim::config {

/// A way to share: `receiver` takes layers of `donor`, both names of models.
struct Direction {
  std::string receiver, donor;
};

/// What may stand between a donor's layer and the receiver's.
enum class Adapters {
  kNone,    ///< representations are at most resized
  kLinear,  ///< 1x1 convolutions too
};
inline constexpr auto kAdaptersWords = std::to_array<Word<Adapters>>({
    {Adapters::kNone, "none"},
    {Adapters::kLinear, "linear"},
});
[[nodiscard]] inline const char* to_string(Adapters value) { return word_of(kAdaptersWords, value); }

/// What models share.
enum class Sharing {
  kRepresentations,  ///< layers take the place of others
  kWeights,          ///< layers run with another model's weights and differences of low rank
  kBoth,             ///< each model that takes takes one, the other, or both
};
inline constexpr auto kSharingWords = std::to_array<Word<Sharing>>({
    {Sharing::kRepresentations, "representations"},
    {Sharing::kWeights, "weights"},
    {Sharing::kBoth, "both"},
});
[[nodiscard]] inline const char* to_string(Sharing value) { return word_of(kSharingWords, value); }

/// A device on which LibTorch computes. Whether the machine has it is another question.
struct Device {
  enum class Kind { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  std::optional<int> number;  ///< of the GPU, 0 to 64; absent: the first
};

/// All that decides a plan. The initialisers here are the only place of the defaults.
struct Settings {
  std::vector<model::ModelSpec> models;    ///< in plan order; two or more for plan
  std::vector<std::string> input_sources;  ///< per model where its input comes from: "flags", "config", "": its archive
  std::vector<std::string> libraries;      ///< paths, loaded in this order
  std::vector<video::VideoSource> videos;  ///< one, or several that are taken together; names are set for several
  /// Models (by name) that run on videos of their own; the others run on `videos`. See streams_of().
  std::map<std::string, std::vector<video::VideoSource>> videos_of;
  std::int64_t frames = 256;
  double holdout = 0.3;
  double min_fidelity = 0.9;
  std::map<std::string, double> min_fidelity_of;  ///< models (by name) that keep another one
  planner::Objective objective = planner::Objective::kBytes;
  std::optional<std::int64_t> budget;      ///< bytes
  std::optional<std::int64_t> max_shares;  ///< absent: any number
  std::vector<std::string> donors;         ///< globs; empty: all
  std::vector<std::string> keep;
  Sharing sharing = Sharing::kBoth;
  Adapters adapters = Adapters::kLinear;
  bool refit = true;
  std::int64_t max_rank = 8;
  std::int64_t max_side_inputs = 8;
  std::vector<Direction> share;      ///< empty: all ordered pairs
  std::vector<std::string> layers;   ///< globs; empty: all
  std::vector<std::string> exclude;  ///< globs
  /// Candidates that the frames that judge refuse do not count, as long as they are no more.
  std::int64_t max_trials = 24;
  double confidence = 0;            ///< 0: the fidelity itself is judged
  std::int64_t min_evidence = 30;   ///< own detections of a model that takes layers, on selection and on test frames
  std::int64_t scan_frames = 512;   ///< further frames looked at per model and part of the video; 0: none
  std::int64_t max_judgements = 3;  ///< plans that are measured on the test frames
  std::vector<std::string> accept_unmeasured;  ///< models that may take layers with less evidence
  double max_minutes = 0;                      ///< of the whole run; 0: no limit
  std::int64_t report_frames = 4;              ///< pictures per model in report.html
  std::optional<std::string> truth;            ///< path; of one video: several have theirs in `videos`
  int threads = 0;                             ///< 0: as many as the machine has cores
  Device device;
  std::optional<std::int64_t> memory_limit;  ///< bytes; decides nothing but how long a run takes
  std::uint64_t seed = 0;
  /// Folder in which signatures are kept for later runs; empty: they are not kept. Decides nothing but how long a run
  /// takes. A flag of the command line only.
  std::string cache;

  /// What this model keeps at least.
  [[nodiscard]] double min_fidelity_for(const std::string& model) const {
    const auto found = min_fidelity_of.find(model);
    return found == min_fidelity_of.end() ? min_fidelity : found->second;
  }
};

// Kinds of values. What a kind means for reading, judging and writing stands in src/config/setting.cpp.

inline constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max();

/// A whole number. Nothing from get(): the setting is absent.
struct WholeNumber {
  std::optional<std::int64_t> (*get)(const Settings&);
  void (*set)(Settings&, std::int64_t);
  std::int64_t least = 0, most = kNoLimit;
  bool or_zero = false;    ///< 0 is a value, too
  const char* range = "";  ///< what complaints say of the limits; empty: "0 to 64"
  /// What the flag takes; a text that is none, and one below `least`, "is not a number of threads".
  const char* noun = "";
};

/// A whole number of bytes, 1 or more, or absent. In text also 1500K, 1.5M, 2G.
struct Bytes {
  std::optional<std::int64_t> Settings::* member;
  const char* examples;  ///< what may follow the flag
};

/// Any finite number within limits.
struct Number {
  double Settings::* member;
  double least, most;
  bool above_least, below_most;  ///< the limits themselves are out
  const char* range;             ///< what complaints say of the limits
  const char* remedy = "";
};

/// true or false in JSON, on or off as a flag.
struct OnOff {
  bool Settings::* member;
};

/// One word of an enumeration.
struct OneWord {
  std::string (*get)(const Settings&);
  bool (*set)(Settings&, std::string_view);  ///< false: there is no such word
  std::vector<std::string> (*words)();
};

/// A path; in a config relative to its file. "": absent.
struct Path {
  std::string (*get)(const Settings&);
  void (*set)(Settings&, std::string);
};

/// A list of texts, whose flag may be given several times.
struct Texts {
  enum class Of { kPaths, kModels, kModelPatterns, kLayerPatterns };
  std::vector<std::string> Settings::* member;
  Of of;
};

struct OneVideo {};       ///< Settings::videos where it holds one, as a path; its flag may be given several times
struct SeveralVideos {};  ///< Settings::videos where it holds several, as a list
struct MinFidelities {};  ///< Settings::min_fidelity and min_fidelity_of
struct Directions {};     ///< Settings::share
struct DeviceName {};     ///< Settings::device

using SettingKind = std::variant<WholeNumber, Bytes, Number, OnOff, OneWord, Path, Texts, OneVideo, SeveralVideos,
                                 MinFidelities, Directions, DeviceName>;

/// Makes the accessors of a member.
template <auto kMember>
constexpr WholeNumber whole_number(std::int64_t least, std::int64_t most = kNoLimit, const char* range = "",
                                   const char* noun = "") {
  using Member = std::remove_cvref_t<decltype(std::declval<Settings>().*kMember)>;
  WholeNumber kind{};
  kind.get = [](const Settings& settings) -> std::optional<std::int64_t> {
    if constexpr (std::is_integral_v<Member>)
      return static_cast<std::int64_t>(settings.*kMember);
    else
      return settings.*kMember;
  };
  kind.set = [](Settings& settings, std::int64_t value) {
    if constexpr (std::is_integral_v<Member>)
      settings.*kMember = static_cast<Member>(value);
    else
      settings.*kMember = value;
  };
  kind.least = least;
  kind.most = most;
  kind.range = range;
  kind.noun = noun;
  return kind;
}

constexpr WholeNumber zero_or(WholeNumber kind) {
  kind.or_zero = true;
  return kind;
}

template <auto kMember, const auto& kWords>
constexpr OneWord one_word() {
  return {[](const Settings& settings) -> std::string { return word_of(kWords, settings.*kMember); },
          [](Settings& settings, std::string_view word) {
            const auto value = value_of(kWords, word);
            if (value) settings.*kMember = *value;
            return value.has_value();
          },
          [] { return all_words(kWords); }};
}

template <auto kMember>
constexpr Path path() {
  using Member = std::remove_cvref_t<decltype(std::declval<Settings>().*kMember)>;
  return {[](const Settings& settings) -> std::string {
            if constexpr (std::is_same_v<Member, std::string>)
              return settings.*kMember;
            else
              return (settings.*kMember).value_or("");
          },
          [](Settings& settings, std::string value) { settings.*kMember = std::move(value); }};
}

/// A row of the table.
struct Setting {
  std::string_view key;   ///< in the config: "merge.max_rank"
  std::string_view flag;  ///< of commands that have one: "--max-rank"
  /// What stands for the value in --help: "N"; empty: the words of the kind ("on|off").
  std::string_view value_name;
  bool decides;      ///< whether a plan depends on it beside models and video: plan.json records it
  SettingKind kind;  ///< type, range or words, member
  /// One line for --help, where the command has no better one; "{}" stands for the default.
  std::string_view help;
  /// What docs/config.md and the schema say, as Markdown; links are relative to docs/.
  std::string_view meaning;
};

/// All settings but models, in the order of configs, plan.json and docs/config.md.
inline constexpr auto kSettings = std::to_array<Setting>({
    {"libraries", "--library", "FILE", false, Texts{&Settings::libraries, Texts::Of::kPaths},
     "A library of operators that models need beside Torch, libNAME.so (torchvision's is found where it is installed "
     "beside Torch)",
     "libraries of operators that models need beside Torch, libNAME.so: "
     "[outputs.md](outputs.md#operators-that-torch-does-not-have)"},
    {"video", "--video", "FILE", false, OneVideo{},
     "The video that decides what is shared: a file, a folder of pictures, img_%03d.png, or a pattern such as "
     "'north_*.mp4'. Given several times: all of these videos together",
     "the unlabelled video on which repsim fits and measures: a file, a folder of pictures, or a numbered sequence of "
     "them such as `shot/img_%03d.png` ([video.md](video.md)). On the command line it may be given several times, or "
     "as a pattern: see `videos`"},
    {"videos", "--video", "FILE", false, SeveralVideos{}, "Several videos that decide together",
     "several videos in place of `video`: a list of paths and patterns (`\"north_*.mp4\"`), or of objects such as "
     "`{\"path\": \"street.mp4\", \"name\": \"street\", \"weight\": 2, \"truth\": \"gt.txt\"}`. Only `path` is "
     "required; a list of one is the same as `video` ([video.md](video.md#several-videos))"},
    {"frames.count", "--frames", "N", true, whole_number<&Settings::frames>(1, 1'000'000),
     "Frames sampled evenly over the video (default {})", "frames sampled evenly over the whole video"},
    {"frames.holdout", "--holdout", "F", true,
     Number{&Settings::holdout, 0, 1, true, true, "between 0 and 1", "for example 0.3: the last 30 % judge"},
     "Last part of these frames: one half chooses, one judges, the rest calibrates (default {})",
     "the part of the frames, from the end, that fits nothing. Its first half are the selection frames, its second "
     "half the test frames; with fewer than 16, all of them are both. At least 16 other frames must be left to "
     "calibrate"},
    {"frames.scan", "--scan-frames", "N", true, whole_number<&Settings::scan_frames>(0, 1'000'000),
     "Further frames of each part of the video that repsim looks at where a model finds little on the sampled ones "
     "(default {})",
     "how many further frames of each part of the video repsim looks at, per model, if the model finds less than "
     "`merge.min_evidence` objects on the sampled frames; 0: none ([planner.md](internals/planner.md#evidence))"},
    {"merge.min_fidelity", "--min-fidelity", "[NAME=]F", true, MinFidelities{},
     "Every model, or this one, keeps at least this agreement with its original, 0 to 1 (default {})",
     "the target: every merged model keeps at least this agreement with its original. `{\"default\": 0.9, \"night\": "
     "0.95}` gives models values of their own (on the command line `NAME:F` works as well)"},
    {"merge.objective", "--objective", "", true, one_word<&Settings::objective, planner::kObjectiveWords>(),
     "What to save most of: bytes of parameters, FLOPs per frame, estimated latency, or parameters plus the peak of "
     "activations (default {})",
     "what to save most of: `bytes` of parameters, `flops` per frame, `latency` (estimated) or `peak-memory` "
     "(parameters plus the peak of activations; "
     "[planner.md](internals/planner.md#latency-and-peak-memory-as-objectives))"},
    {"merge.budget", "--budget", "BYTES", true, Bytes{&Settings::budget, "1500000, or 1500K, 1.5M, 2G"},
     "The best worst fidelity whose parameters fit into so much (500K, 1.5M, 2G), instead of the largest saving",
     "bytes of parameters that the bundle may hold (`1500000`, `\"1.5M\"`; K, M, G are powers of 1000). repsim then "
     "looks for the plan that fits and whose worst model keeps most, instead of the largest saving. Exit code 4 if "
     "nothing that it finds fits"},
    {"merge.max_shares", "--max-shares", "N", true, whole_number<&Settings::max_shares>(0, 1'000'000),
     "Models that may take layers (default: any number)", "how many models may take layers; absent: any number"},
    {"merge.donors", "--donors", "GLOB", true, Texts{&Settings::donors, Texts::Of::kModelPatterns},
     "Only models with such names give layers (default: all)",
     "patterns of the names of models that may give layers; empty: all"},
    {"merge.keep", "--keep", "MODEL", true, Texts{&Settings::keep, Texts::Of::kModels},
     "This model is never changed; it may give layers", "models that repsim never changes; they may give layers"},
    {"merge.sharing", "--sharing", "", true, one_word<&Settings::sharing, kSharingWords>(),
     "What models may share: representations of layers, weights with small differences, or both (default {})",
     "`representations`: a donor's layers take the place of a receiver's; `weights`: a receiver's layers run with a "
     "donor's weights and differences of low rank, which saves bytes alone; `both`: either, or both in one share, "
     "whichever saves more ([fitting.md](internals/fitting.md#shared-weights))"},
    {"merge.adapters", "--adapters", "", true, one_word<&Settings::adapters, kAdaptersWords>(),
     "May 1x1 convolutions adapt a donor's representation? (default {})",
     "`none`: representations are at most resized; `linear`: 1x1 convolutions too"},
    {"merge.refit", "--refit", "", true, OnOff{&Settings::refit},
     "May the first convolutions after a cut be solved again? (default {})",
     "may repsim solve the first convolutions behind a cut again?"},
    {"merge.max_rank", "--max-rank", "N", true, zero_or(whole_number<&Settings::max_rank>(4, 64)),
     "Largest rank of the 3x3 corrections tried beside fitted maps where a cut misses its fidelity without; 0: none "
     "(default {})",
     "largest rank of the corrections that repsim tries beside fitted maps if a cut misses its target without them; "
     "0: none"},
    {"merge.max_side_inputs", "--max-side-inputs", "N", true, whole_number<&Settings::max_side_inputs>(0, 16),
     "More of the donors' layers that these corrections may read where a cut barely misses its fidelity; 0: none "
     "(default {})",
     "how many auxiliary inputs these corrections may read if a cut barely misses its target with them; 0: none "
     "([fitting.md](internals/fitting.md#auxiliary-inputs))"},
    {"merge.share", "--share", "'R<-D'", true, Directions{},
     "Only this direction: receiver R takes from donor D (default: all pairs are tried)",
     "only these directions: receiver `R` takes from donor `D` (from several, if several are given for it); empty: "
     "all ordered pairs"},
    {"merge.layers", "--layers", "GLOB", true, Texts{&Settings::layers, Texts::Of::kLayerPatterns},
     "Only layers with such names are replaced (default: all)",
     "patterns of the names of layers that may be replaced; empty: all"},
    {"merge.exclude", "--exclude", "GLOB", true, Texts{&Settings::exclude, Texts::Of::kLayerPatterns},
     "Layers with such names are neither given nor replaced",
     "patterns of the names of layers that are neither given nor replaced"},
    {"merge.max_trials", "--max-trials", "N", true, whole_number<&Settings::max_trials>(1),
     "Candidates measured per ordered pair of models, and per model that mixes donors (default {})",
     "how many candidates repsim measures per ordered pair of models, and as many among those of the pair that share "
     "weights beside layers, per model among those that mix donors, and per model among those that share weights "
     "alone"},
    {"merge.confidence", "--confidence", "C", true,
     Number{&Settings::confidence, 0, 1, false, true, "0 (off) to below 1", "for example 0.9"},
     "The lower end of the central C bootstrap interval has to reach the fidelity asked for, C in (0, 1) (default: the "
     "value itself, and nearly the lower end of the 80 % interval)",
     "above 0: a share must reach `min_fidelity` with the lower end of this central bootstrap interval, in place of "
     "[the rule](internals/planner.md#the-rule)"},
    {"merge.min_evidence", "--min-evidence", "N", true, whole_number<&Settings::min_evidence>(1, 1'000'000),
     "Objects that a model must find by itself on the frames that choose, and on those that judge, before it may take "
     "layers; a high --min-fidelity needs more (default {})",
     "how many detections of its own a model needs at least on the selection frames, and on the test frames, before it "
     "may take layers. High targets need more: 37 at 0.9, 66 at 0.95. Models with raw outputs (`tensor`) need none "
     "([planner.md](internals/planner.md#evidence))"},
    {"merge.accept_unmeasured", "--accept-unmeasured", "MODEL", true,
     Texts{&Settings::accept_unmeasured, Texts::Of::kModels},
     "This model may take layers although it finds too little to be judged; the plan says so",
     "models that may take layers with less evidence than `merge.min_evidence`, even with none. The plan, its summary "
     "and its report say so"},
    {"merge.max_judgements", "--max-judgements", "N", true, whole_number<&Settings::max_judgements>(1, 1000),
     "Plans that may be measured on the frames that judge, before the safest one that is known to hold is taken "
     "(default {})",
     "how many plans repsim measures on the test frames. If none of them holds as a whole, it takes the shares that "
     "held. With `merge.sharing` `both`, so many of shares of weights alone, and so many of all"},
    {"merge.max_minutes", "--max-minutes", "F", true,
     Number{&Settings::max_minutes, 0, std::numeric_limits<double>::infinity(), false, true, "0 (no limit) or more"},
     "End the run after about so long: the best that was found by then is the plan (default: no limit; equal runs may "
     "then differ)",
     "bounds the whole run: the search ends early enough for the bundle to be written and checked in this time; 0: no "
     "limit. Equal runs may then differ"},
    {"truth", "--truth", "FILE", false, path<&Settings::truth>(),
     "Ground truth (MOTChallenge text or COCO JSON): report accuracy beside fidelity",
     "ground truth of the video (MOTChallenge text or COCO JSON): repsim then reports accuracy beside fidelity. Of "
     "several videos each has its own, in `videos` "
     "([video.md](video.md#ground-truth))"},
    {"report_frames", "--report-frames", "N", false, whole_number<&Settings::report_frames>(0, 8),
     "Pictures in report.html per model: the frames on which it differs most from its original (default {})",
     "pictures in report.html per model: the test frames on which the merged model differs most from its original"},
    {"threads", "--threads", "N", false,
     whole_number<&Settings::threads>(0, 1024, "0 (as the machine has) to 1024", "a number of threads"),
     "CPU threads (default {}: OMP_NUM_THREADS, else as many as there are cores)",
     "CPU threads; 0: as many as `OMP_NUM_THREADS` says, else as there are cores, or as the quota of a container "
     "grants"},
    {"device", "--device", "DEVICE", false, DeviceName{},
     "What runs the models while layers are captured, fitted and candidates measured: cpu (default), cuda (the first "
     "GPU), cuda:1",
     "where repsim captures layers, fits maps and measures candidates: `cpu`, `cuda` (the first GPU) or `cuda:1`; "
     "see [performance.md](performance.md#on-a-gpu)"},
    {"memory_limit", "--memory-limit", "BYTES", false, Bytes{&Settings::memory_limit, "1500000000, or 800M, 1.5G"},
     "Peak of the process's memory to stay below (800M, 2G), where it can: less is kept and more computed again, with "
     "the same results (default: no limit)",
     "bytes below which the peak of the process's memory, libraries included, is to stay (`2000000000`, `\"2G\"`); "
     "see [performance.md](performance.md#memory). The plan is the same"},
    {"seed", "--seed", "N", true, whole_number<&Settings::seed>(0), "Of the bootstrap intervals (default {})",
     "seed of the bootstrap intervals"},
});

/// The row of a key. A key that is none is a mistake of ours. @throws Error{kInternal}
[[nodiscard]] const Setting& setting(std::string_view key);

}  // namespace repsim::config
