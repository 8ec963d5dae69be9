#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace repsim {

/// Runs `work`. @return the seconds that it takes
template <typename Work>
[[nodiscard]] double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Receives reports of long work and tells it when the user wants to stop. Not thread safe.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A new task of `total` steps begins (0: unknown). The task before it ends.
  virtual void begin(std::string_view task, std::int64_t total) = 0;
  /// `steps` more steps of the current task are done.
  virtual void advance(std::int64_t steps) = 0;
  /// `part` of the current task took so many seconds more.
  virtual void spent(std::string_view /*part*/, double /*seconds*/) {}
  /// The current task is done.
  virtual void end() = 0;
  /// True once the user asked to stop (Ctrl-C).
  [[nodiscard]] virtual bool stop_requested() const = 0;

  /// Runs `work` and reports its time as spent(part, seconds). @return the result of `work`
  template <typename Work>
  auto spend(std::string_view part, const Work& work) {
    if constexpr (std::is_void_v<decltype(work())>) {
      spent(part, seconds_of(work));
    } else {
      const auto begin = std::chrono::steady_clock::now();
      auto result = work();
      spent(part, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      return result;
    }
  }

  /// Reports `steps` more steps, as advance() does. Call it once per frame or minibatch.
  /// @throws Error{kInterrupted} when the user asked to stop
  void step(std::int64_t steps = 1);
};

/// Reports nothing, never stops. For tests and for library users without a terminal.
class SilentProgress : public Progress {
 public:
  void begin(std::string_view, std::int64_t) override {}
  void advance(std::int64_t) override {}
  void end() override {}
  [[nodiscard]] bool stop_requested() const override { return false; }
};

}  // namespace repsim
