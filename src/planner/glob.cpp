#include <fnmatch.h>

#include "repsim/planner.hpp"

namespace repsim::planner {

bool glob_matches(const std::string& glob, const std::string& text) {
  return fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

}  // namespace repsim::planner
