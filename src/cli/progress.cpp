#include "progress.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "signals.hpp"

namespace repsim::cli {
namespace {

using std::chrono::duration;
constexpr auto kBarPeriod = std::chrono::milliseconds(100);
constexpr auto kLinePeriod = std::chrono::seconds(10);
constexpr double kWorthALine = 0.5;  // seconds: tasks that took less leave no line
constexpr int kLongestBar = 30;

double seconds_since(std::chrono::steady_clock::time_point begin, std::chrono::steady_clock::time_point now) {
  return duration<double>(now - begin).count();
}

std::string count_text(std::int64_t done, std::int64_t total) {
  if (total <= 0) return std::to_string(done);
  return fmt::format("{}/{} ({} %)", done, total, 100 * done / total);
}

/// "31.2/s": steps in a second. Empty before a second has passed.
std::string rate_text(std::int64_t done, double seconds) {
  return seconds < 1 || done == 0 ? "" : fmt::format("  {:.1f}/s", static_cast<double>(done) / seconds);
}

}  // namespace

CommandProgress::CommandProgress(Form form, std::shared_ptr<Terminal> terminal)
    : form_(form), terminal_(std::move(terminal)) {}

CommandProgress::~CommandProgress() {
  if (form_ == Form::kBar) terminal_->clear_bar();
}

void CommandProgress::begin(std::string_view task, std::int64_t total) {
  end();
  task_ = task;
  total_ = total;
  done_ = 0;
  parts_.clear();
  begun_ = shown_ = Clock::now();
  if (form_ == Form::kBar) show_bar(begun_);
  if (form_ == Form::kLines) spdlog::debug("{}: begins", task_);
}

void CommandProgress::advance(std::int64_t steps) {
  if (task_.empty()) return;  // hashing a file asks in between whether to stop, and is no task
  done_ += steps;
  const auto now = Clock::now();
  if (form_ == Form::kBar && now - shown_ >= kBarPeriod) {
    show_bar(now);
    shown_ = now;
  }
  if (form_ == Form::kLines && now - shown_ >= kLinePeriod) {
    spdlog::info("{}: {}{}", task_, count_text(done_, total_), rate_text(done_, seconds_since(begun_, now)));
    shown_ = now;
  }
}

void CommandProgress::spent(std::string_view part, double seconds) { parts_[std::string(part)] += seconds; }

void CommandProgress::end() {
  if (task_.empty()) return;
  if (form_ == Form::kBar) terminal_->clear_bar();
  const double seconds = seconds_since(begun_, Clock::now());
  if (form_ != Form::kSilent && seconds >= kWorthALine) {
    const std::string count = done_ > 0 ? fmt::format(" {} in", done_) : "";
    spdlog::info("{}:{} {:.1f} s", task_, count, seconds);
    std::string parts;
    for (const auto& [part, took] : parts_)
      parts += fmt::format("{}{} {:.2f} s", parts.empty() ? "" : ", ", part, took);
    if (!parts.empty()) spdlog::debug("{}: {}", task_, parts);
  }
  task_.clear();
}

bool CommandProgress::stop_requested() const { return stop_signal_came(); }

void CommandProgress::show_bar(Clock::time_point now) const {
  const double seconds = seconds_since(begun_, now);
  const std::string time = fmt::format("{:.0f} s{}", seconds, rate_text(done_, seconds));
  const int columns = Terminal::columns() - 1;  // a full last column wraps on some terminals
  std::string text = fmt::format("{}  {}  {}", task_, count_text(done_, total_), time);
  const int room = std::min(kLongestBar, columns - static_cast<int>(text.size()) - 4);
  if (total_ > 0 && room >= 5) {
    const auto filled = static_cast<std::size_t>(room * std::clamp<std::int64_t>(done_, 0, total_) / total_);
    const std::string bar = std::string(filled, '#') + std::string(static_cast<std::size_t>(room) - filled, '.');
    text = fmt::format("{}  [{}]  {}  {}", task_, bar, count_text(done_, total_), time);
  }
  terminal_->bar(std::string_view(text).substr(0, static_cast<std::size_t>(std::max(columns, 1))));
}

CommandProgress::Form progress_form(const CommonFlags& flags) {
  using Form = CommandProgress::Form;
  if (flags.quiet || flags.progress == "never") return Form::kSilent;
  if (flags.progress == "always") return Form::kBar;
  return Terminal::can_show_bar() && !flags.log_json ? Form::kBar : Form::kLines;
}

}  // namespace repsim::cli
