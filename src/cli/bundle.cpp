#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/report.hpp"
#include "setting_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kBundleFooter = R"(Examples:
  repsim bundle plan --out bundle.pt
  repsim bundle plan/plan.json --out plan/bundle.pt --force
  repsim bundle edited.json --out smaller.pt --json | jq '.models[].fidelity.value'

The shares of plan.json are fitted on its calibration frames and measured on its hold-out frames;
nothing is searched for. An unchanged plan gives the very bytes of its bundle, on the same machine
with the same --threads and --device. In plan.json shares may be removed, changed or added by hand:
one needs receiver, donor and replaced, a list of receiver_layer and donor_layer, with adapter and
refit where they matter.
Exit codes: 0 every model keeps the plan's min_fidelity, 4 one does not (the bundle is written all
the same), 2 usage, 3 bad input (also: a model or the video is not the plan's, the plan was edited
into none), 130 interrupted, 1 anything else.)";

struct BundleFlags {
  std::string plan;
  std::optional<std::string> out;
  SettingFlags settings;
  bool force = false, json = false;
};

pipeline::RebuildSettings settings_of(const BundleFlags& flags) {
  if (flags.plan.empty()) {
    throw Error(ErrorKind::kUsage, "no plan is given", "repsim bundle", "repsim bundle plan.json --out bundle.pt");
  }
  if (!flags.out) throw Error(ErrorKind::kUsage, "no output file is given", "repsim bundle", "--out bundle.pt");
  pipeline::RebuildSettings settings;
  settings.plan = flags.plan;
  settings.out = *flags.out;
  settings.force = flags.force;
  config::Settings given;
  flags.settings.apply(given);
  settings.libraries = given.libraries;
  settings.threads = given.threads;
  settings.device = given.device;
  settings.memory_limit = given.memory_limit;
  return settings;
}

void run_bundle(const BundleFlags& flags, Progress& progress) {
  const report::Rebuilt rebuilt = pipeline::rebuild(settings_of(flags), progress);
  print_result(flags.json ? to_text(report::to_json(rebuilt)) : report::summary(rebuilt));
  std::string below;
  for (const report::Rebuilt::Model& model : rebuilt.models) {
    if (!model.is_broken()) continue;
    below += fmt::format("{}{} ({:.3f}, not {})", below.empty() ? "" : ", ", model.name,
                         model.fidelity.value.value_or(0), model.min_fidelity);
  }
  if (below.empty()) return;
  throw Error(ErrorKind::kNothingToShare, "the bundle is written, but models are below their min_fidelity: " + below,
              rebuilt.path, "remove or change their shares in " + flags.plan + ", or run repsim plan");
}

}  // namespace

Job setup_bundle(CLI::App& app) {
  auto flags = std::make_shared<BundleFlags>();
  app.footer(kBundleFooter);
  app.add_option("PLAN", flags->plan, "A plan.json, or the folder that holds it")->type_name("PLAN");
  for (const char* key : {"libraries", "threads", "device", "memory_limit"}) flags->settings.add(app, "Settings", key);
  add_text(app, "--out", "FILE", flags->out, "The bundle to write; it appears whole or not at all")->group("Output");
  app.add_flag("--force", flags->force, "Replace FILE where it is there already")->group("Output");
  app.add_flag("--json", flags->json, "Print JSON instead of a table")->group("Output");
  return [flags](Progress& progress) { run_bundle(*flags, progress); };
}

}  // namespace repsim::cli
