#include "folders.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/sweep.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSchemaVersion = 1;
constexpr int kDone = 0, kNothingToShare = 4;  // exit codes of repsim: README.md, "Exit codes"

/// A small file of a task. Nothing where there is none; one that somebody damaged counts as none, with a warning.
std::optional<Json> read_if_there(const fs::path& path) {
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) return std::nullopt;
  try {
    return read_json(path);
  } catch (const Error& error) {
    log::warn(error.where() + ": " + error.problem() + "; the task counts as not done");
    return std::nullopt;
  }
}

bool has_key(const std::optional<Json>& json, const std::string& key) {
  return json && json->is_object() && json->contains("key") && (*json)["key"] == key;
}

/// Seconds of a plan whose end nobody recorded: the sweep had been killed before.
std::optional<double> seconds_in_run_json(const fs::path& path) {
  const std::optional<Json> run = read_if_there(path);
  if (!run || !run->is_object() || !run->contains("seconds") || !(*run)["seconds"].is_object()) return std::nullopt;
  double sum = 0;
  for (const auto& [stage, seconds] : (*run)["seconds"].items()) sum += seconds.is_number() ? seconds.get<double>() : 0;
  return sum;
}

Json values_json(const Task& task) {
  Json values = Json::object();
  for (const auto& [key, value] : task.values) values[key] = value;
  return values;
}

Json task_json(const Task& task, const std::vector<Task>& tasks) {
  Json after = Json::array();
  for (const std::size_t index : task.after) after.push_back(tasks[index].folder);
  return {{"kind", task.kind == TaskKind::kCapture ? "capture" : "plan"},
          {"folder", task.folder},
          {"key", task.key},
          {"after", after},
          {"set", task.set},
          {"video", task.video},
          {"models", task.models},
          {"values", values_json(task)}};
}

Task read_task(const Json& json, const std::string& file, const std::string& field,
               const std::map<std::string, std::size_t>& known) {
  JsonReader reader(json, file, field);
  Task task;
  std::string kind;
  std::vector<std::string> after;
  reader.optional("kind", kind, {"capture", "plan"});
  task.kind = kind == "capture" ? TaskKind::kCapture : TaskKind::kPlan;
  reader.required("folder", task.folder);
  reader.required("key", task.key);
  reader.optional("after", after);
  reader.required("set", task.set);
  reader.required("video", task.video);
  reader.optional("models", task.models);
  if (const Json* values = reader.child("values"); values != nullptr && values->is_object()) {
    JsonReader inner(*values, file, reader.path_of("values"));
    for (const auto& [key, ignored] : values->items()) {
      task.values.emplace_back(key, "");
      inner.required(key, task.values.back().second);
    }
  }
  reader.finish();
  for (const std::string& folder : after) {
    const auto found = known.find(folder);
    if (found == known.end()) reader.fail("after", "no earlier task has the folder '" + folder + "'");
    task.after.push_back(found->second);
  }
  return task;
}

}  // namespace

const char* to_string(TaskState state) {
  switch (state) {
    case TaskState::kFinished:
      return "finished";
    case TaskState::kFailed:
      return "failed";
    case TaskState::kLeftOut:
      return "left out";
    case TaskState::kPending:
      break;
  }
  return "pending";
}

bool is_result(int exit_code) { return exit_code == kDone || exit_code == kNothingToShare; }

TaskStatus status_of(const fs::path& directory, const Task& task) {
  const fs::path folder = directory / task.folder;
  TaskStatus status;
  if (!has_key(read_if_there(folder / "task.json"), task.key)) return status;
  const std::optional<Json> outcome = read_if_there(folder / "outcome.json");
  if (has_key(outcome, task.key)) {
    if (const Json code = outcome->value("exit_code", Json()); code.is_number_integer()) {
      status.exit_code = code.get<int>();
      status.state = is_result(*status.exit_code) ? TaskState::kFinished : TaskState::kFailed;
    }
    if (const Json seconds = outcome->value("seconds", Json()); seconds.is_number())
      status.seconds = seconds.get<double>();
  }
  if (task.kind == TaskKind::kCapture) return status;
  std::error_code failed;
  const bool has_plan = fs::is_regular_file(folder / "plan" / "plan.json", failed);
  if (has_plan && status.state != TaskState::kFailed) {
    status.state = TaskState::kFinished;
    if (!status.seconds) status.seconds = seconds_in_run_json(folder / "plan" / "run.json");
  } else if (status.state == TaskState::kFinished) {
    status = {};  // somebody removed the plan
  }
  return status;
}

