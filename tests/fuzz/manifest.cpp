#include "fuzz.hpp"
#include "repsim/bundle_manifest.hpp"

/// The repsim.json of a bundle.
REPSIM_FUZZ_TARGET(manifest) {
  using namespace repsim;
  return fuzz::accept_errors(
      [&] { static_cast<void>(report::read_manifest(std::string(fuzz::text_of(data, size)), "bundle.pt")); });
}
