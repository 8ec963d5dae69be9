#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common_flags.hpp"
#include "repsim/base/progress.hpp"
#include "terminal.hpp"

namespace repsim::cli {

/// Progress of a command: a bar on a terminal, sparse lines in a log, or nothing; stops on a stop signal (signals.hpp).
class CommandProgress : public Progress {
 public:
  enum class Form { kBar, kLines, kSilent };

  CommandProgress(Form form, std::shared_ptr<Terminal> terminal);
  ~CommandProgress() override;
  CommandProgress(const CommandProgress&) = delete;
  CommandProgress& operator=(const CommandProgress&) = delete;

  void begin(std::string_view task, std::int64_t total) override;
  void advance(std::int64_t steps) override;
  void spent(std::string_view part, double seconds) override;
  void end() override;
  [[nodiscard]] bool stop_requested() const override;

 private:
  using Clock = std::chrono::steady_clock;
  void show_bar(Clock::time_point now) const;

  Form form_;
  std::shared_ptr<Terminal> terminal_;
  std::string task_;  ///< empty: none is running
  std::int64_t total_ = 0, done_ = 0;
  Clock::time_point begun_, shown_;
  std::map<std::string, double> parts_;  ///< seconds
};

/// auto: a bar when stderr is a terminal and the log is for people, else lines. Quiet shows no progress.
[[nodiscard]] CommandProgress::Form progress_form(const CommonFlags& flags);

}  // namespace repsim::cli
