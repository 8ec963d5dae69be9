#include "model/plain/file_kind.hpp"
#include "fuzz.hpp"

/// The first bytes of a file that is no archive, and the names of an archive's records, one per line.
REPSIM_FUZZ_TARGET(file_kind) {
  using namespace repsim;
  const std::string_view bytes = fuzz::text_of(data, size);
  fuzz::demand(!model::kind_of_file(bytes.substr(0, model::kKindBytes), "a.pt").problem.empty());
  std::vector<std::string> records(1);
  for (const char byte : bytes) {
    if (byte == '\n') {
      records.emplace_back();
    } else {
      records.back() += byte;
    }
  }
  fuzz::demand(!model::kind_of_archive(records, bytes, "a.pt").problem.empty());
  return 0;
}
