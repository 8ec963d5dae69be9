#include <algorithm>
#include <filesystem>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/report.hpp"
#include "repsim/session.hpp"

namespace repsim::session {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
constexpr std::int64_t kFitting = 384 * kMebibyte;    // rows of a fit, in float64, and the solution of its equations
constexpr std::int64_t kSumsOfACut = 32 * kMebibyte;  // that is gathered together with others
constexpr std::int64_t kLeastScreening = 32 * kMebibyte;

/// Of values that live at a time while a minibatch runs, as predicted from the graph.
std::int64_t minibatch_bytes(const graph::Prepared& model) {
  return (model.batchable ? video::kMinibatchFrames : 1) * graph::peak_activation_bytes(model.program);
}

/// What convolutions take as scratch memory comes on top: a quarter, on the detectors where it was measured.
std::int64_t with_scratch(std::int64_t bytes) { return bytes + bytes / 4; }

/// To the next 10 MB: what the remedy names has to be typed.
std::string typed(std::int64_t bytes) {
  constexpr std::int64_t kStep = 10'000'000;
  return std::to_string((bytes + kStep - 1) / kStep * 10) + "M";
}

}  // namespace

Error MemoryLimit::too_small(const std::string& what, std::int64_t needed) const {
  return input_error("the limit of " + report::human_bytes(*bytes_) + " cannot be kept: " + what + " take about " +
                         report::human_bytes(needed),
                     "--memory-limit", "--memory-limit " + typed(needed) + ", or leave it out");
}

void MemoryLimit::check_files(std::span<const ModelSource> models, AtOnce at_once) const {
  if (!bytes_) return;
  std::int64_t all = 0, largest = 0;
  for (const ModelSource& model : models) {
    std::error_code failed;
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(model.spec.path, failed));
    if (failed) continue;  // loading says what is wrong with it
    all += size;
    largest = std::max(largest, size);
  }
  // While a model is loaded its file is in memory beside it.
  const std::int64_t needed = resident_bytes() + largest + (at_once == AtOnce::kAll ? all : largest);
  if (needed > *bytes_) throw too_small("repsim and the models' files", needed);
}

MemoryBudget MemoryLimit::memory_budget(std::span<const graph::Prepared* const> models) const {
  MemoryBudget memory_budget;
  if (!bytes_) return memory_budget;
  memory_budget.is_limited = true;
  release_free_memory();
  const std::int64_t now = resident_bytes();
  std::vector<std::int64_t> minibatches{0, 0};
  std::int64_t weights = 0;
  for (const graph::Prepared* model : models) {
    minibatches.push_back(minibatch_bytes(*model));
    weights += model->model_bytes;
  }
  std::sort(minibatches.rbegin(), minibatches.rend());
  const std::int64_t least = now + with_scratch(minibatches[0]);
  // Optimised copies need less than predicted, so only what is far beyond is refused.
  if (now + minibatches[0] / 2 > *bytes_)
    throw too_small("the models and a minibatch of " + std::to_string(video::kMinibatchFrames) + " frames", least);
  // Optimised copies have weights of their own.
  std::int64_t left = *bytes_ - now - with_scratch(minibatches[0]) - weights;
  memory_budget.rows = std::max<std::int64_t>(0, left - left / 4);  // blocks of many sizes leave gaps between them
  // A receiver and a donor run together; a bundle is in memory as a file and as a module.
  if (models.size() > 1) left -= with_scratch(minibatches[1]) + kFitting + 2 * weights;
  left = std::max<std::int64_t>(0, left);
  memory_budget.screening = std::max(left, kLeastScreening);
  const auto cuts = static_cast<std::int64_t>(memory_budget.together);
  const std::int64_t wanted =
      memory_budget.calibration_values + memory_budget.sums + 2 * memory_budget.frame_values + cuts * kSumsOfACut;
  if (left < wanted) {
    const double part = static_cast<double>(left) / static_cast<double>(wanted);
    const auto shrink = [part](std::int64_t& bytes) {
      bytes = static_cast<std::int64_t>(part * static_cast<double>(bytes));
    };
    shrink(memory_budget.calibration_values);
    shrink(memory_budget.sums);
    shrink(memory_budget.frame_values);
    memory_budget.together = std::max<std::size_t>(1, static_cast<std::size_t>(part * static_cast<double>(cuts)));
  }
  log::info("memory: " + report::human_bytes(now) + " with the models loaded, a minibatch about " +
            report::human_bytes(with_scratch(minibatches[0])) + ", " + report::human_bytes(left) + " of " +
            report::human_bytes(*bytes_) + " left to keep values in");
  return memory_budget;
}

void MemoryLimit::judge() const {
  const std::int64_t peak = peak_resident_bytes();
  if (!bytes_ || peak <= *bytes_) return;
  log::warn("the peak of memory was " + report::human_bytes(peak) + ", above --memory-limit " +
            report::human_bytes(*bytes_));
}

}  // namespace repsim::session
