#pragma once

#include <torch/script.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "repsim/base/error.hpp"
#include "repsim/base/index.hpp"
#include "repsim/base/memory.hpp"
#include "repsim/base/progress.hpp"
#include "repsim/capture.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"
#include "repsim/settings.hpp"
#include "repsim/verify.hpp"
#include "repsim/video.hpp"

/// Where every job begins: threads, device and memory limit of the process, then the models of the job and its video,
/// opened and understood. A session is complete once it is constructed; nothing in it changes afterwards.
namespace repsim::session {

/// A model as a job names it.
struct ModelSource {
  model::ModelSpec spec;
  std::string input_source;     ///< where spec.input came from: "flags", "config"; "": the archive says it
  bool frame_by_frame = false;  ///< the model runs on one frame at a time, whatever it takes
};

// --- Threads and device --------------------------------------------------------------------------------------------

/// LibTorch's number of threads for as long as the object lives. Process-wide; the number before comes back at the end.
class ThreadCount {
 public:
  /// @param threads  0: default_threads()
  explicit ThreadCount(int threads);
  ~ThreadCount();
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

// --- Memory --------------------------------------------------------------------------------------------------------

/// The part of a run's memory that is a choice: the values that it keeps to compute less, and the work that it does in
/// one pass. No choice here changes a result.
struct MemoryBudget {
  std::int64_t calibration_values = std::int64_t{512} << 20;  ///< bytes of layers' values that several fits read
  std::int64_t sums = std::int64_t{256} << 20;          ///< bytes of regression sums that several fits have in common
  std::int64_t frame_values = std::int64_t{352} << 20;  ///< bytes of layers' values that several measurements read
  std::size_t together = 32;                            ///< cuts whose regression sums are gathered in one pass
  std::int64_t screening = kUnlimited;                  ///< bytes, see fit::screen()
  std::int64_t rows = kUnlimited;                       ///< bytes, see capture::signatures()
};

/// What a memory budget is divided from.
struct MemoryRoom {
  std::int64_t bytes = 0;                 ///< that a run may take beside the loaded models
  std::vector<std::int64_t> minibatches;  ///< per model: bytes of the values that live at a time while one runs
  std::int64_t weights = 0;               ///< bytes of all models
};
/// What is left beside the minibatches that run together, optimised copies, fits and the bundle, divided among what a
/// run keeps: everything gets its default where there is room for all, else the same part of it.
[[nodiscard]] MemoryBudget divided(const MemoryRoom& room);
/// The room of a run without a limit: 2 GB, or more where the models alone need that.
/// @param models  `bytes` is not read
[[nodiscard]] MemoryRoom unasked_room(MemoryRoom models);

/// The `--memory-limit` of a run: its peak of resident memory, libraries included.
class MemoryLimit {
 public:
  /// @param bytes  none: no limit; then nothing here refuses or warns
  explicit MemoryLimit(std::optional<std::int64_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] bool set() const { return bytes_.has_value(); }

  enum class AtOnce { kAll, kOne };  ///< models that are in memory together
  /// For use before the models are loaded. @throws Error{kInput} when the model files alone are too large
  void check_files(std::span<const ModelSource> models, AtOnce at_once) const;

  /// Divides what is left beside the loaded models (see divided()); without a limit, unasked_room().
  /// @throws Error{kInput} when models and minibatch are too large
  [[nodiscard]] MemoryBudget memory_budget(std::span<const graph::Prepared* const> models) const;

  /// For the end of a run: warns when the run did not keep the limit.
  void judge() const;

 private:
  [[nodiscard]] Error too_small(const std::string& what, std::int64_t needed) const;

  std::optional<std::int64_t> bytes_;
};

// --- A job's place on the machine -----------------------------------------------------------------------------------

struct RuntimeOptions {
  int threads = 0;                           ///< 0: as many as the machine has cores
  config::Device device;                     ///< of capture, fits and trials
  std::optional<std::int64_t> memory_limit;  ///< bytes; none: no limit
};

/// Threads, device and memory limit of a job, for as long as the object lives. LibTorch is set so that it computes the
/// same in every run and rounds as float32 does.
class Runtime {
 public:
  /// @throws Error{kInput} when this LibTorch or this machine has no such device
  explicit Runtime(const RuntimeOptions& options);

  [[nodiscard]] at::Device device() const { return device_; }
  [[nodiscard]] const MemoryLimit& memory_limit() const { return memory_limit_; }

