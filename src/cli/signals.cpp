#include "signals.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <system_error>
#include <thread>

#include "exit_codes.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/out_of_memory.hpp"

namespace repsim::cli {
namespace {

// A signal handler reaches nothing but globals. Lock-free atomics are all that it may touch.
std::atomic<int> signals_seen = 0;
std::atomic<int> watched_pipe = -1;  // where a thread waits for the second signal
std::atomic<const char*> stop_notice = nullptr, late_notice = nullptr;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<const char*>::is_always_lock_free);

void end_by(int signal_number) {
  signal(signal_number, SIG_DFL);
  raise(signal_number);  // in a handler: delivered when it returns
}

extern "C" void on_stop_signal(int signal_number) {
  const int saved = errno;  // of the code that was interrupted
  const int seen = signals_seen.load();
  if (seen > 0 && signal_number == SIGXCPU) return;
  signals_seen = seen + 1;
  if (seen == 0) {
    const char* notice = stop_notice.load();
    if (write(STDERR_FILENO, notice, std::strlen(notice)) < 0) errno = saved;  // nobody listens: stop all the same
  }
  const auto number = static_cast<unsigned char>(signal_number);
  const bool told = seen <= 1 && watched_pipe >= 0 && write(watched_pipe, &number, 1) == 1;
  if (seen > 0 && !told) end_by(signal_number);
  errno = saved;
}

unsigned char next_signal(int pipe) {
  unsigned char number = 0;
  while (read(pipe, &number, 1) < 0 && errno == EINTR) {
  }
  return number;
}

/// @return whether a further signal came within that time
bool another_comes(int pipe, std::chrono::seconds within) {
  const auto end = std::chrono::steady_clock::now() + within;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd waiting{pipe, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

/// Removing files is nothing for a signal handler: a thread of its own waits for the second signal, and no longer than
/// the grace for a run that does not stop by itself. A model's author may have written a loop without end.
void watch(int pipe, std::chrono::seconds grace) {
  static_cast<void>(next_signal(pipe));
  const bool again = another_comes(pipe, grace);
  abandon_outputs();
  if (!again) {
    std::fputs(late_notice.load(), stderr);
    _exit(kExitInterrupted);
  }
  const unsigned char number = next_signal(pipe);
  signal(number, SIG_DFL);
  kill(getpid(), number);
}

void start_watching(std::chrono::seconds grace) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;  // the second signal then ends the process, and leaves files
  try {
    std::thread(watch, ends[0], grace).detach();
    watched_pipe = ends[1];
  } catch (const std::system_error&) {
    close(ends[0]);
    close(ends[1]);
  }
}

/// LibTorch's writer of archives throws in its destructor when memory runs out, which ends the process.
void report_out_of_memory() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) return;
    std::fputs("repsim: error: out of memory\n", stderr);
    std::_Exit(kExitBadInput);
  } catch (...) {
    return;  // no text: what the handler before says has to do
  }
}

}  // namespace

void survive_surroundings() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // Only for reading: that a result cannot be written is an error all the same.
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) std::_Exit(EXIT_FAILURE);
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  if (std::atexit(abandon_outputs) != 0) return;
  static const std::terminate_handler before = std::get_terminate();
  std::set_terminate([] {
    abandon_outputs();
    report_out_of_memory();
    before();
  });
}

void install_stop_signals(bool log_json, std::chrono::seconds grace) {
  stop_notice = log_json ? "{\"level\":\"info\",\"message\":\"stopping at the next frame\"}\n"
                         : "\nrepsim: stopping at the next frame (once more: at once)\n";
  late_notice = log_json ? "{\"level\":\"info\",\"message\":\"interrupted: no frame came to its end in time\"}\n"
                         : "repsim: interrupted: no frame came to its end in time\n";
  start_watching(grace);
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGXCPU}) {
    struct sigaction inherited = {};
    sigaction(number, nullptr, &inherited);
    if (number == SIGHUP && inherited.sa_handler == SIG_IGN) continue;  // nohup
    sigaction(number, &action, nullptr);
  }
}

bool stop_signal_came() { return signals_seen > 0; }

}  // namespace repsim::cli
