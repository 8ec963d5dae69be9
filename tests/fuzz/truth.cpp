#include "fuzz.hpp"
#include "repsim/verify_metrics.hpp"

/// A file of ground truth.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace repsim;
  return fuzz::accept_errors(
      [&] { static_cast<void>(verify::read_motchallenge(fuzz::file_with(fuzz::text_of(data, size)), 640, 480, 0)); });
}
