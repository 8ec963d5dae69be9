#include "repsim/model_failure.hpp"

#include <utility>

#include "repsim/failure_text.hpp"

namespace repsim::graph {
namespace {

std::string frame_text(std::int64_t frame) { return "frame " + std::to_string(frame) + " of the video"; }

}  // namespace

ModelFailure::ModelFailure(Scope scope, std::string model, std::string text, const Error& message)
    : Error(message), scope_(scope), model_(std::move(model)), text_(std::move(text)) {}

ModelFailure failure_of_run(const std::string& text, const std::string& device) {
  const bool on_cpu = device == "cpu";
  const std::string place = on_cpu ? "" : " on " + device;
  return {ModelFailure::Scope::kRun, "", text,
          input_error("the model's graph failed while running" + place + ": " + model::own_words(text), {},
                      on_cpu ? "check --input" : "run it where it does: --device cpu")};
}

ModelFailure failure_on_frame(const std::string& model, std::int64_t frame, const std::string& text,
                              const std::string& remedy) {
  const auto advice = model::advice_on(model::cause_of(text), {});
  std::string words = model::own_words(text);
  if (advice && !advice->problem.empty()) words = advice->problem;
  const std::string otherwise = advice ? advice->remedy : "give a --video of frames that the model takes";
  return {ModelFailure::Scope::kFrame, model, text,
          input_error("the model fails on " + frame_text(frame) + ": " + words, model,
                      remedy.empty() ? otherwise : remedy)};
}

ModelFailure failure_in_batch(const std::string& model, const std::string& text) {
  return {ModelFailure::Scope::kBatch, model, text,
          input_error("the model fails on several frames at once: " + model::own_words(text), model,
                      "export it for single frames")};
}

ModelFailure failure_of_merged(std::int64_t frame, const std::string& text) {
  return {ModelFailure::Scope::kMerged, "", text,
          input_error("the merged models fail on " + frame_text(frame) +
                          ", where no model fails alone: " + model::own_words(text),
                      {}, "keep the model as it is that fails: --keep NAME")};
}

}  // namespace repsim::graph