 private:
  ThreadCount threads_;
  at::Device device_;
  MemoryLimit memory_limit_;
};

/// The files of a job beside its models.
struct InputFiles {
  std::vector<std::string> libraries;      ///< of operators that models need beside Torch: paths, loaded in this order
  std::vector<video::VideoSource> videos;  ///< with their ground truth; empty: the job needs none
  std::optional<std::string> truth;        ///< ground truth of a single video
};
/// Cheap checks before any model is loaded: loads the libraries, decodes the first frame of each video, reads the
/// truth.
/// @throws Error{kInput}
void check_files(const InputFiles& files);

// --- The session ---------------------------------------------------------------------------------------------------

/// A model of a session: loaded, run on example frames, prepared.
struct Model {
  model::Loaded loaded;
  model::Recognised output;      ///< format of its output, resolved
  graph::Prepared prepared;      ///< on the session's device
  std::string identifier;        ///< of the model in a bundle
  int group = 0;                 ///< input group: index in capture::ModelSet::specs
  std::string output_structure;  ///< of forward on one frame, with types and shapes: "tuple(Float[1,484,4], ...)"
  verify::Head head;             ///< how its output is read on frames of the videos; without one, on its own input

  [[nodiscard]] const std::string& name() const { return loaded.spec.name; }
};

/// Loads one model and prepares it, for jobs that have one model in memory at a time.
/// @throws Error{kInput}
[[nodiscard]] model::Loaded load(const ModelSource& source);
[[nodiscard]] graph::Prepared prepare(const model::Loaded& loaded, at::Device device);

struct SessionOptions {
  std::vector<ModelSource> models;
  std::vector<video::VideoSource> videos;  ///< none: no video is opened
  std::optional<std::string> truth;        ///< ground truth for a single video; several have theirs in `videos`
  /// Called with the loaded models before the video is read: a job's own check of them. May throw, may be empty.
  std::function<void(std::span<const Model>)> check_models;
  std::vector<ModelIndex> members = {};  ///< models that run on these videos, ascending; empty: all
  std::size_t sessions = 1;              ///< of the same models on different streams, which share the memory
};

/// Frames of the videos, as they are or changed in a known way.
struct FrameSet {
  std::vector<std::int64_t> frames;  ///< ascending numbers in the playlist
  video::Perturbation perturbation = video::Perturbation::kNone;
};

/// The models of one job and its videos.
struct Session {
  /// Loads, runs once, prepares and groups the models, divides the memory, probes the videos.
  /// @param runtime  outlives the session
  /// @throws Error{kInput} naming model or video, also when an input shows different parts of the frames of two videos;
  ///         Error{kInterrupted}
  Session(const Runtime& runtime, const SessionOptions& options, Progress& progress);
  /// The same models on the videos of another stream. They are not loaded again.
  /// @param options  `models`, `sessions` and `check_models` are not read
  /// @throws Error{kInput}, Error{kInterrupted} as the other constructor does, for the videos
  Session(const Session& models_of, const SessionOptions& options, Progress& progress);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  std::vector<Model> models;           ///< in the job's order
  std::vector<ModelIndex> members;     ///< those that run on the videos, ascending; the others are guests
  MemoryBudget memory_budget;          ///< beside these models
  video::Playlist playlist;            ///< empty without a video
  std::optional<verify::Truth> truth;  ///< of all videos
  /// The models and what feeds them; points into `models`. Its views are set when there is a video.
  capture::ModelSet set;

  [[nodiscard]] const Model& model(ModelIndex index) const { return models[index]; }
  [[nodiscard]] std::vector<const model::Loaded*> loaded() const;
  /// Whether a model does not run on these videos. A receiver may take layers of it all the same: they are then
  /// computed on the receiver's frames, too.
  [[nodiscard]] bool is_guest(ModelIndex index) const;
  /// For the check of a bundle: the members, without outputs of the originals.
  [[nodiscard]] std::vector<verify::CheckedModel> checked_models() const;

  /// Decoding requests for some sets of frames: per set one request per input group.
  [[nodiscard]] std::vector<video::Request> requests(std::span<const FrameSet> sets) const;
  /// Splits what video::decode() returns for requests() into the sets.
  [[nodiscard]] std::vector<capture::Stores> split(std::vector<video::FrameStore> stores) const;
  /// Decodes some sets of frames in one pass. @throws as video::decode() does
  [[nodiscard]] std::vector<capture::Stores> decode(std::span<const FrameSet> sets, Progress& progress) const;
};

/// The model of this name; -1: none.
[[nodiscard]] ModelIndex find_model(std::span<const Model> models, const std::string& name);

}  // namespace repsim::session
