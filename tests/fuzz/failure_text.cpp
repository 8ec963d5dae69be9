#include "repsim/failure_text.hpp"
#include "fuzz.hpp"

/// The text of an exception, in which a model's author writes what he likes.
REPSIM_FUZZ_TARGET(failure_text) {
  using namespace repsim;
  const std::string_view text = fuzz::text_of(data, size);
  fuzz::demand(model::own_words(text).find('\n') == std::string::npos);
  const model::FailureCause cause = model::cause_of(text);
  static_cast<void>(model::advice_on(cause, model::InputSpec{}));
  return 0;
}
