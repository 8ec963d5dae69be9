#include <memory>

#include <fmt/format.h>

#include "cache_flag.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/signature_jobs.hpp"
#include "setting_flags.hpp"
#include "settings_files.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kCaptureFooter = R"(Examples:
  repsim capture front.pt --video street.mp4 --input 320x240
  repsim capture front.pt --video street.mp4 --out front.signatures

The frames are those on which a plan of the same --frames and --holdout takes similarities: what is
in the cache then is not captured again. A file of signatures is an argument of repsim similarity.
Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted, 1 anything else.)";

struct CaptureFlags {
  std::string model;
  std::vector<std::string> inputs, set;
  std::optional<std::string> config, out, cache;
  SettingFlags settings;
  bool force = false;
};

void run_capture(const CaptureFlags& flags, Progress& progress) {
  if (flags.model.empty()) {
    throw Error(ErrorKind::kUsage, "no model is given", "repsim capture", "repsim capture MODEL.pt --video V");
  }
  config::Settings settings = settings_from_files(flags.config, flags.set);
  apply_models({flags.model}, {}, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  flags.settings.apply(settings);
  settings.cache = cache_folder(flags.cache);
  if (settings.cache.empty() && !flags.out) {
    throw Error(ErrorKind::kUsage, "there is neither a cache nor a file for the signatures", "repsim capture",
                "--out FILE, or --cache DIR");
  }
  const pipeline::Captured captured =
      pipeline::capture_to_file(settings, flags.out.value_or(""), flags.force, progress);
  const similarity::Signatures& signatures = captured.file.signatures;
  print_result(fmt::format("{}: {} layers on {} frames of {}, {}\n", signatures.model, signatures.layers.size(),
                           signatures.frames.size(), printable(captured.file.video_path),
                           captured.origin == "cache" ? "from the cache" : "captured"));
}

}  // namespace

Job setup_capture(CLI::App& app) {
  auto flags = std::make_shared<CaptureFlags>();
  CaptureFlags& f = *flags;
  app.footer(kCaptureFooter);
  app.add_option("MODEL", f.model, "A TorchScript file")->type_name("FILE");
  add_repeatable(app, "--input", "SPEC", f.inputs, input_help() + "; default: what the model's archive says")
      ->group("Model");
  f.settings.add(app, "Model", "libraries");
  f.settings.add(app, "Video", "video", "The video to run the model on");
  f.settings.add(app, "Video", "frames.count");
  f.settings.add(app, "Video", "frames.holdout", "Last part of these frames, which is left out (default {})");
  add_text(app, "--out", "FILE", f.out, "Write the signatures to this file, too")->group("Output");
  app.add_flag("--force", f.force, "Replace FILE where it is there already")->group("Output");
  add_text(app, "--config", "FILE", f.config,
           "The model's input, videos and frames from a plan's config (docs/config.md)")
      ->group("Settings");
  add_repeatable(app, "--set", "KEY=VALUE", f.set, "Change one setting of the config: frames.count=512")
      ->group("Settings");
  add_cache(app, f.cache)->group("Settings");
  for (const char* key : {"threads", "device", "memory_limit"}) f.settings.add(app, "Settings", key);
  return [flags](Progress& progress) { run_capture(*flags, progress); };
}

}  // namespace repsim::cli
