#include "fuzz.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/signature_cache.hpp"

namespace {

/// What can be read can be written and reads back.
void read(std::string_view bytes) {
  using namespace repsim;
  const capture::SignatureFile file = capture::signatures_from_bytes(bytes, "a.sig");
  static_cast<void>(capture::signatures_from_bytes(capture::to_bytes(file), "a.sig"));
}

}  // namespace

/// A cache entry or file of signatures, as it is and with the checksum that makes the rest of it believed.
REPSIM_FUZZ_TARGET(signatures) {
  using namespace repsim;
  const std::string bytes(fuzz::text_of(data, size));
  fuzz::accept_errors([&] { read(bytes); });
  return fuzz::accept_errors([&] { read(bytes + sha256(bytes)); });
}
