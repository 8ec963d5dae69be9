#include <charconv>
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
  repsim capture front.pt --video week.mp4 --shard 2/4 --out front-2.signatures
  repsim capture --merge front-*.signatures

The frames are those on which a plan of the same --frames and --holdout takes similarities: what is
in the cache then is not captured again. A file of signatures is an argument of repsim similarity.
Shards divide the work among processes or machines. Merged, in any order, they are what one run
gives, byte for byte; the cache then has it.
Exit codes: 0 done, 2 usage, 3 bad input, 130 interrupted, 1 anything else.)";

struct CaptureFlags {
  std::vector<std::string> files;  ///< one model, or the parts to merge
  std::vector<std::string> inputs, set;
  std::optional<std::string> config, out, cache, shard;
  SettingFlags settings;
  bool force = false, merge = false;
};

Error usage_error(const std::string& problem, const std::string& where, const std::string& remedy) {
  return {ErrorKind::kUsage, problem, where, remedy};
}

/// "2/4". @throws Error{kUsage}
capture::Shard shard_of(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto number = [&](std::string_view digits) -> std::int64_t {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() ? value : 0;
  };
  capture::Shard shard{0, 0};
  if (slash != std::string::npos)
    shard = {number(std::string_view(text).substr(0, slash)), number(std::string_view(text).substr(slash + 1))};
  if (shard.index < 1 || shard.count < shard.index) {
    throw usage_error("'" + text + "' is no shard", "--shard",
                      "--shard 1/4 for the first of four parts, --shard 4/4 for the last");
  }
  return shard;
}

std::string shape_text(const similarity::Signatures& signatures) {
  return fmt::format("{} layers on {} frames", signatures.layers.size(), signatures.frames.size());
}

void run_merge(const CaptureFlags& flags) {
  const std::string cache = cache_folder(flags.cache);
  if (flags.files.empty())
    throw usage_error("no parts are given", "--merge", "repsim capture --merge front-*.signatures");
  if (flags.shard || flags.config || !flags.set.empty() || !flags.inputs.empty() || !flags.settings.none_given()) {
    throw usage_error("it takes files of signatures alone: they say the rest", "--merge",
                      "repsim capture --merge FILE... [--out FILE] [--cache DIR]");
  }
  if (cache.empty() && !flags.out)
    throw usage_error("there is neither a cache nor a file for the signatures", "repsim capture",
                      "--out FILE, or --cache DIR");
  const capture::SignatureFile whole = pipeline::merge_parts(flags.files, cache, flags.out.value_or(""), flags.force);
  print_result(fmt::format("{}: {} of {}, merged from {} parts\n", whole.signatures.model, shape_text(whole.signatures),
                           printable(whole.video_path), flags.files.size()));
}

void run_capture(const CaptureFlags& flags, Progress& progress) {
  if (flags.merge) return run_merge(flags);
  if (flags.files.empty())
    throw usage_error("no model is given", "repsim capture", "repsim capture MODEL.pt --video V");
  if (flags.files.size() > 1) {
    throw usage_error("unexpected argument '" + printable(flags.files[1]) + "'", "repsim capture",
                      "one model at a time; repsim capture --merge FILE... takes several files");
  }
  const std::optional<capture::Shard> shard =
      flags.shard ? std::optional(shard_of(*flags.shard)) : std::optional<capture::Shard>();
  config::Settings settings = settings_from_files(flags.config, flags.set);
  apply_models(flags.files, {}, settings);
  apply_inputs(flags.inputs, settings.models, settings.input_sources);
  flags.settings.apply(settings);
  settings.cache = cache_folder(flags.cache);
  if (shard && !flags.out)
    throw usage_error("there is no file for the part: the cache keeps whole captures alone", "--shard", "--out FILE");
  if (settings.cache.empty() && !flags.out) {
    throw usage_error("there is neither a cache nor a file for the signatures", "repsim capture",
                      "--out FILE, or --cache DIR");
  }
  const std::string out = flags.out.value_or("");
  const pipeline::Captured captured = shard
                                          ? pipeline::capture_part_to_file(settings, *shard, out, flags.force, progress)
                                          : pipeline::capture_to_file(settings, out, flags.force, progress);
  print_result(fmt::format("{}: {} of {}, {}\n", captured.file.signatures.model, shape_text(captured.file.signatures),
                           printable(captured.file.video_path),
                           shard                        ? "shard " + *flags.shard
                           : captured.origin == "cache" ? "from the cache"
                                                        : "captured"));
}

}  // namespace

Job setup_capture(CLI::App& app) {
  auto flags = std::make_shared<CaptureFlags>();
  CaptureFlags& f = *flags;
  app.footer(kCaptureFooter);
  app.add_option("MODEL", f.files, "A TorchScript file; with --merge the parts of a capture")->type_name("FILE");
  add_repeatable(app, "--input", "SPEC", f.inputs, input_help() + "; default: what the model's archive says")
      ->group("Model");
  f.settings.add(app, "Model", "libraries");
  f.settings.add(app, "Video", "video", "The video to run the model on");
  f.settings.add(app, "Video", "frames.count");
  f.settings.add(app, "Video", "frames.holdout", "Last part of these frames, which is left out (default {})");
  add_text(app, "--shard", "I/N", f.shard, "Capture part I of N alone, 1/N to N/N, into the file of --out")
      ->group("Shards");
  app.add_flag("--merge", f.merge, "Put the files of all N parts together, in any order")->group("Shards");
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
