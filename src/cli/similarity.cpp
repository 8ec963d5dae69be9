#include <memory>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/signature_jobs.hpp"
#include "setting_flags.hpp"
#include "settings_files.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kSimilarityFooter = R"(Examples:
  repsim similarity a.pt b.pt c.pt --video street.mp4 --input 320x240 --out similarity
  repsim similarity a.signatures b.signatures --out similarity

DIR then holds similarity.json (models, layers, a line per pair), similarity.npy (the matrix of all
layers of all models) and a picture per pair of models (docs/similarity.md).
The frames are those on which a plan of the same --frames and --holdout takes similarities.
Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted, 1 anything else.)";

struct SimilarityFlags {
  std::vector<std::string> models, named_models, inputs, set;
  std::optional<std::string> config, out, cache;
  SettingFlags settings;
  bool force = false, json = false;
};

void run_similarity(const SimilarityFlags& flags, Progress& progress) {
  config::Settings settings = settings_from_files(flags.config, flags.set);
  apply_models(flags.models, flags.named_models, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  flags.settings.apply(settings);
  if (!flags.out) throw Error(ErrorKind::kUsage, "no output folder is given", "repsim similarity", "--out DIR");
  settings.cache = cache_folder(flags.cache);
  const report::AllPairs all = pipeline::similarity(settings, *flags.out, flags.force, progress);
  print_result(flags.json ? to_text(report::to_json(all)) : report::to_text(all));
}

}  // namespace

Job setup_similarity(CLI::App& app) {
  auto flags = std::make_shared<SimilarityFlags>();
  SimilarityFlags& f = *flags;
  app.footer(kSimilarityFooter);
  app.add_option(
         "MODEL", f.models,
         "TorchScript files, or files that repsim capture wrote, two or more; a model's name is the file's stem")
      ->type_name("FILE");
  add_repeatable(app, "--model", "NAME=PATH", f.named_models, "A model with a name of your choice")->group("Models");
  add_repeatable(app, "--input", "[NAME=]SPEC", f.inputs,
                 input_help() + "; without NAME: every model; default: what the model's archive says")
      ->group("Models");
  f.settings.add(app, "Models", "libraries");
  f.settings.add(app, "Video", "video", "The video to run the models on; files of signatures need none");
  f.settings.add(app, "Video", "frames.count");
  f.settings.add(app, "Video", "frames.holdout", "Last part of these frames, which is left out (default {})");
  add_text(app, "--out", "DIR", f.out, "Folder for the files; it appears whole or not at all")->group("Output");
  app.add_flag("--force", f.force, "Replace the files of an earlier run in DIR")->group("Output");
  app.add_flag("--json", f.json, "Print similarity.json instead of a table")->group("Output");
  add_text(app, "--config", "FILE", f.config, "Models, inputs, video and frames from a plan's config (docs/config.md)")
      ->group("Settings");
  add_repeatable(app, "--set", "KEY=VALUE", f.set, "Change one setting of the config: frames.count=512")
      ->group("Settings");
  add_cache(app, f.cache)->group("Settings");
  for (const char* key : {"threads", "device", "memory_limit"}) f.settings.add(app, "Settings", key);
  return [flags](Progress& progress) { run_similarity(*flags, progress); };
}

}  // namespace repsim::cli
