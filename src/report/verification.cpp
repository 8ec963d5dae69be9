#include "repsim/verification.hpp"

#include <algorithm>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

Json interval_list(const verify::Interval& interval) { return {interval.low, interval.high}; }

Json videos_list(const std::vector<verify::VideoFidelity>& videos) {
  Json list = Json::array();
  for (const verify::VideoFidelity& video : videos)
    list.push_back(video_json(video, video.value ? Json(*video.value) : Json(),
                              video.value ? interval_list(video.interval) : Json()));
  return list;
}

Json fidelity_object(const verify::Fidelity& fidelity) {
  Json json{{"value", fidelity.value ? Json(*fidelity.value) : Json()},
            {"interval", fidelity.value ? interval_list(fidelity.interval) : Json()}};
  add_figures(fidelity, json);
  json["max_abs_difference"] = fidelity.max_abs_difference;
  if (!fidelity.videos.empty()) json["videos"] = videos_list(fidelity.videos);
  return json;
}

Json accuracy_object(const verify::Accuracy& accuracy) {
  const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  const auto interval = [](const std::optional<double>& value, const verify::Interval& of) {
    return value ? interval_list(of) : Json();
  };
  return {{"own", number(accuracy.own)},       {"own_interval", interval(accuracy.own, accuracy.own_interval)},
          {"merged", number(accuracy.merged)}, {"merged_interval", interval(accuracy.merged, accuracy.merged_interval)},
          {"frames", accuracy.frames},         {"truth_boxes", accuracy.truth_boxes}};
}

std::string ap_in_words(const verify::Accuracy& accuracy) {
  if (!accuracy.own || !accuracy.merged) return "AP50 undefined: no ground-truth boxes on these frames";
  return "AP50 " + fixed3(*accuracy.own) + " -> " + fixed3(*accuracy.merged) + " (" +
         std::to_string(accuracy.truth_boxes) + " boxes)";
}

std::string conclusion(const Verification& verification) {
  std::string text = std::string(verification.holds() ? "holds" : "does not hold") +
                     ": the plan asks for a fidelity of " + fixed3(verification.min_fidelity);
  for (const Verification::Model& model : verification.models) {
    if (model.min_fidelity != verification.min_fidelity)
      text += ", of " + model.name + " " + fixed3(model.min_fidelity);
  }
  return text + "\n";
}

void add_videos(const std::string& path, const std::vector<ListedVideo>& videos,
                const std::vector<std::int64_t>& frames, Json& json) {
  json["video"] = path;
  if (!videos.empty()) json["videos"] = to_json(videos, {{"judging", frames}});
  json["frames"] = frames;
}

}  // namespace

std::string verdict_in_words(const Verification::Model& model) {
  const verify::Fidelity& fidelity = model.fidelity;
  if (fidelity.bit_identical) {
    return std::string("bit-identical to its original") +
           (fidelity.value ? "" : " (not measured: " + why_undefined(fidelity) + ")");
  }
  if (!fidelity.value) return "not measured: " + why_undefined(fidelity);
  std::string text = "agrees with its original: fidelity " + fidelity_text(*fidelity.value) + " [" +
                     fidelity_text(fidelity.interval.low) + ", " + fidelity_text(fidelity.interval.high) + "]";
  if (const std::string figures = figures_in_words(fidelity); !figures.empty()) text += ", " + figures;
  if (const std::string worst = worst_frames_in_words(fidelity); !worst.empty()) text += "; " + worst;
  return text + (model.is_below(fidelity) ? ", BELOW the plan's minimum" : "");
}

std::string engine_in_words(const Verification::Model& model) {
  const auto &original = model.original_on_engine, &bundle = model.bundle_on_engine;
  if (!original && !bundle) return "";
  std::string text = "on the engine:";
  if (bundle) text += " bundle " + fidelity_text(bundle->value);
  if (original) text += std::string(bundle ? "," : "") + " original " + fidelity_text(original->value);
  std::vector<std::string> losses;
  const auto loses = [&](const std::string& what, const std::optional<double>& kept) {
    if (kept) losses.push_back(what + " " + fixed3(1 - *kept));
  };
  loses("merging loses", model.fidelity.value);
  if (original) loses("the engine", original->value);
  if (bundle) loses("both", bundle->value);
  if (!losses.empty()) text += "; " + join(losses, ", ");
  return text + (bundle && model.is_below(*bundle) ? ", BELOW the plan's minimum" : "");
}

