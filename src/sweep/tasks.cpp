#include <algorithm>
#include <map>

#include "repsim/base/hash.hpp"
#include "repsim/base/text.hpp"
#include "repsim/base/version.hpp"
#include "repsim/config.hpp"
#include "repsim/video.hpp"
#include "sweep_json.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;
using config::Settings;

constexpr std::size_t kLongestName = 100;  // of a folder, in bytes; file systems take 255
constexpr std::size_t kDigits = 8;         // of a hash behind a name

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// Settings may name models that are not in this set: what they say of these has no meaning for it.
void leave_out_absent_models(const Sweep& sweep, Settings& settings) {
  const auto is_absent = [&](const std::string& name) {
    const auto has_name = [&](const model::ModelSpec& model) { return model.name == name; };
    return std::none_of(settings.models.begin(), settings.models.end(), has_name) &&
           std::any_of(sweep.models.begin(), sweep.models.end(), has_name);
  };
  std::erase_if(settings.keep, is_absent);
  std::erase_if(settings.accept_unmeasured, is_absent);
  std::erase_if(settings.min_fidelity_of, [&](const auto& entry) { return is_absent(entry.first); });
  const bool had_directions = !settings.share.empty();
  std::erase_if(settings.share, [&](const config::Direction& direction) {
    return is_absent(direction.receiver) || is_absent(direction.donor);
  });
  if (had_directions && settings.share.empty()) {
    throw input_error("no direction of merge.share is between models of this set", "",
                      "leave merge.share out, or name sets that have such a direction");
  }
}

/// What names the videos on a command line. Flags state no weights.
std::vector<std::string> video_arguments(const Settings& settings) {
  if (settings.videos.size() == 1) return {"--video", settings.videos.front().path};
  Json list = Json::array();
  for (const video::VideoSource& video : settings.videos)
    list.push_back({{"path", video.path}, {"name", video.name}, {"weight", video.weight}});
  return {"--set", "videos=" + list.dump()};
}

/// The tasks of a sweep, while they are made.
class TaskMaker {
 public:
  TaskMaker(const Sweep& sweep, const Hashes& hashes, bool with_captures)
      : sweep_(sweep), hashes_(hashes), with_captures_(with_captures) {}

  std::vector<Task> make() && {
    std::vector<Task> plans;
    for (const ModelSet& set : sweep_.sets) {
      for (const Video& video : sweep_.videos) {
        for (const std::vector<Json>& values : combinations(sweep_.grid)) plans.push_back(plan(set, video, values));
      }
    }
    tasks_.insert(tasks_.end(), std::make_move_iterator(plans.begin()), std::make_move_iterator(plans.end()));
    return std::move(tasks_);
  }

 private:
  Settings settings_of(const ModelSet& set, const Video& video, const std::vector<Json>& values) const {
    Json json = sweep_.settings;
    for (std::size_t i = 0; i < values.size(); ++i) put_setting(json, sweep_.grid[i].key, values[i]);
    Settings settings = config::settings_from_json(json, sweep_.file, sweep_.base);
    for (const std::size_t model : set) settings.models.push_back(sweep_.models[model]);
    settings.videos = video.sources;
    settings.truth = video.truth;
    leave_out_absent_models(sweep_, settings);
    config::check(settings);
    return settings;
  }

  Task plan(const ModelSet& set, const Video& video, const std::vector<Json>& values) {
    Task task;
    std::vector<std::string> variant;
    if (sweep_.videos.size() > 1) variant.push_back(video.name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      task.values.emplace_back(sweep_.grid[i].key, text_of(values[i]));
      variant.push_back(task.values.back().first + "=" + task.values.back().second);
    }
    for (const std::size_t model : set) task.models.push_back(sweep_.models[model].name);
    task.set = join(task.models, "+");
    task.video = video.name;
    task.folder =
        "plans/" + folder_name(task.set) + "/" + folder_name(variant.empty() ? "default" : join(variant, ","));
    Settings settings;
    try {
      settings = settings_of(set, video, values);
    } catch (const Error& error) {  // of the command line, whose flags the error names
      throw input_error(error.problem() + (error.where().empty() ? "" : " (" + error.where() + ")"),
                        sweep_.file + ": set " + task.set, error.remedy());
    }
    task.config = config::config_file(settings);
    task.arguments = {"plan"};
    task.key = key_of("plan", task.config, settings, true);
    for (const model::ModelSpec& model : settings.models) {
      if (with_captures_) task.after.push_back(capture(model, video, settings));
    }
    return task;
  }

