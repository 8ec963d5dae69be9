#pragma once

#include <chrono>
#include <string>

#include "repsim/base/json_io.hpp"
#include "repsim/base/log.hpp"

namespace repsim::pipeline {

/// Seconds per stage of a run.
class Stopwatch {
 public:
  /// Adds the time since the last call, or since the construction, to a stage.
  void lap(const std::string& stage) {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    laps_[stage] = laps_.contains(stage) ? laps_[stage].get<double>() + seconds : seconds;
    log::debug(stage + ": " + std::to_string(seconds) + " s");
    last_ = now;
  }
  [[nodiscard]] std::chrono::duration<double> since_start() const { return std::chrono::steady_clock::now() - start_; }
  [[nodiscard]] const Json& laps() const { return laps_; }

 private:
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
  Json laps_ = Json::object();
};

}  // namespace repsim::pipeline
