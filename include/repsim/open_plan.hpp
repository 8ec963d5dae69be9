#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "repsim/recorded_plan.hpp"
#include "repsim/session.hpp"

/// A plan that lies on disk, and what it was made from: what verify and bundle have in common.
namespace repsim::rebuild {

/// @param what  "bundle", "model 'front'": names the file in errors
/// @throws Error{kInput} where the file is missing or has another SHA-256
void check_unchanged(const std::string& path, const std::string& expected, const std::string& what);

/// Checks the plan's videos; each may be a folder of pictures or a numbered sequence of them.
/// @throws Error{kInput} as check_unchanged() does; Error{kInterrupted}
void check_videos_unchanged(const report::Plan& plan, Progress& progress);

/// The plan's models with the specs that the plan resolved; checks that each is the model of the plan.
/// @throws Error{kInput}
[[nodiscard]] std::vector<session::ModelSource> models_of(const report::Plan& plan);

/// One stream of a plan, opened.
struct OpenStream {
  report::PlanStream stream;  ///< without a name where the plan has one stream
  std::unique_ptr<session::Session> session;
};

/// On what the streams of a plan are opened.
struct StreamVideos {
  std::vector<video::VideoSource> videos;
  std::optional<std::string> truth;  ///< of a single video
};

/// The videos of a plan's streams as the plan states them.
[[nodiscard]] std::vector<StreamVideos> stream_videos_of(const report::Plan& plan);

/// Opens the sessions of a plan's streams. The models are loaded once.
/// @param models  of the plan, in its order @param videos  per stream
/// @throws Error{kInput}, Error{kInterrupted}
[[nodiscard]] std::vector<OpenStream> open_streams(const session::Runtime& runtime, const report::Plan& plan,
                                                   const std::vector<session::ModelSource>& models,
                                                   const std::vector<StreamVideos>& videos, Progress& progress);

/// The stream on which a model runs.
[[nodiscard]] std::size_t stream_of(const std::vector<OpenStream>& streams, ModelIndex model);

}  // namespace repsim::rebuild