bool Verification::holds() const {
  return std::all_of(models.begin(), models.end(), [](const Model& model) { return !model.is_broken(); });
}

Json to_json(const Verification& verification) {
  Json json;
  if (verification.streams.empty()) {
    add_videos(verification.video_path, verification.videos, verification.frames, json);
  } else {
    json["streams"] = Json::array();
    for (const Verification::Stream& stream : verification.streams) {
      Json& one = json["streams"].emplace_back(Json{{"name", stream.name}, {"models", stream.models}});
      add_videos(stream.video_path, stream.videos, stream.frames, one);
    }
  }
  json["min_fidelity"] = verification.min_fidelity;
  json["holds"] = verification.holds();
  json["models"] = Json::array();
  for (const Verification::Model& model : verification.models) {
    json["models"].push_back({{"name", model.name},
                              {"min_fidelity", model.min_fidelity},
                              {"holds", model.fidelity.is_known() ? Json(!model.is_broken()) : Json()},
                              {"fidelity", fidelity_object(model.fidelity)},
                              {"accuracy", model.accuracy ? accuracy_object(*model.accuracy) : Json()}});
    const auto engine = [](const std::optional<verify::Fidelity>& fidelity) {
      return fidelity ? fidelity_object(*fidelity) : Json();
    };
    if (model.original_on_engine || model.bundle_on_engine) {
      json["models"].back()["engine"] = {{"original", engine(model.original_on_engine)},
                                         {"bundle", engine(model.bundle_on_engine)}};
    }
  }
  return json;
}

std::string to_text(const Verification& verification) {
  std::size_t width = 5;
  for (const Verification::Model& model : verification.models) width = std::max(width, model.name.size());
  const auto frames_of = [](std::size_t frames, const std::string& path) {
    return counted(static_cast<std::int64_t>(frames), "frame") + " of " + printable(path) + "\n";
  };
  std::string text;
  for (const Verification::Stream& stream : verification.streams)
    text += printable(stream.name) + ", " + join(stream.models, ", ") + ": " +
            frames_of(stream.frames.size(), stream.video_path);
  if (verification.streams.empty()) text = frames_of(verification.frames.size(), verification.video_path);
  for (const Verification::Model& model : verification.models) {
    text += "  " + model.name + std::string(width - model.name.size(), ' ') + "  " + verdict_in_words(model);
    if (model.accuracy) text += "; " + ap_in_words(*model.accuracy);
    text += "\n";
    if (const std::string engine = engine_in_words(model); !engine.empty())
      text += std::string(width + 4, ' ') + engine + "\n";
    for (const std::string& video : videos_in_words(model.fidelity, model.min_fidelity))
      text += std::string(width + 4, ' ') + video + "\n";
  }
  return text + conclusion(verification);
}

std::string to_markdown(const Verification& verification) {
  std::string text = "| model | fidelity | interval | asked for | |\n| --- | --- | --- | --- | --- |\n";
  for (const Verification::Model& model : verification.models) {
    const verify::Fidelity& fidelity = model.fidelity;
    text += "| " + markdown_cell(model.name) + " | " +
            (fidelity.value ? fidelity_text(fidelity.value) : "not measured") + " | " + interval_text(fidelity) +
            " | " + fixed3(model.min_fidelity) + " | " +
            (model.is_broken()     ? "below"
             : fidelity.is_known() ? "kept"
                                   : "unknown") +
            " |\n";
    for (const verify::VideoFidelity& video : fidelity.videos) {
      const std::string interval =
          video.value ? fixed(video.interval.low, 3) + " to " + fixed(video.interval.high, 3) : "-";
      text += "| " + markdown_cell(model.name + " on " + video.video) + " | " +
              (video.value ? fidelity_text(video.value) : "not measured") + " | " + interval + " | | |\n";
    }
  }
  return text + "\n" + conclusion(verification);
}

}  // namespace repsim::report
