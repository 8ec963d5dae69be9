#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/video_source.hpp"

/// Sweeps: plans of many model sets, on several videos, over a grid of settings. This header decides: which tasks there
/// are, in what order, which of them are finished. sweep_engines.hpp runs them. No torch.
namespace repsim::sweep {

// ---- What is asked for ----

/// What one plan is made on: a video, or several together.
struct Video {
  std::string name;
  std::vector<video::VideoSource> sources;  ///< as Settings::videos
  std::optional<std::string> truth = {};    ///< ground truth of a single video
};

/// A setting that takes several values.
struct Axis {
  std::string key;  ///< as in a config: "merge.min_fidelity"
  std::vector<Json> values;
};

/// A machine that models are to fit on.
struct Box {
  std::string name;
  std::int64_t bytes = 0;  ///< for parameters and activations together
};

/// Models that are planned together: indices of Sweep::models, each once, two or more.
using ModelSet = std::vector<std::size_t>;

/// The content of a sweep's file. Paths can be opened from here.
struct Sweep {
  std::string file;            ///< names it in errors
  std::filesystem::path base;  ///< anchors relative paths in `settings`
  std::vector<model::ModelSpec> models;
  std::vector<Video> videos;
  std::vector<ModelSet> sets;
  Json settings = Json::object();  ///< as in a config, without models and video
  std::vector<Axis> grid;
  std::vector<Box> boxes;
};

/// Reads a sweep's file (configs/sweep.schema.json). Looks for the files that patterns name.
/// @throws Error{kInput} with file, field and remedy; unknown keys and names with 'did you mean'
[[nodiscard]] Sweep read_sweep(const std::filesystem::path& path);
/// @param base  anchors relative paths
[[nodiscard]] Sweep sweep_from_json(const Json& json, const std::string& file, const std::filesystem::path& base);

/// The sets that the member `sets` of a sweep asks for: "all-pairs", {"k_subsets": k}, {"fixed": names}, a list of
/// names, or a list of these. Sets of the same models count once, the first stays.
/// @param names  of the models
/// @throws Error{kInput}: unknown names, sets of less than two models, more than 100000 sets
[[nodiscard]] std::vector<ModelSet> expand_sets(const Json& sets, const std::vector<std::string>& names,
                                                const std::string& file);

/// Every combination of values, the first axis slowest. One, the empty one, without axes.
[[nodiscard]] std::vector<std::vector<Json>> combinations(const std::vector<Axis>& grid);

// ---- Tasks ----

enum class TaskKind { kCapture, kPlan };

/// One command line of repsim with a folder of its own.
struct Task {
  TaskKind kind = TaskKind::kPlan;
  std::string folder;              ///< below the sweep's folder: "plans/a+b/default"
  std::string key;                 ///< SHA-256 of all that decides the result
  std::vector<std::size_t> after;  ///< tasks (indices) that have to end before this one begins
  std::string set, video;          ///< names
  std::vector<std::string> models;
  std::vector<std::pair<std::string, std::string>> values;  ///< of the grid: setting and value
  // What running it needs; tasks.json does not hold these.
  std::vector<std::string> arguments;  ///< of repsim, without --config, --out and the resources
  Json config;                         ///< of a plan
};

/// SHA-256 of the files that a sweep names, by path: models, videos, ground truth, libraries.
using Hashes = std::map<std::string, std::string>;
/// @throws Error{kInput} naming what cannot be read; Error{kInterrupted}
[[nodiscard]] Hashes hashes_of(const Sweep& sweep, Progress& progress);

/// All tasks: captures, once per model, video and settings that decide signatures, then the plans.
/// @param with_captures  false: there is no cache, every plan captures for itself
/// @throws Error{kInput} when a set's settings do not hold together
[[nodiscard]] std::vector<Task> tasks_of(const Sweep& sweep, const Hashes& hashes, bool with_captures);

/// The path from the root, not shortened: folders may be links. @throws Error{kInput} where the working directory is
/// gone
[[nodiscard]] std::filesystem::path absolute_path(const std::filesystem::path& path);

/// A name that every file system takes and that needs no quotes: other bytes become "_", with a part of the text's
/// SHA-256 behind.
[[nodiscard]] std::string folder_name(const std::string& text);

/// What tasks share of the machine, and where signatures are.
struct Resources {
  int threads = 1;                           ///< of one task
  std::optional<std::int64_t> memory_limit;  ///< bytes of one task
  std::string cache;                         ///< folder; empty: none
};

/// A capture's file of signatures, in its folder. Likenesses of models come from there.
inline constexpr const char* kSignatures = "model.signatures";

/// The command line of a task, without the program's name.
/// @param directory  of the sweep, absolute
[[nodiscard]] std::vector<std::string> command_of(const Task& task, const std::filesystem::path& directory,
                                                  const Resources& resources);

// ---- What is there already ----

enum class TaskState {
  kPending,
  kFinished,
  kFailed,
  kLeftOut,  ///< not of this run: status_of() never says this
};
[[nodiscard]] const char* to_string(TaskState state);  ///< "pending", "finished", "failed", "left out"

struct TaskStatus {
  TaskState state = TaskState::kPending;
  std::optional<int> exit_code;   ///< of a task that ended; 128 + N where signal N ended it
  std::optional<double> seconds;  ///< that it took
};

/// A task is finished if its result is there (plan.json; of a capture a recorded exit code of 0) and the recorded key
/// is the task's key. It has failed if it ended without a result.
/// @param directory  of the sweep
[[nodiscard]] TaskStatus status_of(const std::filesystem::path& directory, const Task& task);
[[nodiscard]] std::vector<TaskStatus> statuses_of(const std::filesystem::path& directory,
                                                  const std::vector<Task>& tasks);

/// Writes what running a task needs (config.json, task.json) and removes the result of a task with another key.
/// A killed process leaves a task that is not finished.
void prepare(const std::filesystem::path& directory, const Task& task, const Resources& resources);
/// Makes a failed task a pending one.
void forget_failure(const std::filesystem::path& directory, const Task& task);

/// What task.json in a task's folder says.
struct PreparedTask {
  std::string key;
  std::vector<std::string> arguments;
};
/// @throws Error{kInput} when there is none
[[nodiscard]] PreparedTask read_prepared(const std::filesystem::path& folder);
/// Records how a task ended, in outcome.json.
/// @param exit_code,seconds  absent: not known, since the sweep had been killed before the task ended
void record_outcome(const std::filesystem::path& folder, const std::string& key, std::optional<int> exit_code,
                    std::optional<double> seconds);
/// Whether an exit code is a result: done, or nothing to share.
[[nodiscard]] bool is_result(int exit_code);

/// Writes tasks.json. With it, the folder of the sweep alone tells what the sweep is.
void write_tasks(const std::filesystem::path& directory, const std::vector<Task>& tasks, const std::vector<Box>& boxes);
struct TaskList {
  std::vector<Task> tasks;
  std::vector<Box> boxes;
};
/// @throws Error{kInput} when there is none, or it is damaged
[[nodiscard]] TaskList read_tasks(const std::filesystem::path& directory);

/// Hours that the pending tasks will take with so many at once, as long on average as those of the same kind that are
/// finished. Nothing where there is no such task.
[[nodiscard]] std::optional<double> estimated_hours(const std::vector<Task>& tasks,
                                                    const std::vector<TaskStatus>& statuses, std::int64_t jobs);

// ---- The order ----

/// Which task comes next. A task is ready once all tasks before it have ended, however they ended.
class Schedule {
 public:
  /// @param statuses  pending tasks are to be run
  Schedule(const std::vector<Task>& tasks, const std::vector<TaskStatus>& statuses);

  /// The next task that is ready, in the order of the list. Nothing while all that is left waits.
  [[nodiscard]] std::optional<std::size_t> next();
  /// The task has ended.
  void settle(std::size_t task);
  /// The task cannot run now (another process has it): it comes again after all others that are ready.
  void postpone(std::size_t task) { ready_.push_back(task); }
  /// Whether every task has ended.
  [[nodiscard]] bool is_done() const { return left_ == 0; }
  [[nodiscard]] std::size_t left() const { return left_; }

 private:
  std::deque<std::size_t> ready_;
  std::vector<std::size_t> waits_for_;               ///< per task: how many tasks before it have not ended
  std::vector<std::vector<std::size_t>> followers_;  ///< per task
  std::size_t left_ = 0;
};

}  // namespace repsim::sweep
