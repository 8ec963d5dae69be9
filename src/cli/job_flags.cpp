#include "job_flags.hpp"

#include "cache_flag.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "settings_files.hpp"

namespace repsim::cli {

config::Settings settings_of_job(const JobFlags& flags) {
  config::Settings settings = settings_from_files(flags.config, flags.set);
  apply_models(flags.models, flags.named_models, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  apply_formats(flags.formats, settings.models);
  flags.settings.apply(settings);
  return settings;
}

void add_models(CLI::App& app, JobFlags& flags) {
  const char* group = "Models";
  app.add_option("MODEL", flags.models, "TorchScript files, two or more; a model's name is the file's stem")
      ->type_name("FILE");
  add_repeatable(app, "--model", "NAME=PATH", flags.named_models, "A model with a name of your choice")->group(group);
  add_repeatable(app, "--input", "[NAME=]SPEC", flags.inputs,
                 input_help() + "; without NAME: every model; default: what the model's archive says")
      ->group(group);
  add_repeatable(app, "--format", "[NAME=]FORMAT", flags.formats,
                 "What the model returns: " + format_list() + " (default auto; docs/outputs.md)")
      ->group(group);
  flags.settings.add(app, group, "libraries");
}

void add_settings(CLI::App& app, JobFlags& flags, const std::string& seed_help) {
  const char* group = "Settings";
  add_text(app, "--config", "FILE", flags.config, "Settings as JSON (docs/config.md, configs/repsim.schema.json)")
      ->group(group);
  add_repeatable(app, "--set", "KEY=VALUE", flags.set,
                 "Change one setting of the config: merge.min_fidelity=0.85, models.0.output.score_threshold=0.5")
      ->group(group);
  for (const char* key : {"threads", "device", "memory_limit"}) flags.settings.add(app, group, key);
  add_cache(app, flags.cache)->group(group);
  flags.settings.add(app, group, "seed", seed_help);
}

void add_out(CLI::App& app, JobFlags& flags, const std::string& what) {
  add_text(app, "--out", "DIR", flags.out, "Folder for " + what + "; it appears whole or not at all")->group("Output");
  app.add_flag("--force", flags.force, "Replace the files of an earlier run in DIR")->group("Output");
}

}  // namespace repsim::cli
