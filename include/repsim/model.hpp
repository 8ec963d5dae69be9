#pragma once

#include <torch/script.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "repsim/base/crash_note.hpp"
#include "repsim/base/error.hpp"
#include "repsim/model_spec.hpp"

/// TorchScript models: loading, input, outputs. No other stage reads models' archives.
namespace repsim::model {

/// A model as loaded, in evaluation mode, on the CPU.
struct Loaded {
  ModelSpec spec;            ///< input is resolved; output.format may still be auto
  std::string input_source;  ///< "flags", "config" or "archive: RECORD"
  std::string sha256;        ///< of the file
  std::int64_t file_bytes = 0;
  torch::jit::Module module;
  std::vector<OperatorLibrary> operator_libraries;  ///< the libraries that forward needs, by file name
  std::int64_t traced_batch = 0;                    ///< frames with which forward was traced; 0: not known
  bool frame_by_frame = false;                      ///< forward is given one frame at a time, whatever it takes
  std::int64_t hidden_bytes = 0;                    ///< of the file's tensors, left out on loading: no view shows them
  std::optional<InputSpec> archive_input;           ///< the input that the archive states, whatever `spec` says
};

/// Loads a library of TorchScript operators into the process. It stays loaded; to load it again changes nothing.
/// @throws Error{kInput} when the file is missing or no library for this Torch
void load_library(const std::string& path);
/// Calls load_library() for each path in order.
void load_libraries(const std::vector<std::string>& paths);

/// Loads the model at `spec.path`. Where the spec leaves the input open, the archive decides: an extra file that is a
/// JSON object with imgsz or shape, and names (config.txt first; Ultralytics' exports take letterboxed RGB), else the
/// size of the picture with which the module was traced. If both say different sizes, the spec wins, with a warning. If
/// an operator of torchvision is missing, repsim looks for it in the torchvision beside the running LibTorch.
/// @param input_source  where spec.input came from, if it is there
/// @throws Error{kInput} when the path is no regular file; when the file is damaged (checksums are checked) or no
///         TorchScript (weights only, ExportedProgram); when it needs operators that this Torch lacks or has no
///         forward, or one that takes no picture; when the input size is unknown (the remedy shows the flag)
[[nodiscard]] Loaded load(const ModelSpec& spec, const std::string& input_source);

/// Names the file in the report of a crash while its code runs. @param path  a model's or a bundle's
[[nodiscard]] CrashNote note_of_run(const std::string& path);

/// A TorchScript archive as it lies on disk, for what is no single model: a bundle.
struct OpenArchive {
  torch::jit::Module module;  ///< in evaluation mode, on the CPU
  std::string sha256;         ///< of the file
  /// Contents of the extra files by name; those of more than 1 MiB are left out.
  std::map<std::string, std::string> extra_files;
};
/// Opens an archive, with the checks of load() before Torch reads it, and torchvision's operators where it needs them.
/// @param name  what it is, for messages @throws Error{kInput}
[[nodiscard]] OpenArchive open_archive(const std::string& path, const std::string& name);

/// @throws Error{kInput} where a tensor of an output holds no numbers that can be compared: quantised, sparse, of a
/// type
///         without arithmetic (8-bit floats, unsigned integers of more than 8 bits)
void check_output_kinds(const c10::IValue& output, const std::string& path);

/// The argument of forward for preprocessed frames, in the spec's layout and dtype, contiguous: one tensor, or a list
/// of B tensors. Frames that are in this form already are not copied.
/// @param frames  [B,3,H,W], any strides; float32 or, with the dtype uint8, bytes
[[nodiscard]] c10::IValue make_input(const InputSpec& spec, const at::Tensor& frames);

/// All tensors of a nested value (tuples, lists, dicts in insertion order, optionals), depth first.
[[nodiscard]] std::vector<at::Tensor> tensors_of(const c10::IValue& value);

/// Deterministic pictures in place of video frames, [batch,3,H,W] float32: noise over smooth gradients, preprocessed as
/// `spec` says.
[[nodiscard]] at::Tensor example_frames(const InputSpec& spec, std::int64_t batch);

/// The error for a model whose forward fails on an example picture. The text of the exception, a batch of the size with
/// which the model was traced, and inputs of other forms tell why, and what to do.
/// @param error  what forward ended with
[[nodiscard]] Error forward_error(const Loaded& model, const std::exception& error);

/// A copy of a module that shares no memory with it. Tensors that are views of one memory are so in the copy, too, with
/// the same strides: Module::deepcopy() takes them apart.
[[nodiscard]] torch::jit::Module copy_of(const torch::jit::Module& module);

/// A tensor that cut_memory() may move: a view of its own where the tensor is a part of larger memory, else the tensor
/// itself, which is never moved.
[[nodiscard]] at::Tensor movable(const at::Tensor& tensor);
/// Moves tensors of a module that are parts of larger memory to memory that holds no more than the module's tensors
/// show, and a gap only where it lies between elements that one of them shows. Their strides stay.
void cut_memory(const torch::jit::Module& module);

/// An input that forward accepts, for a model that fails on its own input. Tries the size that the archive states,
/// other dtypes and layouts at the size of the spec, then other sizes; nothing when none of them works. For messages
/// only: an input that runs need not be the one that the model was trained for. Cost: at most about twenty runs on one
/// small picture.
[[nodiscard]] std::optional<InputSpec> working_input(const Loaded& model);

/// The output format of a model, and why it was chosen.
struct Recognised {
  OutputSpec spec;  ///< format and boxes never auto
  std::string reason;
};
/// Chooses the output format (where the spec says auto) and what else the spec leaves open. If several formats fit, or
/// none for certain, it chooses tensor, and the reason says which flag decides.
/// @param output  what forward returned for example frames
/// @throws Error{kInput} when there is no tensor in the output, when an explicit format does not fit, or when the spec
///         has options that the format does not read
[[nodiscard]] Recognised recognise(const Loaded& model, const c10::IValue& output, std::int64_t batch);

/// Decodes detections, of every format but tensor (docs/outputs.md).
/// @param spec  as recognise() returned it
/// @return per frame the detections of score >= kMinScore, without NMS; coordinates relative to the model's input, 0..1
/// @throws Error{kInput} when the structure of the output is not that of the format
[[nodiscard]] std::vector<Detections> decode(const c10::IValue& output, const OutputSpec& spec, const InputSpec& input,
                                             std::int64_t batch);

}  // namespace repsim::model
