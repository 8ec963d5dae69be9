#pragma once

#include "repsim/base/progress.hpp"

namespace repsim::pipeline {

/// Reports nothing, stops when `asked` says so. For work that is too short to be shown.
class QuietProgress : public SilentProgress {
 public:
  /// @param asked  must outlive this object
  explicit QuietProgress(const Progress& asked) : asked_(asked) {}
  [[nodiscard]] bool stop_requested() const override { return asked_.stop_requested(); }

 private:
  const Progress& asked_;
};

}  // namespace repsim::pipeline
