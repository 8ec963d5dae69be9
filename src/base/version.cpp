#include "repsim/base/version.hpp"

namespace repsim {

std::string tool_version() { return REPSIM_VERSION; }

}  // namespace repsim
