#include "repsim/base/out_of_memory.hpp"

#include <new>
#include <string_view>

namespace repsim {

bool is_out_of_memory(const std::exception& error) {
  const std::string_view text = error.what();
  const auto has = [text](std::string_view part) { return text.find(part) != std::string_view::npos; };
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr || has("can't allocate memory") ||
         has("not enough memory") || has("Insufficient memory") || has("allocation failed") ||
         has("unexpected pos");  // of LibTorch's writer, which writes into memory
}

void rethrow_out_of_memory(const std::exception& error) {
  if (is_out_of_memory(error)) throw std::bad_alloc();
}

}  // namespace repsim
