#include "logging.hpp"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ctime>

#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

std::int64_t milliseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::string word_of(spdlog::level::level_enum level) {
  const auto view = spdlog::level::to_string_view(level);
  return {view.data(), view.size()};
}

/// "warning: "
std::string label(spdlog::level::level_enum level) {
  const std::string word = word_of(level) + ":";
  if (level < spdlog::level::warn) return word + " ";
  const Emphasis emphasis = level == spdlog::level::warn ? Emphasis::kWarning : Emphasis::kError;
  return emphasised(word, emphasis, Stream::kError) + " ";
}

/// One line per message: for people "repsim: warning: ...", for programs a JSON object.
class TerminalSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  TerminalSink(std::shared_ptr<Terminal> terminal, bool json) : terminal_(std::move(terminal)), json_(json) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::string text(message.payload.data(), message.payload.size());
    if (json_) {
      // Messages may quote paths in any encoding.
      const Json line{{"time", utc_text(milliseconds(message.time))},
                      {"level", word_of(message.level)},
                      {"message", escape_bytes(text)}};
      terminal_->line(line.dump());
    } else {
      // The details of -v may have many lines.
      const std::string shown = message.level >= spdlog::level::info ? printable(text) : escape_bytes(text);
      terminal_->line("repsim: " + (message.level == spdlog::level::info ? shown : label(message.level) + shown));
    }
  }
  void flush_() override {}

 private:
  std::shared_ptr<Terminal> terminal_;
  bool json_;
};

spdlog::level::level_enum level_of(const CommonFlags& flags) {
  if (flags.quiet) return spdlog::level::warn;
  if (flags.verbose >= 2) return spdlog::level::trace;
  return flags.verbose == 1 ? spdlog::level::debug : spdlog::level::info;
}

}  // namespace

void set_up_logging(const CommonFlags& flags, std::shared_ptr<Terminal> terminal) {
  auto logger =
      std::make_shared<spdlog::logger>("repsim", std::make_shared<TerminalSink>(std::move(terminal), flags.log_json));
  logger->set_level(level_of(flags));
  spdlog::set_default_logger(std::move(logger));
}

std::string utc_text(std::int64_t milliseconds_since_1970) {
  constexpr std::int64_t kPerSecond = 1000;
  const std::time_t seconds = milliseconds_since_1970 / kPerSecond;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[32];
  const std::size_t length = std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
  return fmt::format("{}.{:03}Z", std::string_view(date, length), milliseconds_since_1970 % kPerSecond);
}

std::string utc_now() { return utc_text(milliseconds(std::chrono::system_clock::now())); }

}  // namespace repsim::cli
