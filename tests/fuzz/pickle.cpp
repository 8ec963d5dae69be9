#include "model/plain/pickle.hpp"
#include "fuzz.hpp"
#include "model/plain/code_nesting.hpp"

/// A pickle or code of an archive, before Torch reads them.
REPSIM_FUZZ_TARGET(pickle) {
  using namespace repsim;
  const std::string_view text = fuzz::text_of(data, size);
  const bool whole = model::is_whole_pickle(text);
  fuzz::demand(!whole || model::is_whole_pickle(std::string(text) + "."));
  const std::int64_t nesting = model::code_nesting(text);
  fuzz::demand(nesting >= 0 && nesting <= static_cast<std::int64_t>(size) + 1);
  return 0;
}
