#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <map>

#include "repsim/verify.hpp"

namespace repsim::verify {
namespace {

/// Follows Torch's CPU allocator on the thread that it was installed on. Memory that was allocated before does not
/// count, and neither does its release.
class Recorder : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void* pointer, std::int64_t size, std::size_t, std::size_t, c10::Device device) override {
    if (!device.is_cpu()) return;
    if (size > 0) {
      held_[pointer] = size;
      in_use_ += size;
      peak_ = std::max(peak_, in_use_);
    } else if (const auto found = held_.find(pointer); found != held_.end()) {
      in_use_ -= found->second;
      held_.erase(found);
    }
  }
  [[nodiscard]] bool memoryProfilingEnabled() const override { return true; }
  [[nodiscard]] std::int64_t peak() const { return peak_; }

 private:
  std::map<void*, std::int64_t> held_;
  std::int64_t in_use_ = 0, peak_ = 0;
};

}  // namespace

std::int64_t peak_allocated_bytes(const std::function<void()>& call) {
  const auto recorder = std::make_shared<Recorder>();
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, recorder);
    call();
  }
  return recorder->peak();
}

}  // namespace repsim::verify
