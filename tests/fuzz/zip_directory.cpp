#include "model/plain/zip_directory.hpp"
#include "fuzz.hpp"

/// The directory of an archive, and the bytes of every stored record.
REPSIM_FUZZ_TARGET(zip_directory) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    const std::string_view bytes = fuzz::text_of(data, size);
    for (const model::ZipRecord& record : model::read_zip_directory(bytes, "a.pt")) {
      if (!record.deflated) static_cast<void>(model::stored_bytes(bytes, record, "a.pt").size());
    }
  });
}
