#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "common_flags.hpp"
#include "model_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/signature_jobs.hpp"
#include "settings_flags.hpp"

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
  std::vector<std::string> inputs, libraries;
  std::optional<std::string> video, out, device, cache;
  std::optional<std::int64_t> frames, memory_limit;
  std::optional<double> holdout;
  std::optional<int> threads;
  bool force = false;
};

void run_capture(const CaptureFlags& flags, Progress& progress) {
  if (flags.model.empty()) {
    throw Error(ErrorKind::kUsage, "no model is given", "repsim capture", "repsim capture MODEL.pt --video V");
  }
  config::Settings settings;
  apply_models({flags.model}, {}, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  settings.libraries = flags.libraries;
  settings.video = flags.video.value_or("");
  settings.frames = flags.frames.value_or(settings.frames);
  settings.holdout = flags.holdout.value_or(settings.holdout);
  settings.threads = flags.threads.value_or(settings.threads);
  settings.device = flags.device.value_or(settings.device);
  settings.memory_limit = flags.memory_limit;
  settings.cache = cache_folder(flags.cache);
  if (settings.cache.empty() && !flags.out) {
    throw Error(ErrorKind::kUsage, "there is neither a cache nor a file for the signatures", "repsim capture",
                "--out FILE, or --cache DIR");
  }
  const pipeline::Captured captured =
      pipeline::capture_to_file(settings, flags.out.value_or(""), flags.force, progress);
  const similarity::Signatures& signatures = captured.file.signatures;
  print_result(fmt::format("{}: {} layers on {} frames of {}, {}\n", signatures.model, signatures.layers.size(),
                           signatures.frames.size(), captured.file.video_path,
                           captured.origin == "cache" ? "from the cache" : "captured"));
}

}  // namespace

Job setup_capture(CLI::App& app) {
  auto flags = std::make_shared<CaptureFlags>();
  CaptureFlags& f = *flags;
  app.footer(kCaptureFooter);
  app.add_option("MODEL", f.model, "A TorchScript file");
  add_repeatable(app, "--input", "SPEC", f.inputs, input_help() + "; default: what the model's archive says")
      ->group("Model");
  add_libraries(app, f.libraries)->group("Model");
  add_text(app, "--video", "FILE", f.video, "The video to run the model on")->group("Video");
  add_frames(app, f.frames, f.holdout, "Last part of these frames, which is left out");
  add_text(app, "--out", "FILE", f.out, "Write the signatures to this file, too")->group("Output");
  app.add_flag("--force", f.force, "Replace FILE where it is there already")->group("Output");
  add_cache(app, f.cache)->group("Settings");
  add_threads(app, f.threads)->group("Settings");
  add_device(app, f.device)->group("Settings");
  add_memory_limit(app, f.memory_limit)->group("Settings");
  return [flags](Progress& progress) { run_capture(*flags, progress); };
}

}  // namespace repsim::cli
