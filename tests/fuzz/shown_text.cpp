#include "fuzz.hpp"
#include "repsim/base/text.hpp"

/// Names and words of strangers on their way to a terminal and into JSON.
REPSIM_FUZZ_TARGET(shown_text) {
  using namespace repsim;
  const std::string_view text = fuzz::text_of(data, size);
  const std::string escaped = escape_bytes(text), line = printable(text);
  fuzz::demand(is_utf8(escaped) && is_utf8(line) && (!is_utf8(text) || escaped == text));
  for (const char byte : line) fuzz::demand(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f);
  for (const int columns : {1, 7, 80}) {
    for (const std::string& part : wrap(line, columns)) {
      fuzz::demand(display_width(part) <= columns && is_utf8(part));
    }
  }
  return 0;
}
