#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "repsim/base/progress.hpp"

/// The command line: parsing and calling, nothing else.
namespace repsim::cli {

/// What a subcommand does once its flags are read. Prints results to stdout; throws Error for every exit code but 0.
using Job = std::function<void(Progress&)>;

/// How long a run that is asked to stop may take to its next frame: less than what stops containers waits.
inline constexpr std::chrono::seconds kGrace{5};
/// The same for commands that wait for processes of theirs, each with its own grace.
inline constexpr std::chrono::seconds kGraceWithChildren{9};

/// One subcommand. `setup` adds its flags to `app` and returns the job, which reads them when it runs.
struct Command {
  const char* name;
  const char* help;  ///< one line
  Job (*setup)(CLI::App& app);
  std::chrono::seconds grace = kGrace;
};

Job setup_plan(CLI::App& app);
Job setup_inspect(CLI::App& app);
Job setup_check(CLI::App& app);
Job setup_diff(CLI::App& app);
Job setup_sweep(CLI::App& app);
Job setup_run(CLI::App& app);
Job setup_verify(CLI::App& app);
Job setup_measure(CLI::App& app);
Job setup_bundle(CLI::App& app);
Job setup_validate(CLI::App& app);
Job setup_capture(CLI::App& app);
Job setup_similarity(CLI::App& app);
Job setup_cache(CLI::App& app);
Job setup_config(CLI::App& app);
Job setup_doctor(CLI::App& app);
Job setup_completion(CLI::App& app);

/// All subcommands, in the order of the help. Help and 'did you mean' read this table.
inline constexpr std::array kCommands{
    Command{"plan", "Find what models can share on a video; write the plan and the merged bundle", setup_plan},
    Command{"inspect", "Show a model's layers, sizes, inputs and outputs", setup_inspect},
    Command{"capture", "Keep one model's signatures, in the cache or as a file", setup_capture},
    Command{"similarity", "Similarity of all layers of models with each other: JSON, NumPy, pictures",
            setup_similarity},
    Command{"bundle", "Write the bundle of a plan again, also of one changed by hand, without a search", setup_bundle},
    Command{"sweep", "Plan many sets of models on many videos and settings: which fit which machine", setup_sweep,
            kGraceWithChildren},
    Command{"run", "Run a bundle on a video: detections as JSON lines, as a drawn video", setup_run},
    Command{"verify", "Check a bundle again: fidelity, accuracy, also on other video", setup_verify},
    Command{"measure", "What the bundle costs where it runs, beside the originals: memory, time, loading",
            setup_measure, kGraceWithChildren},
    Command{"check", "For CI: is a plan still what its models, video and settings give?", setup_check},
    Command{"diff", "Compare two plans", setup_diff},
    Command{"validate", "Study how well similarity and other guides foretell what merged models keep", setup_validate},
    Command{"config", "Write a first config for models and a video, with what can be told of them", setup_config},
    Command{"cache", "List or clear what is kept of earlier runs", setup_cache},
    Command{"doctor", "Is this machine ready? Libraries, processor, codecs, cache, space, and what to do",
            setup_doctor},
    Command{"completion", "Print what completes repsim's command line in bash, zsh or fish", setup_completion},
};

/// Marks a process that `repsim measure` starts.
inline constexpr const char* kMeasureJobFlag = "--measured-job";
/// Whether this command line is such a process: it is to behave as any program that runs TorchScript files.
[[nodiscard]] bool is_measured_process(int argc, const char* const* argv);

/// Writes a result to stdout, as whole lines. @throws Error{kInput} when stdout cannot take it (full disk, closed pipe)
void print_result(const std::string& text);

}  // namespace repsim::cli
