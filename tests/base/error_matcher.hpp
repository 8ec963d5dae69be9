#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "repsim/base/error.hpp"

namespace repsim::test {

/// The Error that `call` throws; a failed test when it throws none.
inline std::optional<Error> error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return std::nullopt;
}

/// Its kind and text ("where: problem; remedy") as one string, for HasSubstr: "input: c.json: width: the key is
/// missing; ...".
inline std::string error_text(const std::function<void()>& call) {
  const auto error = error_of(call);
  if (!error) return {};
  const char* kind = error->kind() == ErrorKind::kInput         ? "input: "
                     : error->kind() == ErrorKind::kInterrupted ? "interrupted: "
                     : error->kind() == ErrorKind::kInternal    ? "internal: "
                                                                : "other: ";
  return std::string(kind) + error->what();
}

}  // namespace repsim::test
