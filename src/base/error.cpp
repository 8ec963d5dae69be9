#include "repsim/base/error.hpp"

#include <utility>

namespace repsim {

Error::Error(ErrorKind kind, std::string problem, std::string where, std::string remedy)
    : kind_(kind), problem_(std::move(problem)), where_(std::move(where)), remedy_(std::move(remedy)) {
  if (!where_.empty()) text_ = where_ + ": ";
  text_ += problem_;
  if (!remedy_.empty()) text_ += "; " + remedy_;
}

Error input_error(std::string problem, std::string where, std::string remedy) {
  return Error(ErrorKind::kInput, std::move(problem), std::move(where), std::move(remedy));
}

}  // namespace repsim
