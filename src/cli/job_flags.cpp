#include "job_flags.hpp"

#include <algorithm>
#include <filesystem>

#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

/// Defaults, then the config file, then `--set`.
pipeline::Settings settings_from_files(const JobFlags& flags) {
  Json config = Json::object();
  fs::path base;
  std::string file = "--set";
  if (flags.config) {
    config = read_json(*flags.config);
    base = fs::path(*flags.config).parent_path();
    file = *flags.config;
  }
  Json changed = config;
  for (const auto& assignment : flags.set) pipeline::apply_override(changed, assignment);
  try {
    return pipeline::settings_from_json(changed, file, base);
  } catch (const Error& error) {
    if (flags.set.empty()) throw;
    // A config that is well without --set makes this the command line's mistake.
    static_cast<void>(pipeline::settings_from_json(config, file, base));
    const std::string where = flags.config ? "--set on " + error.where() : error.where();
    throw Error(ErrorKind::kUsage, error.problem(), where, error.remedy());
  }
}

void apply_models(const JobFlags& flags, pipeline::Settings& settings) {
  std::vector<NamedPath> given;
  for (const auto& path : flags.models) given.push_back({fs::path(path).stem().string(), path});
  for (const auto& text : flags.named_models) given.push_back(parse_named_path(text));
  check_unique(given);
  std::vector<model::ModelSpec> before;
  std::vector<std::string> sources_before;
  if (!flags.models.empty()) {
    before.swap(settings.models);
    sources_before.swap(settings.input_sources);
  }
  for (const auto& [name, path] : given) {
    const auto same = [&name = name](const model::ModelSpec& spec) { return spec.name == name; };
    if (const auto found = std::find_if(settings.models.begin(), settings.models.end(), same);
        found != settings.models.end()) {
      found->path = path;
      continue;
    }
    model::ModelSpec spec;
    std::string source;
    if (const auto found = std::find_if(before.begin(), before.end(), same); found != before.end()) {
      spec = *found;
      source = sources_before[static_cast<std::size_t>(found - before.begin())];
    }
    spec.name = name;
    spec.path = path;
    settings.models.push_back(std::move(spec));
    settings.input_sources.push_back(std::move(source));
  }
}

void apply_share(const std::vector<std::string>& texts, pipeline::Settings& settings) {
  if (!texts.empty()) settings.share.clear();
  for (const auto& text : texts) {
    const auto direction = pipeline::parse_direction(text);
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

pipeline::Settings settings_of_job(const JobFlags& flags) {
  pipeline::Settings settings = settings_from_files(flags);
  apply_models(flags, settings);
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
        add_threads(app, flags.threads),
        add_whole_number(app, "--seed", "N", flags.seed,
                         with_default(seed_help, std::to_string(pipeline::Settings{}.seed)))})
    option->group("Settings");
}

void add_out(CLI::App& app, JobFlags& flags, const std::string& what) {
  add_text(app, "--out", "DIR", flags.out, "Folder for " + what + "; it appears whole or not at all")->group("Output");
  app.add_flag("--force", flags.force, "Replace the files of an earlier run in DIR")->group("Output");
}

}  // namespace repsim::cli
