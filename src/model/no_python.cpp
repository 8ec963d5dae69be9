#include "no_python.hpp"

// The build puts the library's bytes here.
asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".global repsim_no_python_begin\n"
    "repsim_no_python_begin:\n"
    ".incbin \"" REPSIM_NO_PYTHON
    "\"\n"
    ".global repsim_no_python_end\n"
    "repsim_no_python_end:\n"
    ".byte 0\n"
    ".popsection\n");
extern "C" const char repsim_no_python_begin[], repsim_no_python_end[];

namespace repsim::model {

std::string_view no_python_library() {
  return {repsim_no_python_begin, static_cast<std::size_t>(repsim_no_python_end - repsim_no_python_begin)};
}

}  // namespace repsim::model
