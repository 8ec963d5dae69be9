#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/config.hpp"
#include "repsim/planner.hpp"
#include "repsim/streams.hpp"
#include "repsim/video.hpp"
#include "setting.hpp"
#include "values.hpp"
#include "videos.hpp"

namespace repsim::config {
namespace {

/// Where a complaint about a complete set of settings points to: the flag of the field, else the field itself.
std::string flag_of(const std::string& field) {
  for (const Setting& row : kSettings) {
    if (row.key == field) return std::string(row.flag);
  }
  return field;
}

/// Models that settings name.
void check_names(const Settings& settings) {
  std::vector<std::string> names;
  for (const auto& spec : settings.models) names.push_back(spec.name);
  const auto known = [&](const std::string& name, const std::string& where) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", where, did_you_mean(name, names));
  };
  for (const auto& [name, value] : settings.min_fidelity_of)
    known(name, "--min-fidelity " + name + "=" + shortest(value));
  for (const std::string& name : settings.keep) {
    known(name, "--keep " + name);
    for (const auto& [receiver, donor] : settings.share) {
      if (receiver != name) continue;
      throw Error(ErrorKind::kUsage, "'" + name + "' is never changed, so it cannot receive", "--keep " + name,
                  "leave out --keep " + name + " or --share " + receiver + "<-" + donor);
    }
  }
  for (const std::string& name : settings.accept_unmeasured) known(name, "--accept-unmeasured " + name);
  for (const std::string& glob : settings.donors) {
    const auto matches = [&](const std::string& name) { return planner::glob_matches(glob, name); };
    if (std::any_of(names.begin(), names.end(), matches)) continue;
    throw Error(ErrorKind::kUsage, "no model's name matches '" + glob + "'", "--donors " + glob,
                did_you_mean(glob, names));
  }
}

void check_directions(const Settings& settings) {
  std::vector<std::string> names;
  for (const auto& spec : settings.models) names.push_back(spec.name);
  for (const auto& [receiver, donor] : settings.share) {
    const std::string where = "--share " + receiver + "<-" + donor;
    for (const auto& name : {receiver, donor}) {
      if (std::find(names.begin(), names.end(), name) != names.end()) continue;
      throw Error(ErrorKind::kUsage, "there is no model named '" + name + "'", where, did_you_mean(name, names));
    }
    if (receiver == donor) {
      throw Error(ErrorKind::kUsage, "a model cannot take representations from itself", where, "name two models");
    }
  }
}

void check_video(const Settings& settings) {
  for (const Stream& stream : streams_of(settings)) {
    if (stream.videos.empty()) {
      const bool is_for_all = stream.models.size() == settings.models.size();
      throw Error(ErrorKind::kUsage,
                  "no video is given" +
                      (is_for_all ? std::string() : " for '" + settings.models[stream.models.front()].name + "'"),
                  "", R"(--video FILE, or "video" in the config)");
    }
    // The sampler knows how many frames are too few. Long videos stand in for the real ones, which nobody has opened
    // yet.
    std::vector<video::PlaylistVideo> assumed;
    for (const video::VideoSource& source : stream.videos) {
      video::PlaylistVideo& one = assumed.emplace_back();
      one.info.path = source.path;
      one.info.frame_count = std::get<WholeNumber>(setting("frames.count").kind).most;
    }
    static_cast<void>(video::sample_frames(video::Playlist(std::move(assumed)), settings.frames, settings.holdout));
  }
  if (settings.truth && settings.videos.empty()) {
    throw Error(ErrorKind::kUsage, "every model has videos of its own, and this says not of which it is", "--truth",
                R"(in a model's entry "videos": [{"path": "v.mp4", "truth": "gt.txt"}])");
  }
}

}  // namespace

std::string size_remedy() { return "bytes: 1500000, or 1500K, 1.5M, 2G"; }

void check_values(const Settings& settings, const Complain& complain) {
  check_models(settings, complain);
  check_videos(settings, complain);
  for (const Setting& row : kSettings) {
    if (const auto found = problem_of(row, settings)) complain(std::string(row.key), found->problem, found->remedy);
  }
  if (settings.budget && settings.objective != planner::Objective::kBytes) {
    complain("merge.budget",
             std::string("a budget is one of bytes, and the objective is ") + planner::to_string(settings.objective),
             "leave one of them out");
  }
}

void check_to_capture(const Settings& settings) {
  if (settings.models.empty())
    throw Error(ErrorKind::kUsage, "no model is given", "", "the path of a TorchScript file");
  check_values(settings, [](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw Error(ErrorKind::kUsage, problem, flag_of(field), remedy);
  });
  check_video(settings);
}

std::vector<InputFile> input_files_of(const Settings& settings) {
  std::vector<InputFile> files;
  for (const model::ModelSpec& model : settings.models) files.push_back({model.path, "the model '" + model.name + "'"});
  const auto add = [&files](const std::vector<video::VideoSource>& videos) {
    for (const video::VideoSource& video : videos) {
      files.push_back({video.path, "the video"});
      if (video.truth) files.push_back({*video.truth, "the ground truth"});
    }
  };
  add(settings.videos);
  for (const auto& [model, videos] : settings.videos_of) add(videos);
  if (settings.truth) files.push_back({*settings.truth, "the ground truth"});
  return files;
}

void check(const Settings& settings) {
  if (settings.models.size() < 2) {
    const std::string given = settings.models.empty() ? "no model is given" : "only one model is given";
    throw Error(ErrorKind::kUsage, given + "; sharing needs two or more", "",
                "repsim plan A.pt B.pt --video V --out DIR");
  }
  check_values(settings, [](const std::string& field, const std::string& problem, const std::string& remedy) {
    throw Error(ErrorKind::kUsage, problem, flag_of(field), remedy);
  });
  check_directions(settings);
  check_names(settings);
  check_video(settings);
}

}  // namespace repsim::config
