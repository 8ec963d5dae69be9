#pragma once

#include <torch/script.h>

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/model_spec.hpp"

/// TorchScript models: loading, input, outputs. The only stage that reads other people's archives.
namespace repsim::model {

/// A model as loaded, in evaluation mode, on the CPU.
struct Loaded {
  ModelSpec spec;            ///< input is resolved; output.format may still be auto
  std::string input_source;  ///< "flags", "config" or "archive"
  std::string sha256;        ///< of the file
  std::int64_t file_bytes = 0;
  torch::jit::Module module;
};

/// Loads `spec.path`. What the spec leaves open is taken from the archive's config.txt (imgsz, names; Ultralytics
/// exports are fed letterboxed RGB).
/// @param input_source  where spec.input came from, if it is there
/// @throws Error{kInput}: missing, truncated, no TorchScript (weights only, ExportedProgram), operators that this Torch
///         lacks, no forward, input size unknown (remedy shows the flag)
[[nodiscard]] Loaded load(const ModelSpec& spec, const std::string& input_source);

/// The argument of forward for preprocessed frames: [B,3,H,W] float32 as it is, or a list of B tensors [3,H,W].
[[nodiscard]] c10::IValue make_input(const InputSpec& spec, const at::Tensor& frames);

/// All tensors of a nested value (tuples, lists, dicts in insertion order, optionals), depth first.
[[nodiscard]] std::vector<at::Tensor> tensors_of(const c10::IValue& value);

/// A deterministic stand-in for video frames, [batch,3,H,W] float32: noise over smooth gradients, preprocessed as
/// `spec` says.
[[nodiscard]] at::Tensor example_frames(const InputSpec& spec, std::int64_t batch);

/// Output format as decided, and why.
struct Recognised {
  OutputSpec spec;  ///< format and boxes never auto
  std::string reason;
};
/// Decides format (when auto) and box units (when auto) from what forward returned for example frames.
/// @throws Error{kInput} when there is no tensor in the output, or when an explicit format does not fit
[[nodiscard]] Recognised recognise(const Loaded& model, const c10::IValue& output, std::int64_t batch);

/// Decodes boxes-scores-labels: (tuple or list of) three tensors, or a dict with boxes, scores, labels.
/// @return per frame; coordinates relative to the model's input, 0..1; nothing is filtered
/// @throws Error{kInput} when the structure differs from what was recognised
[[nodiscard]] std::vector<Detections> decode(const c10::IValue& output, const OutputSpec& spec, const InputSpec& input,
                                             std::int64_t batch);

}  // namespace repsim::model
