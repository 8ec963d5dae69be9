#include "repsim/sweep_summary.hpp"

#include "model_tree.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/version.hpp"
#include "repsim/report.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

std::string problem_of(const fs::path& folder) {
  std::error_code failed;
  if (!fs::is_regular_file(folder / "log.txt", failed)) return {};
  return report::problem_in_log(read_file(folder / "log.txt"));
}

report::SweepPlan plan_of(const fs::path& directory, const Task& task) {
  const TaskStatus status = status_of(directory, task);
  report::SweepPlan plan;
  plan.set = task.set;
  plan.video = task.video;
  plan.models = task.models;
  plan.values = task.values;
  plan.folder = task.folder;
  plan.state = to_string(status.state);
  plan.exit_code = status.exit_code;
  plan.seconds = status.seconds;
  const fs::path folder = directory / task.folder;
  if (status.state == TaskState::kFailed) plan.problem = problem_of(folder);
  if (status.state != TaskState::kFinished) return plan;
  const std::string file = (folder / "plan" / "plan.json").string();
  plan.figures = report::figures_of(report::plan_from_json(read_json(file), file));
  return plan;
}

}  // namespace

report::SweepSummary summarise(const fs::path& directory, Progress& progress) {
  const TaskList list = read_tasks(directory);
  report::SweepSummary summary;
  summary.tool_version = tool_version();
  for (const Box& box : list.boxes) summary.boxes.push_back({box.name, box.bytes});
  progress.begin("summary", static_cast<std::int64_t>(list.tasks.size()));
  for (const Task& task : list.tasks) {
    if (task.kind == TaskKind::kPlan) {
      summary.plans.push_back(plan_of(directory, task));
    } else if (status_of(directory, task).state == TaskState::kFailed) {
      summary.failed_captures.push_back({task.folder, problem_of(directory / task.folder)});
    }
    progress.step();
  }
  progress.end();
  summary.tree = model_tree(directory, list.tasks, progress);
  return summary;
}

void write_summary(const fs::path& directory, const report::SweepSummary& summary) {
  write_file_atomically(directory / "summary.csv", report::to_csv(summary));
  write_file_atomically(directory / "summary.md", report::to_markdown(summary));
  write_file_atomically(directory / "summary.html", report::html(summary));
  write_file_atomically(directory / "summary.json", repsim::to_text(report::to_json(summary)));
}

}  // namespace repsim::sweep
