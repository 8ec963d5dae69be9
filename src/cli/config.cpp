#include <algorithm>
#include <filesystem>
#include <memory>

#include "commands.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/config_draft.hpp"
#include "setting_flags.hpp"
#include "settings_files.hpp"
#include "terminal.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFooter = R"(Actions:
  init    write a config for these models and this video, with what repsim can tell of them

Examples:
  repsim config init front.pt back.pt --video street.mp4
  repsim config init front.pt back.pt --video street.mp4 --input back=640x384,rgb --out jobs/merge.json
  repsim plan --config merge.json --out plan

Each value is printed with its origin. What repsim had to assume is marked CHECK there, and in the
file under the key "//", which repsim plan passes over. The file works as it is.
Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted, 1 anything else.)";

struct ConfigFlags {
  std::string action;
  std::vector<std::string> models, named_models, inputs, formats;
  SettingFlags settings;
  std::optional<std::string> out;
  bool force = false;
};

constexpr const char* kDefaultOut = "merge.json";

/// The path as a config in `folder` names it.
std::string seen_from(const std::string& path, const fs::path& folder) {
  if (fs::path(path).is_absolute()) return path;
  std::error_code failed;
  const fs::path relative = fs::proximate(path, folder.empty() ? fs::path(".") : folder, failed);
  return failed ? path : relative.string();
}

void check_action(const ConfigFlags& flags) {
  static const std::vector<std::string> kActions{"init"};
  if (flags.action.empty()) throw Error(ErrorKind::kUsage, "no action is given", "repsim config", "repsim config init");
  if (flags.action != "init") {
    throw Error(ErrorKind::kUsage, "there is no action '" + flags.action + "'", "repsim config",
                did_you_mean(flags.action, kActions));
  }
}

pipeline::DraftRequest request_of(const ConfigFlags& flags) {
  config::Settings settings;
  apply_models(flags.models, flags.named_models, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  apply_formats(flags.formats, settings.models);
  flags.settings.apply(settings);
  config::check(settings);
  return {settings.models, settings.libraries, settings.videos};
}

/// The notes below each other: what has to be checked stands out.
std::string notes_text(const std::vector<pipeline::DraftNote>& notes) {
  std::string text;
  const int columns = std::max(40, columns_of(Stream::kOut).value_or(100));
  for (const pipeline::DraftNote& note : notes) {
    const std::string mark = note.is_uncertain ? emphasised("CHECK", Emphasis::kWarning, Stream::kOut) : "ok   ";
    text += mark + "  " + printable(note.field + " = " + note.value) + "\n";
    for (const std::string& line : wrap(printable(note.reason), columns - 9)) text += "         " + line + "\n";
  }
  return text;
}

void run_config(const ConfigFlags& flags, Progress& progress) {
  check_action(flags);
  const fs::path out = flags.out.value_or(kDefaultOut);
  if (out.empty()) throw Error(ErrorKind::kUsage, "the path is empty", "--out", "--out FILE");
  const pipeline::DraftRequest request = request_of(flags);
  config::Settings read;
  read.models = request.models;
  read.videos = request.videos;
  check_replaces_no_input(out, config::input_files_of(read), "--out");
  StagedFile staged(out, flags.force);
  pipeline::ConfigDraft draft = pipeline::draft_config(request, progress);
  for (Json& model : draft.config["models"]) model["path"] = seen_from(model["path"], out.parent_path());
  if (draft.config.contains("libraries")) {
    for (Json& path : draft.config["libraries"]) path = seen_from(path, out.parent_path());
  }
  if (draft.config.contains("video")) draft.config["video"] = seen_from(draft.config["video"], out.parent_path());
  if (draft.config.contains("videos")) {
    for (Json& video : draft.config["videos"]) video["path"] = seen_from(video["path"], out.parent_path());
  }
  // What is written has to be a config, whatever the names are.
  config::check(config::settings_from_json(draft.config, out.string(), out.parent_path()));
  write_file_atomically(staged.path(), to_text(draft.config));
  staged.commit();
  const auto uncertain = std::count_if(draft.notes.begin(), draft.notes.end(),
                                       [](const pipeline::DraftNote& note) { return note.is_uncertain; });
  print_result(notes_text(draft.notes) + "\nwrote " + printable(out.string()) + "; " + std::to_string(uncertain) +
               " values to check\nnext: repsim plan --config " + printable(out.string()) + " --out plan\n");
}

}  // namespace

Job setup_config(CLI::App& app) {
  auto flags = std::make_shared<ConfigFlags>();
  ConfigFlags& f = *flags;
  app.footer(kConfigFooter);
  app.add_option("ACTION", f.action, "init")->type_name("init");
  app.add_option("MODEL", f.models, "TorchScript files, two or more; a model's name is the file's stem")
      ->type_name("FILE");
  add_repeatable(app, "--model", "NAME=PATH", f.named_models, "A model with a name of your choice")->group("Models");
  add_repeatable(app, "--input", "[NAME=]SPEC", f.inputs,
                 input_help() + "; without NAME: every model; default: what the model's archive says, else a guess")
      ->group("Models");
  add_repeatable(app, "--format", "[NAME=]FORMAT", f.formats,
                 "What the model returns: " + format_list() + " (default auto; docs/outputs.md)")
      ->group("Models");
  f.settings.add(app, "Models", "libraries");
  f.settings.add(app, "Video", "video");
  add_text(app, "--out", "FILE", f.out, std::string("The config to write (default ") + kDefaultOut + ")")
      ->group("Output");
  app.add_flag("--force", f.force, "Replace FILE where it is there already")->group("Output");
  return [flags](Progress& progress) { run_config(*flags, progress); };
}

}  // namespace repsim::cli
