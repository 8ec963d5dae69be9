#pragma once

#include <torch/script.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// TorchScript models: loading, input, outputs. The only stage that reads other people's archives.
namespace repsim::model {

/// A model as loaded, in evaluation mode, on the CPU.
struct Loaded {
  ModelSpec spec;            ///< input is resolved; output.format may still be auto
  std::string input_source;  ///< "flags", "config" or "archive: RECORD"
  std::string sha256;        ///< of the file
  std::int64_t file_bytes = 0;
  torch::jit::Module module;
  std::vector<OperatorLibrary> operator_libraries;  ///< that forward needs beside Torch, by file name
};

/// Loads a library of TorchScript operators into the process, for good; a second time changes nothing.
/// @throws Error{kInput}: missing, no library for this Torch
void load_library(const std::string& path);
/// All of them, in this order.
void load_libraries(const std::vector<std::string>& paths);

/// Loads `spec.path`. What the spec leaves open is taken from the archive: an extra file that is a JSON object with
/// imgsz or shape, and names (config.txt first; Ultralytics' exports are fed letterboxed RGB), else the size of the
/// picture with which a module was traced. What the spec says wins; where the archive says another size, that is a
/// warning. An operator of torchvision that is missing is looked for in the torchvision beside the running LibTorch.
/// @param input_source  where spec.input came from, if it is there
/// @throws Error{kInput}: no regular file, damaged (checksums are checked), no TorchScript (weights only,
/// ExportedProgram),
///         operators that this Torch lacks, no forward, input size unknown (remedy shows the flag)
[[nodiscard]] Loaded load(const ModelSpec& spec, const std::string& input_source);

/// The argument of forward for preprocessed frames, in the spec's layout and dtype, contiguous: one tensor, or a list
/// of B tensors. What fits already is not copied.
/// @param frames  [B,3,H,W], any strides; float32 or, with the dtype uint8, bytes
[[nodiscard]] c10::IValue make_input(const InputSpec& spec, const at::Tensor& frames);

/// All tensors of a nested value (tuples, lists, dicts in insertion order, optionals), depth first.
[[nodiscard]] std::vector<at::Tensor> tensors_of(const c10::IValue& value);

/// A deterministic stand-in for video frames, [batch,3,H,W] float32: noise over smooth gradients, preprocessed as
/// `spec` says.
[[nodiscard]] at::Tensor example_frames(const InputSpec& spec, std::int64_t batch);

/// An input that forward accepts where the model's own one fails: other elements or order of channels at the same size,
/// then other sizes. For messages only, as what runs need not be what the model was trained for. Nothing when none of
/// these works. Cost: at most about twenty runs on one small picture.
[[nodiscard]] std::optional<InputSpec> working_input(const Loaded& model);

/// Output format as decided, and why.
struct Recognised {
  OutputSpec spec;  ///< format and boxes never auto
  std::string reason;
};
/// Decides format (when auto) and what else the spec leaves open from what forward returned for example frames. Where
/// more than one format fits, or none for certain, auto takes tensor and the reason says which flag decides.
/// @throws Error{kInput} when there is no tensor in the output, when an explicit format does not fit, or when options
/// are
///         given that the format does not read
[[nodiscard]] Recognised recognise(const Loaded& model, const c10::IValue& output, std::int64_t batch);

/// Decodes the detections of every format but tensor (docs/outputs.md).
/// @param spec  as recognised
/// @return per frame; coordinates relative to the model's input, 0..1; only scores >= kMinScore, no NMS
/// @throws Error{kInput} when the structure differs from what was recognised
[[nodiscard]] std::vector<Detections> decode(const c10::IValue& output, const OutputSpec& spec, const InputSpec& input,
                                             std::int64_t batch);

}  // namespace repsim::model
