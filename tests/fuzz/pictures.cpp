#include "video/pictures.hpp"

#include <array>
#include <filesystem>
#include <fstream>

#include "fuzz.hpp"

namespace {

namespace fs = std::filesystem;

/// A folder with a few numbered pictures; they are not decoded.
const fs::path& folder() {
  static const fs::path path = [] {
    const fs::path made = "/dev/shm/repsim-fuzz-pictures-" + std::to_string(getpid());
    fs::create_directories(made);
    for (const char* name : {"1.png", "02.png", "a%1.jpg", "a007b.png", "a10b.png"}) std::ofstream(made / name) << "x";
    return made;
  }();
  return path;
}

}  // namespace

/// Three names, whose order has to be one, and the name of a numbered sequence.
REPSIM_FUZZ_TARGET(pictures) {
  using namespace repsim;
  const std::string_view text = fuzz::text_of(data, size);
  std::array<std::string_view, 3> names{text.substr(0, size / 3), text.substr(size / 3, size / 3),
                                        text.substr(size / 3 * 2)};
  for (const std::string_view a : names) {
    fuzz::demand(!video::natural_less(a, a));
    for (const std::string_view b : names) {
      fuzz::demand(!(video::natural_less(a, b) && video::natural_less(b, a)));
      fuzz::demand(a == b || video::natural_less(a, b) || video::natural_less(b, a));
      for (const std::string_view c : names)
        fuzz::demand(!(video::natural_less(a, b) && video::natural_less(b, c)) || video::natural_less(a, c));
    }
  }
  std::string name(text.substr(0, 100));
  for (char& byte : name) {
    if (byte == '/' || byte == '\0') byte = '_';
  }
  return fuzz::accept_errors([&] { static_cast<void>(video::find_pictures(folder() / name)); });
}