std::vector<TaskStatus> statuses_of(const fs::path& directory, const std::vector<Task>& tasks) {
  std::vector<TaskStatus> statuses;
  statuses.reserve(tasks.size());
  for (const Task& task : tasks) statuses.push_back(status_of(directory, task));
  return statuses;
}

void prepare(const fs::path& directory, const Task& task, const Resources& resources) {
  const fs::path folder = directory / task.folder;
  make_folder(folder);
  remove_path(folder / "outcome.json");
  if (!has_key(read_if_there(folder / "task.json"), task.key)) {
    remove_path(folder / "task.json");
    remove_path(folder / "plan");
  }
  if (task.kind == TaskKind::kPlan) write_file_atomically(folder / "config.json", to_text(task.config));
  const Json json{
      {"schema_version", kSchemaVersion}, {"key", task.key}, {"arguments", command_of(task, directory, resources)}};
  write_file_atomically(folder / "task.json", to_text(json));
}

void forget_failure(const fs::path& directory, const Task& task) {
  remove_path(directory / task.folder / "outcome.json");
}

PreparedTask read_prepared(const fs::path& folder) {
  const fs::path path = folder / "task.json";
  const Json json = read_json(path);
  JsonReader reader(json, path.string());
  PreparedTask task;
  std::int64_t version = 0;
  reader.required("schema_version", version);
  reader.required("key", task.key);
  reader.optional("arguments", task.arguments);
  reader.finish();
  if (version != kSchemaVersion) reader.fail("schema_version", "it is not 1", "the repsim that wrote it");
  if (task.arguments.empty()) reader.fail("arguments", "there is none", "repsim sweep SWEEP.json --out DIR");
  return task;
}

void record_outcome(const fs::path& folder, const std::string& key, std::optional<int> exit_code,
                    std::optional<double> seconds) {
  const Json json{{"schema_version", kSchemaVersion},
                  {"key", key},
                  {"exit_code", exit_code ? Json(*exit_code) : Json()},
                  {"seconds", seconds ? Json(*seconds) : Json()}};
  write_file_atomically(folder / "outcome.json", to_text(json));
}

void write_tasks(const fs::path& directory, const std::vector<Task>& tasks, const std::vector<Box>& boxes) {
  Json json{{"schema_version", kSchemaVersion}, {"boxes", Json::object()}, {"tasks", Json::array()}};
  for (const Box& box : boxes) json["boxes"][box.name] = box.bytes;
  for (const Task& task : tasks) json["tasks"].push_back(task_json(task, tasks));
  make_folder(directory);
  write_file_atomically(directory / "tasks.json", to_text(json));
}

TaskList read_tasks(const fs::path& directory) {
  const std::string file = (directory / "tasks.json").string();
  const Json json = read_json(file);
  JsonReader reader(json, file);
  TaskList list;
  std::int64_t version = 0;
  reader.required("schema_version", version);
  if (version != kSchemaVersion) reader.fail("schema_version", "it is not 1", "the repsim that wrote it");
  if (const Json* boxes = reader.child("boxes")) {
    JsonReader inner(*boxes, file, "boxes");
    for (const auto& [name, ignored] : boxes->items())
      inner.required(name, list.boxes.emplace_back(Box{name, 0}).bytes);
  }
  const Json* tasks = reader.child("tasks");
  if (tasks == nullptr || !tasks->is_array())
    reader.fail("tasks", "this is no list", "repsim sweep SWEEP.json --out DIR");
  reader.finish();
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    list.tasks.push_back(read_task((*tasks)[i], file, "tasks[" + std::to_string(i) + "]", known));
    known.emplace(list.tasks.back().folder, i);
  }
  return list;
}

std::optional<double> estimated_hours(const std::vector<Task>& tasks, const std::vector<TaskStatus>& statuses,
                                      std::int64_t jobs) {
  constexpr double kSecondsPerHour = 3600;
  double seconds = 0;
  for (const TaskKind kind : {TaskKind::kCapture, TaskKind::kPlan}) {
    double known = 0, finished = 0, pending = 0;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (tasks[i].kind != kind) continue;
      if (statuses[i].state == TaskState::kPending) ++pending;
      if (statuses[i].state != TaskState::kFinished || !statuses[i].seconds) continue;
      known += *statuses[i].seconds;
      ++finished;
    }
    if (pending > 0 && finished == 0) return std::nullopt;
    if (pending > 0) seconds += pending * known / finished;
  }
  return seconds / static_cast<double>(jobs) / kSecondsPerHour;
}

}  // namespace repsim::sweep
