#pragma once

#include <exception>
#include <string>

namespace repsim {

/// What went wrong, in the terms that decide the exit code (mapped in one place, src/cli/main.cpp).
enum class ErrorKind {
  kUsage,           ///< the command line itself: exit 2
  kInput,           ///< a model, video, config or path that cannot be used: exit 3
  kNothingToShare,  ///< no share keeps the asked fidelity (the plan is written all the same): exit 4
  kDrift,           ///< a plan no longer holds: exit 5
  kInterrupted,     ///< the user asked to stop: exit 130
  kInternal,        ///< anything else: exit 1
};

/// The one exception of repsim. Foreign exceptions are turned into it where file and field are known.
class Error : public std::exception {
 public:
  /// @param problem  what is wrong, one sentence without a final stop
  /// @param where    file plus field, e.g. "plan.json: models[1].input.width"; may be empty
  /// @param remedy   a thing to type or write; may be empty
  Error(ErrorKind kind, std::string problem, std::string where = {}, std::string remedy = {});

  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  [[nodiscard]] const std::string& where() const noexcept { return where_; }
  [[nodiscard]] const std::string& remedy() const noexcept { return remedy_; }
  /// "where: problem; remedy" on one line.
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  ErrorKind kind_;
  std::string problem_, where_, remedy_, text_;
};

/// Shorthand for the most frequent kind.
[[nodiscard]] Error input_error(std::string problem, std::string where, std::string remedy = {});

}  // namespace repsim
