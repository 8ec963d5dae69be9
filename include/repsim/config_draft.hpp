#pragma once

#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/inspection.hpp"
#include "repsim/model_spec.hpp"
#include "repsim/video_source.hpp"

/// `repsim config init`: the settings of a plan as far as models and video tell them. No torch in this header.
namespace repsim::pipeline {

/// One thing that a draft says, and whether somebody has to look at it.
struct DraftNote {
  std::string field;  ///< as --set takes it: "models.0.input.color"
  std::string value;  ///< in the draft
  bool is_uncertain = false;
  std::string reason;  ///< where the value comes from; of an uncertain one also what to check
};

struct DraftRequest {
  std::vector<model::ModelSpec> models;  ///< input and format may be open
  std::vector<std::string> libraries;    ///< as in Settings
  std::vector<video::VideoSource> videos;
};

struct ConfigDraft {
  std::vector<report::Inspection> models;
  std::vector<DraftNote> notes;  ///< model after model, then video and frames
  Json config;                   ///< of the draft; the paths are those of the request
};

/// Opens every model and counts the frames of the videos. A size that nothing states becomes one at which the model
/// runs.
/// @throws Error{kInput} as inspect() and probe() do, and when the video has too few frames for a plan
[[nodiscard]] ConfigDraft draft_config(const DraftRequest& request, Progress& progress);

/// The notes of one model, without the draft's other work.
/// @param stated  the model as the user describes it
/// @param index  of the model in the config
[[nodiscard]] std::vector<DraftNote> notes_of(const model::ModelSpec& stated, const report::Inspection& found,
                                              std::size_t index);

}  // namespace repsim::pipeline
