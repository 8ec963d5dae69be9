#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace repsim {

/// What `work` takes.
template <typename Work>
[[nodiscard]] double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Where long work reports to, and where it learns that the user wants to stop. Not thread safe.
class Progress {
 public:
  virtual ~Progress() = default;
  /// A new task of `total` steps begins (0: unknown). Ends the one before.
  virtual void begin(std::string_view task, std::int64_t total) = 0;
  /// `steps` more steps of the current task are done.
  virtual void advance(std::int64_t steps) = 0;
  /// Of the current task, so long went into `part` (of a few parts, told once or several times).
  virtual void spent(std::string_view /*part*/, double /*seconds*/) {}
  /// The current task is done.
  virtual void end() = 0;
  /// True once the user asked to stop (Ctrl-C).
  [[nodiscard]] virtual bool stop_requested() const = 0;

  /// spent(part, what `work` takes). @return what `work` does
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

  /// advance(1), then throws Error{kInterrupted} when the user asked to stop: call once per frame or minibatch.
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
