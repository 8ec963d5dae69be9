#pragma once

#include <optional>
#include <string>

#include "repsim/pipeline.hpp"
#include "repsim/session.hpp"
#include "repsim/single_frames.hpp"
#include "repsim/streams.hpp"

/// What a session is opened with, out of the settings of plan and validate.
namespace repsim::pipeline {

[[nodiscard]] session::RuntimeOptions runtime_options(const Settings& settings);
/// Per stream.
[[nodiscard]] std::vector<session::InputFiles> input_files(const std::vector<config::Stream>& streams,
                                                           const std::vector<std::string>& libraries);
[[nodiscard]] std::vector<session::ModelSource> model_sources(const Settings& settings);

/// The session checks, once its models are loaded, that the directions which the user forces can be shared
/// (Error{kInput}).
/// @param settings  outlive the session's construction
/// @param stream  of the session, one of `streams`
[[nodiscard]] session::SessionOptions session_options(const Settings& settings, const config::Stream& stream,
                                                      std::size_t streams, const session::SingleFrames& single);

}  // namespace repsim::pipeline
