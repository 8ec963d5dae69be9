#pragma once

#include <string>
#include <string_view>

namespace repsim {

/// Names what a process does while code that others wrote runs in it. Torch's operators trust their arguments in
/// places, so a strange model can crash the process. A handler of such signals then says which file it was.
///
/// Notes lie inside one another, the innermost counts. One thread at a time makes them.
class CrashNote {
 public:
  /// @param doing  ends the sentence "the process crashed while ...": "Torch opened and tried this model"
  /// @param where  the file
  CrashNote(const std::string& doing, const std::string& where, const std::string& remedy);
  ~CrashNote();
  CrashNote(const CrashNote&) = delete;
  CrashNote& operator=(const CrashNote&) = delete;

  /// The innermost note; null: the process does its own work. A signal handler may call it, and the methods below.
  [[nodiscard]] static const CrashNote* current() noexcept;

  /// As the error's further lines on a terminal, "... while DOING\n  where:  WHERE\n  remedy: REMEDY\n".
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  /// As JSON from inside of the string that says what happened: ` while DOING","where":"WHERE","remedy":"REMEDY"`
  [[nodiscard]] std::string_view json() const noexcept { return json_; }

 private:
  std::string text_, json_;
  const CrashNote* outer_;
};

}  // namespace repsim
