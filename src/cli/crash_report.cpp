#include "crash_report.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <string_view>

#include "exit_codes.hpp"
#include "repsim/base/crash_note.hpp"

namespace repsim::cli {
namespace {

constexpr std::size_t kStackBytes = 64 << 10;

std::atomic<bool> as_json = false;

/// Only what a signal handler may call: not std::string, not strsignal.
void write_text(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string_view name_of(int signal_number) {
  switch (signal_number) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    default:
      return "SIGABRT";
  }
}

extern "C" void on_crash(int signal_number) {
  const CrashNote* note = CrashNote::current();
  if (note == nullptr) {  // our own mistake: a core file, if the system keeps them
    write_text("repsim: the process crashed: a mistake in repsim or in one of its libraries; please report it\n");
    signal(signal_number, SIG_DFL);
    raise(signal_number);
    return;
  }
  if (!as_json && isatty(STDERR_FILENO) == 1) write_text("\n");  // behind a progress bar
  write_text(as_json ? "{\"level\":\"error\",\"message\":\"the process crashed ("
                     : "repsim: error: the process crashed (");
  write_text(name_of(signal_number));
  write_text(")");
  write_text(as_json ? note->json() : note->text());
  if (as_json) write_text(",\"exit_code\":3}\n");
  _exit(kExitBadInput);
}

}  // namespace

void install_crash_report(bool log_json) {
#ifndef __SANITIZE_ADDRESS__  // which reports crashes itself
  as_json = log_json;
  static std::array<std::byte, kStackBytes> stack;  // a model that calls itself without end has used up the usual one
  stack_t alternative{};
  alternative.ss_sp = stack.data();
  alternative.ss_size = stack.size();
  sigaltstack(&alternative, nullptr);
  struct sigaction action = {};
  action.sa_handler = on_crash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigaction(number, &action, nullptr);
#else
  as_json = log_json;
#endif
}

}  // namespace repsim::cli
