#include "fuzz.hpp"
#include "repsim/signature_cache.hpp"

/// A cache entry or file of signatures; what can be read can be written and reads back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    const capture::SignatureFile file = capture::signatures_from_bytes(fuzz::text_of(data, size), "a.sig");
    static_cast<void>(capture::signatures_from_bytes(capture::to_bytes(file), "a.sig"));
  });
}
