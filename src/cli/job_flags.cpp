#include "job_flags.hpp"

#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "settings_flags.hpp"

namespace repsim::cli {
namespace {

void apply_share(const std::vector<std::string>& texts, config::Settings& settings) {
  if (!texts.empty()) settings.share.clear();
  for (const auto& text : texts) {
    const auto direction = config::parse_direction(text);
    if (!direction) {
      throw Error(ErrorKind::kUsage, "'" + text + "' names no direction", "--share",
                  "--share 'RECEIVER<-DONOR', in quotes");
    }
    settings.share.push_back(*direction);
  }
}

std::uint64_t seed_of(std::int64_t seed) {
  if (seed < 0) throw Error(ErrorKind::kUsage, "the value is " + std::to_string(seed) + ", not 0 or more", "--seed");
  return static_cast<std::uint64_t>(seed);
}

}  // namespace

void take(const std::vector<std::string>& flag, std::vector<std::string>& out) {
  if (!flag.empty()) out = flag;
}

config::Settings settings_of_job(const JobFlags& flags) {
  config::Settings settings = settings_from_files(flags.config, flags.set);
  apply_models(flags.models, flags.named_models, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  apply_formats(flags.formats, settings.models);
  take(flags.libraries, settings.libraries);
  take(flags.video, settings.video);
  take(flags.frames, settings.frames);
  take(flags.holdout, settings.holdout);
  take(flags.layers, settings.layers);
  take(flags.exclude, settings.exclude);
  take(flags.adapters, settings.adapters);
  if (flags.refit) settings.refit = *flags.refit == "on";
  apply_share(flags.share, settings);
  if (flags.truth) settings.truth = flags.truth;
  take(flags.threads, settings.threads);
  take(flags.device, settings.device);
  if (flags.memory_limit) settings.memory_limit = flags.memory_limit;
  if (flags.seed) settings.seed = seed_of(*flags.seed);
  return settings;
}

std::string with_default(const std::string& help, const std::string& value) {
  return help + " (default " + value + ")";
}

void add_models(CLI::App& app, JobFlags& flags) {
  app.add_option("MODEL", flags.models, "TorchScript files, two or more; a model's name is the file's stem");
  for (CLI::Option* option :
       {add_repeatable(app, "--model", "NAME=PATH", flags.named_models, "A model with a name of your choice"),
        add_repeatable(app, "--input", "[NAME=]SPEC", flags.inputs,
                       input_help() + "; without NAME: every model; default: what the model's archive says"),
        add_repeatable(app, "--format", "[NAME=]FORMAT", flags.formats,
                       "What the model returns: " + format_list() + " (default auto; docs/outputs.md)"),
        add_libraries(app, flags.libraries)})
    option->group("Models");
}

void add_settings(CLI::App& app, JobFlags& flags, const std::string& seed_help) {
  for (CLI::Option* option :
       {add_text(app, "--config", "FILE", flags.config,
                 "Settings as JSON (docs/config.md, configs/repsim.schema.json)"),
        add_repeatable(
            app, "--set", "KEY=VALUE", flags.set,
            "Change one setting of the config: merge.min_fidelity=0.85, models.0.output.score_threshold=0.5"),
        add_threads(app, flags.threads), add_device(app, flags.device), add_memory_limit(app, flags.memory_limit),
        add_cache(app, flags.cache),
        add_whole_number(app, "--seed", "N", flags.seed,
                         with_default(seed_help, std::to_string(config::Settings{}.seed)))})
    option->group("Settings");
}

void add_out(CLI::App& app, JobFlags& flags, const std::string& what) {
  add_text(app, "--out", "DIR", flags.out, "Folder for " + what + "; it appears whole or not at all")->group("Output");
  app.add_flag("--force", flags.force, "Replace the files of an earlier run in DIR")->group("Output");
}

}  // namespace repsim::cli
