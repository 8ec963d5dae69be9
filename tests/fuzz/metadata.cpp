#include "fuzz.hpp"
#include "model/plain/extra_file.hpp"

/// An extra file of an archive, under a name that repsim reads and under another one.
REPSIM_FUZZ_TARGET(metadata) {
  using namespace repsim;
  const std::string text(fuzz::text_of(data, size));
  return fuzz::accept_errors([&] {
    model::Metadata found;
    model::read_extra_file("config.txt", text, "a.pt", found);
    model::read_extra_file("b.json", text, "a.pt", found);
    fuzz::demand(!found.input || (model::usable_side(found.input->width) && model::usable_side(found.input->height)));
  });
}
