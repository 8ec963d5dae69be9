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
constexpr std::int64_t kUnasked = 2'000'000'000;      // beside the loaded models, where there is no limit
constexpr std::int64_t kLeastKept = 512 * kMebibyte;  // of it to keep values in, however large the models are

/// Of values that live at a time while a minibatch runs, as predicted from the graph.
std::int64_t minibatch_bytes(const graph::Prepared& model) {
  return (model.batchable ? video::kMinibatchFrames : 1) * graph::peak_activation_bytes(model.program);
}

/// What convolutions take as scratch memory comes on top: a quarter, on the detectors where it was measured.
std::int64_t with_scratch(std::int64_t bytes) { return bytes + bytes / 4; }

/// The minibatches, largest first; at least two.
std::vector<std::int64_t> by_size(const MemoryRoom& room) {
  std::vector<std::int64_t> minibatches = room.minibatches;
  minibatches.resize(std::max<std::size_t>(2, minibatches.size()));
  std::sort(minibatches.rbegin(), minibatches.rend());
  return minibatches;
}

/// What one model at a time needs. Optimised copies have weights of their own.
std::int64_t beside_one(const MemoryRoom& room) { return with_scratch(by_size(room)[0]) + room.weights; }

/// What a run needs: a receiver and a donor run together; a bundle is in memory as a file and as a module.
std::int64_t beside_all(const MemoryRoom& room) {
  if (room.minibatches.size() < 2) return beside_one(room);
  return beside_one(room) + with_scratch(by_size(room)[1]) + kFitting + 2 * room.weights;
}

std::int64_t left_for_values(const MemoryRoom& room) {
  return std::max<std::int64_t>(0, room.bytes - beside_all(room));
}

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

MemoryBudget divided(const MemoryRoom& room) {
  MemoryBudget budget;
  const std::int64_t alone = std::max<std::int64_t>(0, room.bytes - beside_one(room));
  budget.rows = alone - alone / 4;  // blocks of many sizes leave gaps between them
  const std::int64_t left = left_for_values(room);
  budget.screening = std::max(left, kLeastScreening);
  const auto cuts = static_cast<std::int64_t>(budget.together);
  const std::int64_t wanted = budget.calibration_values + budget.sums + 2 * budget.frame_values + cuts * kSumsOfACut;
  if (left >= wanted) return budget;
  const double part = static_cast<double>(left) / static_cast<double>(wanted);
  for (std::int64_t* bytes : {&budget.calibration_values, &budget.sums, &budget.frame_values})
    *bytes = static_cast<std::int64_t>(part * static_cast<double>(*bytes));
  budget.together = std::max<std::size_t>(1, static_cast<std::size_t>(part * static_cast<double>(cuts)));
  return budget;
}

MemoryRoom unasked_room(MemoryRoom models) {
  models.bytes = std::max(kUnasked, beside_all(models) + kLeastKept);
  return models;
}

MemoryBudget MemoryLimit::memory_budget(std::span<const graph::Prepared* const> models) const {
  MemoryRoom room;
  for (const graph::Prepared* model : models) {
    room.minibatches.push_back(minibatch_bytes(*model));
    room.weights += model->model_bytes;
  }
  if (!bytes_) return divided(unasked_room(std::move(room)));
  release_free_memory();
  const std::int64_t now = resident_bytes();
  const std::int64_t minibatch = by_size(room)[0];
  // Optimised copies need less than predicted, so only what is far beyond is refused.
  if (now + minibatch / 2 > *bytes_)
    throw too_small("the models and a minibatch of " + std::to_string(video::kMinibatchFrames) + " frames",
                    now + with_scratch(minibatch));
  room.bytes = *bytes_ - now;
  log::info("memory: " + report::human_bytes(now) + " with the models loaded, a minibatch about " +
            report::human_bytes(with_scratch(minibatch)) + ", " + report::human_bytes(left_for_values(room)) + " of " +
            report::human_bytes(*bytes_) + " left to keep values in");
  return divided(room);
}

void MemoryLimit::judge() const {
  const std::int64_t peak = peak_resident_bytes();
  if (!bytes_ || peak <= *bytes_) return;
  log::warn("the peak of memory was " + report::human_bytes(peak) + ", above --memory-limit " +
            report::human_bytes(*bytes_));
}

}  // namespace repsim::session
