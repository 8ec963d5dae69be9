#pragma once

#include <chrono>
#include <map>
#include <string>

#include "repsim/base/progress.hpp"

namespace repsim::pipeline {

/// Passes on to another Progress, and adds up what tasks of one kind (the first word of their name) took, and parts of
/// them: "capture", "capture: forward".
class TaskTimes : public Progress {
 public:
  explicit TaskTimes(Progress& progress) : progress_(progress) {}

  void begin(std::string_view task, std::int64_t total) override {
    stop_clock();
    kind_ = task.substr(0, task.find(' '));
    begin_ = std::chrono::steady_clock::now();
    progress_.begin(task, total);
  }
  void advance(std::int64_t steps) override { progress_.advance(steps); }
  void spent(std::string_view part, double seconds) override {
    seconds_[kind_ + ": " + std::string(part)] += seconds;
    progress_.spent(part, seconds);
  }
  void end() override {
    stop_clock();
    progress_.end();
  }
  [[nodiscard]] bool stop_requested() const override { return progress_.stop_requested(); }

  [[nodiscard]] const std::map<std::string, double>& seconds() const { return seconds_; }

 private:
  void stop_clock() {
    if (kind_.empty()) return;
    seconds_[kind_] += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    kind_.clear();
  }

  Progress& progress_;
  std::string kind_;  // of the task that runs; empty: none
  std::chrono::steady_clock::time_point begin_;
  std::map<std::string, double> seconds_;
};

}  // namespace repsim::pipeline
