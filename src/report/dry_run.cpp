#include "repsim/dry_run.hpp"

#include "repsim/base/text.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

std::string videos_text(const std::vector<DryRun::Video>& videos) {
  std::string text;
  for (const DryRun::Video& video : videos) {
    text += "would sample " + std::to_string(video.frames) + " of the " + std::to_string(video.frame_count) +
            " frames of '" + printable(video.name) + "': " + printable(video.path) + "\n";
  }
  return text;
}

}  // namespace

std::string to_text(const DryRun& dry_run) {
  std::string text;
  for (const DryRun::Model& model : dry_run.models) {
    text += model.name + ": " + std::to_string(model.layers) + " layers, " + human_bytes(model.bytes) +
            ", input group " + std::to_string(model.input_group) + ", format " + to_string(model.format) +
            (model.opaque_reason.empty() ? "" : " (opaque: it " + model.opaque_reason + ")") + "\n";
  }
  for (const DryRun::Direction& direction : dry_run.directions) {
    text += "would consider " + direction.receiver + "<-" + join(direction.donors, "+") +
            (direction.donors.size() > 1 ? " mixed" : "") + "\n";
  }
  for (const DryRun::Stream& stream : dry_run.streams) {
    text += "stream '" + printable(stream.name) + "', " + join(stream.models, ", ") + ": would sample " +
            std::to_string(dry_run.frames) + " of the " + std::to_string(stream.video_frames) + " frames of " +
            printable(stream.video_path) + "\n" + videos_text(stream.videos);
  }
  const std::string folder = dry_run.out.empty() ? "" : "write to " + printable(dry_run.out);
  if (!dry_run.streams.empty()) return text + (folder.empty() ? "" : "would " + folder + "\n");
  text += videos_text(dry_run.videos);
  const std::string of = dry_run.videos.empty() ? " frames of " + printable(dry_run.video_path)
                                                : " frames of " + std::to_string(dry_run.videos.size()) + " videos";
  return text + "would sample " + std::to_string(dry_run.frames) + " of the " + std::to_string(dry_run.video_frames) +
         of + (folder.empty() ? "" : " and " + folder) + "\n";
}

}  // namespace repsim::report
