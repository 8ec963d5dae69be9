#pragma once

#include <set>
#include <string>
#include <vector>

#include "repsim/frame_stream.hpp"
#include "repsim/open_bundle.hpp"
#include "repsim/run.hpp"
#include "repsim/verify.hpp"

namespace repsim::pipeline {

/// A model of a bundle that runs, and its original where that runs, too.
struct RunningModel {
  std::string name;
  verify::Head head;
  double min_score = 0;
  std::string method;              ///< of the bundle, that runs this model alone
  std::size_t position = 0;        ///< among the results of its stream's method
  rebuild::BundleMethod original;  ///< empty: it does not run
};

/// The streams of a bundle. One without several has one without a name, whose method is forward.
[[nodiscard]] std::vector<report::ManifestStream> streams_of(const report::BundleManifest& manifest);

/// The streams with models that a job wants. @throws Error{kUsage} for a model that the bundle does not have
[[nodiscard]] std::vector<report::ManifestStream> wanted_streams(const RunSettings& settings,
                                                                 const report::BundleManifest& manifest);

/// The models of a job on one stream. @throws as run() does
[[nodiscard]] std::vector<RunningModel> running_models(const RunSettings& settings, const rebuild::OpenBundle& bundle,
                                                       const report::ManifestStream& stream,
                                                       const video::FrameStream& video, at::Device device);

/// Runs models on the frames of a video.
class FrameRunner {
 public:
  /// @param bundle, stream, models  outlive this object
  FrameRunner(const rebuild::OpenBundle& bundle, const report::ManifestStream& stream,
              const std::vector<RunningModel>& models, at::Device device);

  /// Whether one call computes all models.
  [[nodiscard]] bool is_one_call() const { return calls_.size() == 1 && is_whole(calls_.front()); }

  /// What the models find on the current frame of `video`: per model the bundle's detections, then, where the original
  /// runs, the original's. All detections of score >= kMinScore.
  /// @throws graph::ModelFailure naming model and frame
  [[nodiscard]] std::vector<report::FrameDetections> run(video::FrameStream& video);

 private:
  /// One call of the bundle per frame.
  struct Call {
    std::string method;
    std::vector<int> groups;
    rebuild::BundleMethod compute;
    std::vector<std::size_t> models;  ///< indices of those whose results it gives
  };
  struct Result {
    c10::IValue value;
    double milliseconds = 0;
  };

  /// Whether a call returns the results of all models of the stream, as a tuple.
  [[nodiscard]] bool is_whole(const Call& call) const { return call.method == stream_.run_method; }
  void add_call(const std::string& method, std::vector<std::size_t> models, at::Device device);
  [[nodiscard]] Result timed(const rebuild::BundleMethod& compute, const std::vector<int>& groups) const;
  [[nodiscard]] Result timed(const Call& call, std::int64_t frame) const;
  [[noreturn]] void explain(const Call& call, std::int64_t frame, const std::exception& error) const;
  [[nodiscard]] report::FrameDetections read(const RunningModel& model, const c10::IValue& output,
                                             std::int64_t frame) const;

  const rebuild::OpenBundle& bundle_;
  const report::ManifestStream& stream_;
  const std::vector<RunningModel>& models_;
  capture::ModelSet set_;   ///< input specs alone
  capture::Stores stores_;  ///< per input group the current frame
  std::set<int> groups_;    ///< those that a call, or an original, reads
  std::vector<Call> calls_;
};

}  // namespace repsim::pipeline
