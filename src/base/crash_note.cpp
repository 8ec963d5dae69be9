#include "repsim/base/crash_note.hpp"

#include <atomic>

#include "repsim/base/json_io.hpp"
#include "repsim/base/text.hpp"

namespace repsim {
namespace {

std::atomic<const CrashNote*> innermost = nullptr;
static_assert(std::atomic<const CrashNote*>::is_always_lock_free);

/// A JSON string without its first quote.
std::string rest_of_string(const std::string& text) { return Json(escape_bytes(text)).dump().substr(1); }

}  // namespace

CrashNote::CrashNote(const std::string& doing, const std::string& where, const std::string& remedy)
    : text_(" while " + doing + "\n  where:  " + printable(where) + "\n  remedy: " + printable(remedy) + "\n"),
      json_(rest_of_string(" while " + doing) + R"(,"where":")" + rest_of_string(where) + R"(,"remedy":")" +
            rest_of_string(remedy)),
      outer_(innermost.exchange(this)) {}

CrashNote::~CrashNote() { innermost = outer_; }

const CrashNote* CrashNote::current() noexcept { return innermost; }

}  // namespace repsim
