#include "job.hpp"

#include "repsim/base/error.hpp"

namespace repsim::pipeline {

void check_files(const Settings& settings) {
  check(settings);
  model::load_libraries(settings.libraries);
  video::check_readable(settings.video);
  // Only the video's size is missing yet; any other will do to see that the file can be read.
  if (settings.truth) static_cast<void>(verify::read_motchallenge(*settings.truth, 1, 1, 0));
}

void check_directions(const Settings& settings, const Workspace& work) {
  for (const Direction& direction : settings.share) {
    for (const std::string& name : {direction.receiver, direction.donor}) {
      for (const graph::Prepared& model : work.prepared) {
        if (model.name != name || model.rewritable) continue;
        throw input_error("model '" + name + "' cannot share layers: it " + model.opaque_reason,
                          "--share " + direction.receiver + "<-" + direction.donor, "leave this direction out");
      }
    }
  }
}

}  // namespace repsim::pipeline
