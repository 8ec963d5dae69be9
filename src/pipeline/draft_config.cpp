#include <algorithm>

#include "job.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config_draft.hpp"
#include "repsim/report.hpp"
#include "repsim/video.hpp"

namespace repsim::pipeline {
namespace {

/// Only exports that say so take letterboxed RGB (src/model/metadata.cpp): their archive states the whole input.
bool states_whole_input(const report::Inspection& found) {
  return found.size_is_known && found.input.resize == model::Resize::kLetterbox &&
         found.input.color == model::Color::kRgb;
}

std::string size_text(const model::InputSpec& input) {
  return std::to_string(input.width) + "x" + std::to_string(input.height);
}

void note_input(const model::ModelSpec& stated, const report::Inspection& found, const std::string& field,
                std::vector<DraftNote>& notes) {
  const std::string input = field + "input";
  if (stated.input) return notes.push_back({input, input_flag(found.input), false, "--input says it"});
  const std::string source = "from the model's " + found.input_source;
  if (states_whole_input(found)) return notes.push_back({input, input_flag(found.input), false, source});
  if (found.size_is_known) {
    notes.push_back({input + ".width, .height", size_text(found.input), false, source});
  } else {
    notes.push_back({input + ".width, .height", size_text(found.input), true,
                     "nothing states the size; the model runs at this one, but may be made for another: take the size "
                     "with which it was trained or exported"});
  }
  notes.push_back({input + ".color", to_string(found.input.color), true,
                   "assumed; models that were trained on pictures read by PIL or torchvision take rgb, by OpenCV bgr"});
  notes.push_back({input + ".resize", to_string(found.input.resize), true,
                   "assumed; exports of the YOLO family mostly take letterbox"});
  if (found.input.dtype == model::InputDtype::kUint8) return;
  notes.push_back({input + ".scale, .mean, .std",
                   found.input.scale == model::default_scale(found.input.dtype)
                       ? "1/255, 0, 1"
                       : shortest(found.input.scale) + ", 0, 1",
                   true,
                   "assumed; models trained with torchvision's normalisation take mean [0.485, 0.456, 0.406] and std "
                   "[0.229, 0.224, 0.225] in rgb, some take pixels from 0 to 255 (scale 1)"});
}

/// "person, car, bus and 77 more"
std::string shortened(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  if (names.size() <= kShown + 1) return join(names, ", ");
  const std::vector<std::string> first(names.begin(), names.begin() + kShown);
  return join(first, ", ") + " and " + std::to_string(names.size() - kShown) + " more";
}

void note_output(const model::ModelSpec& stated, const report::Inspection& found, const std::string& field,
                 std::vector<DraftNote>& notes) {
  const std::string output = field + "output.";
  const bool is_given = stated.output.format != model::OutputFormat::kAuto;
  const bool is_tensor = found.output.format == model::OutputFormat::kTensor;
  notes.push_back({output + "format", to_string(found.output.format), !is_given && is_tensor,
                   is_given    ? "--format says it"
                   : is_tensor ? found.format_reason + "; raw outputs are compared unless another format fits "
                                                       "(docs/outputs.md)"
                               : "recognised: " + found.format_reason});
  if (is_tensor) return;  // raw outputs have neither classes nor scores
  if (!found.output.classes.empty()) {
    notes.push_back({output + "classes", shortened(found.output.classes), false, "from the model's archive"});
  } else {
    notes.push_back({output + "classes", "[]", true,
                     "the archive has no names, so labels stay numbers; ground truth in COCO JSON needs them"});
  }
  notes.push_back({output + "score_threshold", shortest(found.output.score_threshold), true,
                   "assumed; write the score from which on you use a detection: fidelity is measured there"});
}

std::vector<std::string> uncertain_lines(const std::vector<DraftNote>& notes, const std::string& prefix) {
  std::vector<std::string> lines;
  for (const DraftNote& note : notes) {
    if (note.is_uncertain && note.field.starts_with(prefix))
      lines.push_back("CHECK " + note.field.substr(prefix.size()) + ": " + note.reason);
  }
  return lines;
}

Json model_json(const model::ModelSpec& stated, const report::Inspection& found, const std::vector<DraftNote>& notes,
                std::size_t index) {
  Json model{{"name", stated.name}, {"path", stated.path}};
  const auto lines = uncertain_lines(notes, "models." + std::to_string(index) + ".");
  if (!lines.empty()) model[config::kCommentKey] = lines;
  model["input"] = report::to_json(found.input);
  Json output{{"format", to_string(found.output.format)}};
  if (found.output.format != model::OutputFormat::kTensor) {
    output["classes"] = found.output.classes;
    output["score_threshold"] = found.output.score_threshold;
  }
  model["output"] = std::move(output);
  return model;
}

/// The number of frames that a plan samples by default, or fewer if the videos have no more.
std::int64_t sampled_frames(const video::Playlist& videos, std::vector<DraftNote>& notes) {
  const Settings defaults;
  const std::int64_t count = std::min(defaults.frames, videos.frame_count());
  static_cast<void>(video::sample_frames(videos, count, defaults.holdout));
  for (std::size_t i = 0; i < videos.videos().size(); ++i) {
    const video::PlaylistVideo& one = videos.videos()[i];
    notes.push_back({videos.has_several() ? "videos." + std::to_string(i) : "video", one.info.path, false,
                     std::to_string(one.info.frame_count) + " frames of " + std::to_string(one.info.width) + "x" +
                         std::to_string(one.info.height)});
  }
  if (count < defaults.frames) {
    notes.push_back({"frames.count", std::to_string(count), true,
                     std::string(videos.has_several() ? "the videos have" : "the video has") +
                         " no more frames; a longer one, with what the models see in use, supports more"});
  } else {
    notes.push_back({"frames.count", std::to_string(count), false, "the default"});
  }
  return count;
}

}  // namespace

std::vector<DraftNote> notes_of(const model::ModelSpec& stated, const report::Inspection& found, std::size_t index) {
  std::vector<DraftNote> notes;
  const std::string field = "models." + std::to_string(index) + ".";
  note_input(stated, found, field, notes);
  note_output(stated, found, field, notes);
  return notes;
}

ConfigDraft draft_config(const DraftRequest& request, Progress& progress) {
  session::check_files({request.libraries, request.videos, {}});
  ConfigDraft draft;
  draft.config = {{"models", Json::array()}};
  progress.begin("open models", static_cast<std::int64_t>(request.models.size()));
  for (std::size_t i = 0; i < request.models.size(); ++i) {
    const model::ModelSpec& stated = request.models[i];
    draft.models.push_back(inspect(stated, request.libraries, progress));
    const std::vector<DraftNote> notes = notes_of(stated, draft.models.back(), i);
    draft.config["models"].push_back(model_json(stated, draft.models.back(), notes, i));
    draft.notes.insert(draft.notes.end(), notes.begin(), notes.end());
    progress.step();
  }
  progress.end();
  if (!request.libraries.empty()) draft.config["libraries"] = request.libraries;
  if (request.videos.size() == 1) {
    draft.config["video"] = request.videos.front().path;
  } else {
    for (const video::VideoSource& one : request.videos)
      draft.config["videos"].push_back({{"path", one.path}, {"name", one.name}, {"weight", one.weight}});
  }
  const std::int64_t count = sampled_frames(video::open_playlist(request.videos, progress), draft.notes);
  draft.config["frames"] = {{"count", count}};
  const auto lines = uncertain_lines(draft.notes, "frames.");
  if (!lines.empty()) draft.config["frames"][config::kCommentKey] = lines;
  draft.config["merge"] = {{"min_fidelity", Settings{}.min_fidelity}};
  return draft;
}

}  // namespace repsim::pipeline
