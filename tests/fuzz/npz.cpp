#include "repsim/npz.hpp"
#include "fuzz.hpp"

namespace {

using namespace repsim;

/// An array that can be read has as many values as its header says.
void read_array(std::string_view bytes) {
  const model::NpyArray array = model::npy_from(bytes, "arrays.npz: a");
  fuzz::demand(array.header.bytes() == static_cast<std::int64_t>(array.values.size()));
}

void read_file(std::string_view bytes) {
  const model::NpzReader file(fuzz::file_with(bytes));
  for (const std::string& name : file.names()) {
    fuzz::demand(file.has(name));
    fuzz::accept_errors([&] { static_cast<void>(file.read(name)); });
  }
}

}  // namespace

/// What an engine returned: a file of arrays, and one of its records, whose checksum would keep most changes away.
REPSIM_FUZZ_TARGET(npz) {
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::accept_errors([&] { read_array(bytes); });
  return fuzz::accept_errors([&] { read_file(bytes); });
}
