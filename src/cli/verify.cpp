#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "commands.hpp"
#include "common_flags.hpp"
#include "output_format.hpp"
#include "repsim/base/error.hpp"
#include "repsim/config.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/recorded_plan.hpp"
#include "setting_flags.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kVerifyFooter = R"(Examples:
  repsim verify plan
  repsim verify plan --frames 200
  repsim verify plan --video night.mp4 --frames 128
  repsim verify plan/plan.json --truth gt.txt --json
  repsim verify plan --dump-inputs inputs.npz
  repsim verify plan --engine-outputs outputs.npz

What another engine (ONNX Runtime, TensorRT, ...) returns for the frames of --dump-inputs is judged
by --engine-outputs: how much merging loses, how much the engine, and both (docs/runtimes.md).
Without --video the plan's own video and hold-out frames judge.
Exit codes: 0 every model keeps the plan's min_fidelity, 5 one does not, 2 usage, 3 bad input (also:
a model, the video or the bundle is not the plan's), 130 interrupted, 1 anything else.)";

struct VerifyFlags {
  std::string plan;
  std::vector<std::string> videos;
  std::optional<std::string> truth, dump_inputs, engine_outputs;
  std::optional<std::int64_t> frames;
  SettingFlags settings;
  bool json = false;
  OutputFlags output;
};

pipeline::VerifySettings settings_of(const VerifyFlags& flags) {
  if (flags.plan.empty()) throw Error(ErrorKind::kUsage, "no plan is given", "repsim verify", "repsim verify DIR");
  pipeline::VerifySettings settings;
  settings.plan = flags.plan;
  settings.videos = config::videos_of(flags.videos, "--video");
  settings.truth = flags.truth;
  settings.frames = one_or_more(flags.frames, "--frames", settings.frames);
  config::Settings given;
  flags.settings.apply(given);
  settings.libraries = given.libraries;
  settings.threads = given.threads;
  settings.memory_limit = given.memory_limit;
  if (flags.dump_inputs) settings.dump_inputs = *flags.dump_inputs;
  if (flags.engine_outputs) settings.engine_outputs = *flags.engine_outputs;
  return settings;
}

/// The fidelity that breaks a model's promise: in Torch, or on the engine where it is lower.
double lowest(const report::Verification::Model& model) {
  const double own = model.fidelity.value.value_or(0);
  return model.bundle_on_engine ? std::min(own, model.bundle_on_engine->value.value_or(own)) : own;
}

/// The models that fell below what the plan promises.
std::string broken_models(const report::Verification& verification) {
  std::string text;
  for (const report::Verification::Model& model : verification.models) {
    if (!model.is_broken()) continue;
    const bool own = model.min_fidelity != verification.min_fidelity;
    text += fmt::format("{}{} ({:.3f}{})", text.empty() ? "" : ", ", model.name, lowest(model),
                        own ? fmt::format(", not {}", model.min_fidelity) : "");
  }
  return text;
}

std::string video_flags(const report::Verification& verification) {
  if (!verification.streams.empty()) return "";  // a config states them
  if (verification.videos.empty()) return " --video " + verification.video_path;
  std::string flags;
  for (const report::ListedVideo& video : verification.videos) flags += " --video " + video.path;
  return flags;
}

void run_verify(const VerifyFlags& flags, Progress& progress) {
  pipeline::VerifySettings settings = settings_of(flags);
  if (flags.output.file) settings.result_file = *flags.output.file;
  OutputFlags output = flags.output;
  if (flags.json) output.format = "json";
  check_output_format(output);
  const report::Verification verification = pipeline::verify(settings, progress);
  print_rendered(output, {report::to_text(verification),
                          to_text(report::to_json(verification)),
                          report::to_markdown(verification),
                          {"verify", rebuild::plan_file(settings.plan).string(), report::findings_of(verification),
                           report::metrics_of(verification)}});
  if (!verification.holds()) {
    throw Error(ErrorKind::kDrift,
                fmt::format("models below the plan's min_fidelity of {}: {}", verification.min_fidelity,
                            broken_models(verification)),
                settings.plan.string(), "plan again on video like this one: repsim plan" + video_flags(verification));
  }
}

}  // namespace

Job setup_verify(CLI::App& app) {
  auto flags = std::make_shared<VerifyFlags>();
  app.footer(kVerifyFooter);
  app.add_option("PLAN", flags->plan, "The folder of a plan, or its plan.json")->type_name("PLAN");
  add_repeatable(app, "--video", "FILE", flags->videos,
                 "Judge on this video (file, folder of pictures, img_%03d.png, pattern), or on several, instead of the "
                 "plan's own")
      ->group("Video");
  add_whole_number(
      app, "--frames", "N", flags->frames,
      "Frames sampled evenly over the video, on the plan's own over the part from its hold-out on (default: as "
      "many as the hold-out, on the plan's own video those very frames)")
      ->group("Video");
  add_text(app, "--truth", "FILE", flags->truth,
           "Ground truth of the video (MOTChallenge text or COCO JSON): report accuracy as well")
      ->group("Video");
  add_text(app, "--dump-inputs", "FILE", flags->dump_inputs,
           "Write these frames, and calibration frames, as the models get them: arrays of NumPy (.npz)")
      ->group("Engine");
  add_text(app, "--engine-outputs", "FILE", flags->engine_outputs,
           "Judge what another engine returned for these frames (.npz)")
      ->group("Engine");
  for (const char* key : {"libraries", "threads", "memory_limit"}) flags->settings.add(app, "Settings", key);
  app.add_flag("--json", flags->json, "Print JSON instead of a table: --output-format json")->group("Output");
  add_output_format(app, flags->output);
  return [flags](Progress& progress) { run_verify(*flags, progress); };
}

}  // namespace repsim::cli