  /// SHA-256 of what decides a result: the command's settings, the content of all files, the version.
  std::string key_of(const char* command, const Json& settings, const Settings& files, bool has_truth) const {
    Json all{{"version", tool_version()}, {"command", command}, {"settings", settings}, {"sha256", Json::array()}};
    for (const model::ModelSpec& model : files.models) all["sha256"].push_back(hashes_.at(model.path));
    for (const video::VideoSource& video : files.videos) all["sha256"].push_back(hashes_.at(video.path));
    for (const video::VideoSource& video : files.videos) {
      if (has_truth && video.truth) all["sha256"].push_back(hashes_.at(*video.truth));
    }
    if (has_truth && files.truth) all["sha256"].push_back(hashes_.at(*files.truth));
    for (const std::string& library : files.libraries) all["sha256"].push_back(hashes_.at(library));
    return sha256(all.dump());
  }

  /// The capture of one model for plans of such settings. @return its index
  std::size_t capture(const model::ModelSpec& model, const Video& video, const Settings& plan) {
    Task task;
    task.kind = TaskKind::kCapture;
    task.set = model.name;
    task.models = {model.name};
    task.video = video.name;
    task.values = {{"frames.count", std::to_string(plan.frames)}, {"frames.holdout", shortest(plan.holdout)}};
    task.folder = "captures/" + folder_name(model.name) + "/" +
                  folder_name(video.name + "," + task.values[0].second + "," + task.values[1].second);
    const auto [known, is_new] = captures_.emplace(task.folder, tasks_.size());
    if (!is_new) return known->second;
    task.arguments = {"capture", model.path};
    const std::vector<std::string> videos = video_arguments(plan);
    task.arguments.insert(task.arguments.end(), videos.begin(), videos.end());
    task.arguments.insert(task.arguments.end(), {"--frames", task.values[0].second, "--holdout", task.values[1].second,
                                                 "--device", config::to_string(plan.device)});
    for (const std::string& library : plan.libraries)
      task.arguments.insert(task.arguments.end(), {"--library", library});
    if (model.input) task.arguments.insert(task.arguments.end(), {"--input", model::input_flag(*model.input)});
    Settings files = plan;
    files.models = {model};
    task.key = key_of("capture", task.arguments, files, false);
    tasks_.push_back(std::move(task));
    return known->second;
  }

  const Sweep& sweep_;
  const Hashes& hashes_;
  const bool with_captures_;
  std::vector<Task> tasks_;                      // captures, then all
  std::map<std::string, std::size_t> captures_;  // by folder
};

/// Settings of a sweep alone: the libraries that all plans load.
Settings common_settings(const Sweep& sweep) {
  return config::settings_from_json(sweep.settings, sweep.file, sweep.base);
}

}  // namespace

std::string folder_name(const std::string& text) {
  std::string name;
  for (const char byte : text.substr(0, kLongestName)) {
    const bool is_plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                          (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '=' || byte == '+' ||
                          byte == ',' || byte == '-';
    name += is_plain ? byte : '_';
  }
  if (name.empty()) name = "_";
  if (name.front() == '.' || name.front() == '-') name.front() = '_';
  return name == text ? name : name + "-" + sha256(text).substr(0, kDigits);
}

Hashes hashes_of(const Sweep& sweep, Progress& progress) {
  Hashes hashes;
  const Settings common = common_settings(sweep);
  progress.begin("hash", static_cast<std::int64_t>(sweep.models.size() + sweep.videos.size()));
  for (const model::ModelSpec& model : sweep.models) {
    hashes[model.path] = sha256_of_file(model.path, progress);
    progress.step();
  }
  for (const Video& video : sweep.videos) {
    for (const video::VideoSource& source : video.sources) {
      if (!hashes.contains(source.path)) hashes[source.path] = video::sha256_of_video(source.path, progress);
      if (source.truth) hashes[*source.truth] = sha256_of_file(*source.truth, progress);
    }
    if (video.truth) hashes[*video.truth] = sha256_of_file(*video.truth, progress);
    progress.step();
  }
  for (const std::string& library : common.libraries) hashes[library] = sha256_of_file(library, progress);
  progress.end();
  return hashes;
}

std::vector<Task> tasks_of(const Sweep& sweep, const Hashes& hashes, bool with_captures) {
  return TaskMaker(sweep, hashes, with_captures).make();
}

std::vector<std::string> command_of(const Task& task, const fs::path& directory, const Resources& resources) {
  std::vector<std::string> command = task.arguments;
  const fs::path folder = directory / task.folder;
  if (task.kind == TaskKind::kPlan) {
    command.insert(command.end(), {"--config", (folder / "config.json").string(), "--out", (folder / "plan").string()});
  } else {
    command.insert(command.end(), {"--out", (folder / kSignatures).string()});
  }
  command.emplace_back("--force");
  command.insert(command.end(), {"--cache", resources.cache.empty() ? "none" : resources.cache});
  command.insert(command.end(), {"--threads", std::to_string(resources.threads)});
  if (resources.memory_limit)
    command.insert(command.end(), {"--memory-limit", std::to_string(*resources.memory_limit)});
  command.insert(command.end(), {"--progress", "never"});
  return command;
}

}  // namespace repsim::sweep
