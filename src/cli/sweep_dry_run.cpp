#include "sweep_dry_run.hpp"

#include <map>

#include <fmt/format.h>

#include "repsim/base/text.hpp"
#include "repsim/cached_captures.hpp"
#include "repsim/config.hpp"

namespace repsim::cli {
namespace {

using sweep::TaskKind;
using sweep::TaskState;

/// Captures of one video and its frames: the video is opened once for all of them.
struct CaptureGroup {
  config::Settings settings;
  std::vector<std::size_t> tasks;  ///< of its models
};

/// What tells apart videos of which captures take different frames.
std::string videos_text(const config::Settings& settings) {
  std::string text;
  for (const video::VideoSource& video : settings.videos) text += video.path + "\n" + shortest(video.weight) + "\n";
  return text;
}

std::vector<CaptureGroup> capture_groups(const std::vector<sweep::Task>& tasks,
                                         const std::vector<sweep::TaskStatus>& statuses) {
  std::map<std::string, std::size_t> known;
  std::vector<CaptureGroup> groups;
  std::vector<bool> is_listed(tasks.size(), false);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].kind != TaskKind::kPlan || statuses[i].state != TaskState::kPending) continue;
    const config::Settings plan = config::settings_from_json(tasks[i].config, tasks[i].folder, {});
    for (std::size_t model = 0; model < tasks[i].after.size(); ++model) {
      const std::size_t capture = tasks[i].after[model];
      if (is_listed[capture] || statuses[capture].state != TaskState::kPending) continue;
      is_listed[capture] = true;
      const std::string name = videos_text(plan) + std::to_string(plan.frames) + "\n" + shortest(plan.holdout);
      const auto [found, is_new] = known.emplace(name, groups.size());
      if (is_new) {
        groups.push_back({plan, {}});
        groups.back().settings.models.clear();
        groups.back().settings.input_sources.clear();
      }
      CaptureGroup& group = groups[found->second];
      group.settings.models.push_back(plan.models[model]);
      group.settings.input_sources.push_back(plan.input_sources[model]);
      group.tasks.push_back(capture);
    }
  }
  return groups;
}

std::vector<bool> cache_hits(const std::vector<sweep::Task>& tasks, const std::vector<sweep::TaskStatus>& statuses,
                             const sweep::Resources& resources, Progress& progress) {
  std::vector<bool> hits(tasks.size(), false);
  for (CaptureGroup& group : capture_groups(tasks, statuses)) {
    group.settings.threads = resources.threads;
    group.settings.cache = resources.cache;
    const std::vector<bool> found = pipeline::are_cached(group.settings, progress);
    for (std::size_t i = 0; i < found.size(); ++i) hits[group.tasks[i]] = found[i];
  }
  return hits;
}

std::string counts_text(const std::vector<sweep::Task>& tasks, const std::vector<sweep::TaskStatus>& statuses,
                        TaskKind kind) {
  std::map<TaskState, std::int64_t> counts;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].kind == kind) ++counts[statuses[i].state];
  }
  std::string text = fmt::format("{} to do, {} finished", counts[TaskState::kPending], counts[TaskState::kFinished]);
  if (counts[TaskState::kFailed] > 0) text += fmt::format(", {} failed", counts[TaskState::kFailed]);
  return text;
}

}  // namespace

std::string sweep_dry_run(const std::vector<sweep::Task>& tasks, const std::vector<sweep::TaskStatus>& statuses,
                          std::int64_t jobs, const sweep::Resources& resources, Progress& progress) {
  const std::vector<bool> hits = cache_hits(tasks, statuses, resources, progress);
  std::string text;
  std::int64_t in_cache = 0;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    text += fmt::format("{:9} {}{}\n", to_string(statuses[i].state), printable(tasks[i].folder),
                        hits[i] ? " (in the cache)" : "");
    if (hits[i]) ++in_cache;
  }
  text += "\ncaptures: " + counts_text(tasks, statuses, TaskKind::kCapture);
  if (in_cache > 0) text += fmt::format(", {} of those to do are in the cache", in_cache);
  text += "\nplans: " + counts_text(tasks, statuses, TaskKind::kPlan) + "\n";
  const std::optional<double> hours = sweep::estimated_hours(tasks, statuses, jobs);
  text += hours ? fmt::format("about {:.2f} hours, {} at once, threads of each: {}\n", *hours, jobs, resources.threads)
                : "no basis for an estimate of the time: no such task of this sweep is finished\n";
  return text;
}

}  // namespace repsim::cli
