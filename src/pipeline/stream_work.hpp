#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "plan_frames.hpp"
#include "repsim/bundle.hpp"
#include "repsim/candidates.hpp"
#include "repsim/judged_search.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/similarity.hpp"
#include "repsim/single_frames.hpp"
#include "repsim/streams.hpp"
#include "repsim/trial.hpp"
#include "signatures.hpp"
#include "stopwatch.hpp"

/// A plan works stream by stream until the search begins. A plan whose models all run on the same frames has one
/// stream.
namespace repsim::pipeline {

/// One stream of a plan: its models on its videos, and what is known of them.
struct StreamWork {
  bundle::StreamMethod method;  ///< forward, without a name, where there is one stream
  std::unique_ptr<session::Session> session;
  PlanFrames frames;
  PlanStores stores;             ///< of `frames`
  SessionSignatures signatures;  ///< of all models, guests included
  std::unique_ptr<similarity::ModelPairs> similarity;
  std::vector<std::optional<report::ModelEvidence>> evidence;  ///< per model
  verify::BundleCheck check;                                   ///< of the members, on the test frames

  /// One after the other: selection frames serve as evidence on the test frames only if they are others.
  [[nodiscard]] bool selects_apart() const { return frames.selection != frames.test; }
};

/// What a plan is made from. All of it outlives the plan.
struct PlanInputs {
  std::vector<StreamWork>& streams;
  std::int64_t bytes_to_save = 0;  ///< with a budget: bytes that shares have to save; 0 or less: none

  /// Names and programs of models are the same in all sessions.
  [[nodiscard]] const session::Session& session() const { return *streams.front().session; }
  [[nodiscard]] std::size_t stream_of(ModelIndex model) const;
  [[nodiscard]] const StreamWork& of(ModelIndex model) const { return streams[stream_of(model)]; }
  [[nodiscard]] bool has_several() const { return streams.size() > 1; }
};

/// What the bundle's writer has to know of streams; empty where there is one.
[[nodiscard]] std::vector<bundle::StreamMethod> methods_of(const std::vector<StreamWork>& streams);

/// Opens the sessions of all streams. The models are loaded once.
[[nodiscard]] std::vector<StreamWork> open_streams(const Settings& settings, const std::vector<config::Stream>& streams,
                                                   const session::Runtime& runtime, const session::SingleFrames& single,
                                                   Progress& progress);

/// Decodes a stream's frames, captures its signatures and looks for evidence.
void prepare(const Settings& settings, const planner::Judging& judging, StreamWork& stream, Stopwatch& watch,
             Progress& progress);

/// Sets what the written bundle is checked with, on the stream's test frames.
void set_bundle_check(const Settings& settings, const std::string& bundle_path, StreamWork& stream);

/// S of every two models, for similarity.json. Of models on different streams there are two matrices: each on the
/// stream of the model of its rows.
[[nodiscard]] std::vector<similarity::Matrix> matrices_of(const std::vector<StreamWork>& streams);

/// What fits and measures the candidates of a stream.
class StreamTrials {
 public:
  /// @param elsewhere  see candidates::Options::peak_elsewhere
  /// All arguments but the last outlive the object.
  StreamTrials(const Settings& settings, const StreamWork& stream, const planner::Judging& judging, Progress& progress,
               std::int64_t elsewhere);
  StreamTrials(const StreamTrials&) = delete;
  StreamTrials& operator=(const StreamTrials&) = delete;

  /// What the search is asked of the stream's receivers, without their evidence.
  [[nodiscard]] planner::SearchInput search_input(const std::vector<double>& targets);

  [[nodiscard]] trial::TrialTools tools() { return {&fitter_, &selection_}; }
  [[nodiscard]] trial::Measurer& test() { return test_; }
  [[nodiscard]] trial::Measurer& selection() { return selection_; }

 private:
  const Settings& settings_;
  const StreamWork& stream_;
  Progress& progress_;
  const candidates::Options options_;
  trial::CalibrationFrames calibration_;
  trial::Measurer selection_, test_;
  trial::Fitter fitter_;
};

}  // namespace repsim::pipeline
