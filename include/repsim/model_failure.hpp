#pragma once

#include <cstdint>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim::graph {

/// A model, or several that were merged, failed while running. An Error of kind input that also says what a caller can
/// do about it: run one frame at a time, refuse a share, leave a baseline undefined.
class ModelFailure : public Error {
 public:
  enum class Scope {
    kRun,     ///< one run of a graph failed; which model and frame it was is not known yet
    kFrame,   ///< a model alone fails on a frame
    kBatch,   ///< a model computes each of some frames, but not all of them in one run
    kMerged,  ///< no model fails alone: shared layers lead to values with which a later operation fails
  };

  /// @param model  name; empty where it is not known
  /// @param text  the text of the exception that the run ended with
  ModelFailure(Scope scope, std::string model, std::string text, const Error& message);

  [[nodiscard]] Scope scope() const noexcept { return scope_; }
  [[nodiscard]] const std::string& model() const noexcept { return model_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  Scope scope_;
  std::string model_, text_;
};

/// The failure of one run.
/// @param text  of the exception
/// @param device  on which it ran: "cpu", "cuda:0"
[[nodiscard]] ModelFailure failure_of_run(const std::string& text, const std::string& device);

/// The failure of a model on a frame.
/// @param frame  index in the video
/// @param text  of the exception
/// @param remedy  empty: the text decides
[[nodiscard]] ModelFailure failure_on_frame(const std::string& model, std::int64_t frame, const std::string& text,
                                            const std::string& remedy = {});

/// The failure of a model that takes the same frames one by one. @param text  of the exception
[[nodiscard]] ModelFailure failure_in_batch(const std::string& model, const std::string& text);

/// The failure of merged models on frames on which none of them fails alone.
/// @param frame  index in the video of one of these frames
/// @param text  of the exception
[[nodiscard]] ModelFailure failure_of_merged(std::int64_t frame, const std::string& text);

}  // namespace repsim::graph
