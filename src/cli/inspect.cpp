#include <memory>

#include "commands.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/model_name.hpp"
#include "repsim/pipeline.hpp"
#include "setting_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kInspectFooter = R"(Examples:
  repsim inspect detector.pt --input 320x240
  repsim inspect detector.pt --json | jq '.layers[].name'

A TorchScript file is a program: open only files from people whom you trust.
Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted, 1 anything else.)";

struct InspectFlags {
  std::string model;
  std::vector<std::string> inputs, formats;
  SettingFlags settings;
  bool json = false;
};

void run_inspect(const InspectFlags& flags, const Progress& progress) {
  if (flags.model.empty()) {
    throw Error(ErrorKind::kUsage, "no model is given", "repsim inspect", "repsim inspect MODEL.pt");
  }
  std::vector<model::ModelSpec> models(1);
  models[0].path = flags.model;
  models[0].name = model::name_of(flags.model);
  std::vector<std::string> sources(1);
  apply_inputs(flags.inputs, models, sources);
  apply_formats(flags.formats, models);
  config::Settings given;
  flags.settings.apply(given);
  const report::Inspection inspection = pipeline::inspect(models[0], given.libraries, progress);
  print_result(flags.json ? to_text(report::to_json(inspection)) : report::to_text(inspection));
}

}  // namespace

Job setup_inspect(CLI::App& app) {
  auto flags = std::make_shared<InspectFlags>();
  app.footer(kInspectFooter);
  app.add_option("MODEL", flags->model, "A TorchScript file")->type_name("FILE");
  add_repeatable(app, "--input", "SPEC", flags->inputs, input_help() + "; default: what the model's archive says")
      ->group("Model");
  add_repeatable(app, "--format", "FORMAT", flags->formats,
                 "What the model returns: " + format_list() + " (default auto; docs/outputs.md)")
      ->group("Model");
  flags->settings.add(app, "Model", "libraries");
  app.add_flag("--json", flags->json, "Print JSON instead of a table")->group("Output");
  return [flags](Progress& progress) { run_inspect(*flags, progress); };
}

}  // namespace repsim::cli
