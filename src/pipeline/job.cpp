#include "job.hpp"

#include "repsim/base/error.hpp"

namespace repsim::pipeline {
namespace {

/// @throws Error{kInput} when the user forces a direction of a model that cannot share
void check_directions(const Settings& settings, std::span<const session::Model> models) {
  for (const Direction& direction : settings.share) {
    for (const std::string& name : {direction.receiver, direction.donor}) {
      const ModelIndex found = session::find_model(models, name);
      if (found < 0 || models[found].prepared.rewritable) continue;
      throw input_error("model '" + name + "' cannot share layers: it " + models[found].prepared.opaque_reason,
                        "--share " + direction.receiver + "<-" + direction.donor, "leave this direction out");
    }
  }
}

}  // namespace

session::RuntimeOptions runtime_options(const Settings& settings) {
  return {settings.threads, settings.device, settings.memory_limit};
}

std::vector<session::InputFiles> input_files(const std::vector<config::Stream>& streams,
                                             const std::vector<std::string>& libraries) {
  std::vector<session::InputFiles> files;
  for (const config::Stream& stream : streams) files.push_back({libraries, stream.videos, stream.truth});
  return files;
}

std::vector<session::ModelSource> model_sources(const Settings& settings) {
  std::vector<session::ModelSource> sources;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    sources.push_back(
        {settings.models[i], i < settings.input_sources.size() ? settings.input_sources[i] : std::string()});
  }
  return sources;
}

session::SessionOptions session_options(const Settings& settings, const config::Stream& stream, std::size_t streams,
                                        const session::SingleFrames& single) {
  session::SessionOptions options;
  options.models = session::marked(model_sources(settings), single);
  options.videos = stream.videos;
  options.truth = stream.truth;
  for (const std::size_t model : stream.models) options.members.push_back(static_cast<ModelIndex>(model));
  options.sessions = streams;
  options.check_models = [&settings](std::span<const session::Model> models) { check_directions(settings, models); };
  return options;
}

}  // namespace repsim::pipeline
