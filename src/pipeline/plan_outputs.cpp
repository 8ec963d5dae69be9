#include "plan_outputs.hpp"

#include <algorithm>
#include <set>

#include "repsim/base/machine.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/base/version.hpp"
#include "repsim/report.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::pipeline {

void check_replaces_no_input(const Settings& settings, const std::filesystem::path& out) {
  const std::vector<InputFile> inputs = config::input_files_of(settings);
  for (const char* file : {"bundle.pt", "plan.json", "similarity.json", "report.html", "run.json"})
    repsim::check_replaces_no_input(out / file, inputs, "--out");
}

void write_outputs(const StagedDirectory& staged, const PlanFiles& files) {
  write_file_atomically(staged.path("plan.json"), repsim::to_text(report::to_json(files.plan)));
  write_file_atomically(
      staged.path("similarity.json"),
      repsim::to_text(report::to_json(files.similarity, video::kMinibatchFrames, files.similarity_frames)));
  write_file_atomically(staged.path("report.html"), report::html(files.plan, files.similarity, files.page));
}

std::vector<report::FramePicture> pictures_of(const session::Session& session,
                                              const std::vector<verify::Verdict>& verdicts, std::int64_t most,
                                              Progress& progress) {
  const auto shown = [&](const verify::Verdict& verdict) {
    return std::span(verdict.differing).first(std::min(verdict.differing.size(), static_cast<std::size_t>(most)));
  };
  std::set<std::int64_t> wanted;
  for (const ModelIndex model : session.members) {
    for (const verify::FrameBoxes& boxes : shown(verdicts[model])) wanted.insert(boxes.frame);
  }
  if (wanted.empty()) return {};
  const std::vector<std::int64_t> numbers(wanted.begin(), wanted.end());
  // A request per video: their frames may have different sizes.
  std::vector<video::Request> requests;
  std::vector<report::PictureSize> sizes;
  auto begin = numbers.begin();
  const std::vector<std::int64_t> counts = session.playlist.counts_of(numbers);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const video::VideoInfo& video = session.playlist.videos()[i].info;
    sizes.push_back(report::picture_size(video.width, video.height));
    video::Request& request = requests.emplace_back();
    request.frames.assign(begin, begin + counts[i]);
    request.spec.width = sizes.back().width;
    request.spec.height = sizes.back().height;
    begin += counts[i];
  }
  const std::vector<video::FrameStore> stores = video::decode(session.playlist, requests, progress);
  std::vector<report::FramePicture> pictures;
  for (const ModelIndex model : session.members) {
    for (const verify::FrameBoxes& boxes : shown(verdicts[model])) {
      const video::Playlist::Place place = session.playlist.place_of(boxes.frame);
      const std::vector<std::int64_t>& frames = requests[place.video].frames;
      const auto position = std::lower_bound(frames.begin(), frames.end(), boxes.frame) - frames.begin();
      pictures.push_back(report::frame_picture(session.models[model].name(), stores[place.video].pixels(position),
                                               sizes[place.video], boxes));
      if (!session.playlist.has_several()) continue;
      pictures.back().video = session.playlist.videos()[place.video].name;
      pictures.back().frame = place.frame;
    }
  }
  return pictures;
}

std::vector<report::PageModel> page_models(const session::Session& session) {
  std::vector<report::PageModel> models;
  for (const session::Model& model : session.models) {
    report::PageModel& one = models.emplace_back();
    one.name = model.name();
    for (const graph::Layer& layer : model.prepared.program.layers)
      one.layers.push_back({layer.name, layer.kind, layer.bytes, layer.flops});
  }
  return models;
}

void write_run_json(const StagedDirectory& staged, const Settings& settings, const RunFacts& facts) {
  Json json;
  json["tool"] = {{"name", "repsim"}, {"version", tool_version()}, {"torch", session::torch_version()}};
  json["machine"] = {{"cores", usable_cores()},
                     {"threads", settings.threads > 0 ? settings.threads : default_threads()},
                     {"device", config::to_string(settings.device)}};
  json["seconds"] = facts.seconds;
  json["task_seconds"] = facts.task_seconds;
  json["signatures"] = facts.signature_origins;
  json["peak_rss_bytes"] = peak_resident_bytes();
  json["memory_limit_bytes"] = settings.memory_limit ? Json(*settings.memory_limit) : Json();
  json["latency_ms_per_frame"] = {{"separate_models", facts.cost.latency.separate_ms},
                                  {"bundle", facts.cost.latency.bundle_ms}};
  const auto beside = [](std::int64_t predicted, std::int64_t measured) {
    return Json{{"predicted", predicted}, {"measured", measured}};
  };
  json["peak_activation_bytes"] = {
      {"separate_models", beside(facts.plan.before.peak_activation_bytes, facts.cost.peak.separate_bytes)},
      {"bundle", beside(facts.plan.after.peak_activation_bytes, facts.cost.peak.bundle_bytes)}};
  write_file_atomically(staged.path("run.json"), repsim::to_text(json));
}

}  // namespace repsim::pipeline
