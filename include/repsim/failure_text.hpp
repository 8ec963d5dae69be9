#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "repsim/model_spec.hpp"

/// Reading the texts with which Torch reports that a model cannot be run: pure functions of text.
namespace repsim::model {

/// The model's or the operation's own words in the text of an exception, on one short line: without tracebacks, places
/// in source code, and C++ stacks. "RuntimeError: shape '[8, 6, 96]' is invalid for input of size 576".
[[nodiscard]] std::string own_words(std::string_view text);

/// Why a run failed, as far as its text tells.
struct FailureCause {
  enum class Kind {
    kUnknown,
    kDevice,    ///< the code names a device that is not the CPU, `subject`
    kMemory,    ///< an allocation of `given` bytes failed; 0: the text does not say how many
    kChannels,  ///< a convolution takes `wanted` channels and was given the 3 of a picture
    kBatch,     ///< a shape was fixed for `wanted` frames
    kDtype,     ///< the weights are of the type `subject`, which no input has
    kOperator,  ///< the operator `subject` cannot run on the CPU
    kOwnCheck,  ///< the model's own code raises an exception or asserts
  };
  Kind kind = Kind::kUnknown;
  std::string subject = {};
  std::int64_t wanted = 0, given = 0;
};
[[nodiscard]] FailureCause cause_of(std::string_view text);

/// A cause as a message: what is wrong in one sentence, and what to do.
struct Advice {
  std::string problem, remedy;
};
/// @param input  what the model was given; the remedy names its size
/// @return nothing for kUnknown
[[nodiscard]] std::optional<Advice> advice_on(const FailureCause& cause, const InputSpec& input);

}  // namespace repsim::model
