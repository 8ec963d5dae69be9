#include "replacements.hpp"

#include <algorithm>

namespace repsim::candidates {
namespace {

constexpr int kShortlist = 3;  // donor layers of the same size per receiver layer that a linear map is fitted for

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return planner::glob_matches(glob, name); });
}

}  // namespace

Options options_of(const Settings& settings) {
  Options options;
  options.attachment.linear = settings.adapters == config::Adapters::kLinear;
  options.attachment.refit = settings.refit;
  options.layers = settings.layers;
  options.exclude = settings.exclude;
  options.objective = settings.objective;
  return options;
}

bool names_allow(const Options& options, const std::string& layer, bool as_receiver) {
  const bool wanted = !as_receiver || options.layers.empty() || matches_any(options.layers, layer);
  return wanted && !matches_any(options.exclude, layer);
}

std::vector<bool> usable_layers(const Options& options, const graph::Program& program, bool as_receiver) {
  std::vector<bool> result;
  for (const graph::Layer& layer : program.layers) {
    const bool map = layer.shape.size() == 3 && layer.dtype == "Float";
    result.push_back(map && names_allow(options, layer.name, as_receiver));
  }
  return result;
}

std::vector<std::vector<RatedReplacement>> replacements_of(const CandidateInputs& inputs, Progress& progress) {
  const session::Session& session = inputs.session;
  const fit::AttachmentOptions& attachment_options = inputs.options.attachment;
  const bool fitted = attachment_options.linear || attachment_options.refit;
  std::vector<fit::Screening> screenings;
  for (const Direction& direction : inputs.directions) {
    fit::Screening one{session::find_model(session.models, direction.receiver),
                       session::find_model(session.models, direction.donor),
                       {}};
    const graph::Program &receiver_program = session.models[one.receiver].prepared.program,
                         &donor_program = session.models[one.donor].prepared.program;
    const similarity::MatrixView similarity = inputs.similarity.between(one.receiver, one.donor);
    const std::vector<bool> replaceable = usable_layers(inputs.options, receiver_program, true);
    const std::vector<bool> givable = usable_layers(inputs.options, donor_program, false);
    for (std::size_t layer = 0; layer < replaceable.size(); ++layer) {
      if (!replaceable[layer]) continue;
      for (const int given : planner::shortlist(similarity, receiver_program, donor_program, static_cast<int>(layer),
                                                givable, kShortlist)) {
        if (fitted || receiver_program.layers[layer].shape[0] == donor_program.layers[given].shape[0])
          one.pairs.push_back({static_cast<int>(layer), given});
      }
    }
    screenings.push_back(std::move(one));
  }
  const std::vector<std::vector<double>> r2 = fit::screen(
      session.set, inputs.frames, screenings, progress, {.max_bytes = session.memory_budget.screening}, inputs.outputs);
  std::vector<std::vector<RatedReplacement>> result(inputs.directions.size());
  for (std::size_t i = 0; i < screenings.size(); ++i) {
    for (std::size_t k = 0; k < screenings[i].pairs.size(); ++k) {
      const fit::Replacement replacement{screenings[i].pairs[k].receiver_layer, screenings[i].donor,
                                         screenings[i].pairs[k].donor_layer};
      const std::optional<fit::Attachment> attachment =
          fit::plan_attachment(session.set, {screenings[i].receiver, {replacement}}, attachment_options);
      result[i].push_back({replacement,
                           inputs.similarity.between(screenings[i].receiver, screenings[i].donor)
                               .at(replacement.receiver_layer, replacement.donor_layer),
                           std::clamp(r2[i][k], 0.0, 1.0), attachment.has_value(),
                           attachment ? attachment->bytes_added : 0, attachment ? attachment->flops_added : 0});
    }
  }
  return result;
}

}  // namespace repsim::candidates
