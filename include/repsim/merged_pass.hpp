#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "repsim/capture.hpp"
#include "repsim/suffix.hpp"

/// Runs merged graphs over stored frames and computes once the values that many of them share.
namespace repsim::capture {

/// Values that several merged graphs compute from the same stored frames (graph::InvariantValue). Keeps them while they
/// fit. One cache belongs to one list of stores. It is not safe for use by several threads.
class ValueCache {
 public:
  /// @param max_bytes  of the tensors that are kept; 0: none are
  explicit ValueCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Bytes of the tensors that are kept now.
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] std::int64_t most_bytes() const { return max_bytes_; }
  /// The numbers of the computations whose values are kept.
  graph::ValueNumbering& numbers() { return numbers_; }

 private:
  friend class MergedPass;
  /// A computation, and the frames per run: results may differ in the last bits between runs of different lengths.
  struct Key {
    int number;  ///< of `numbers()`
    std::int64_t batch;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::vector<at::Tensor> values;  ///< per run, so far
    std::int64_t bytes = 0;
    std::uint64_t used = 0;  ///< when, in passes
  };

  /// Drops the values that were used longest ago until `more` bytes fit. Values of the current pass stay.
  /// @return false if the bytes cannot fit
  bool make_room(std::int64_t more);
  void drop(const Key& key);

  std::int64_t max_bytes_, bytes_ = 0;
  std::uint64_t passes_ = 0;
  graph::ValueNumbering numbers_;
  std::map<Key, Entry> entries_;
};

/// One pass of a merged graph over all frames, run by run in order.
class MergedPass {
 public:
  /// @param assembly,set,stores,cache  outlive the pass; cache may be null
  /// @param frames,batch  runs are batches(frames, batch)
  MergedPass(const graph::Assembly& assembly, const ModelSet& set, const Stores& stores, std::int64_t frames,
             std::int64_t batch, ValueCache* cache);
  ~MergedPass();
  MergedPass(const MergedPass&) = delete;
  MergedPass& operator=(const MergedPass&) = delete;

  // A pass calls one of the following three functions, results() and values() once per run.

  /// What the assembly's graph returns for the next run.
  /// @throws Error{kInput} when an operation fails; Error{kInternal} after the last run. So do the other two
  [[nodiscard]] c10::IValue results();

  /// The values at assembly.places for the next run; undefined where nothing computes them. Callers do not write to
  /// them: the cache holds them too.
  [[nodiscard]] std::vector<at::Tensor> values();

  /// Makes all runs, and puts the invariant values from which results() starts into the cache, as far as there is room.
  /// Later passes of this graph, and of others with equal computations, then run their suffix graphs alone.
  /// @throws Error{kInternal} without a cache
  void fill_cache();

 private:
  /// A value of this pass, and where it comes from in a run.
  struct PassValue {
    graph::InvariantValue value;
    bool cached = false;  ///< complete in the cache before this pass
    bool keep = false;    ///< this pass adds it to the cache
    int probe = -1;       ///< of compute_; -1: cached
  };
  void begin(const std::vector<graph::InvariantValue>& values);
  [[nodiscard]] std::vector<at::Tensor> next_values();
  void keep(PassValue& one, const at::Tensor& value);
  [[nodiscard]] ValueCache::Key key(const PassValue& one) const { return {one.value.number, batch_}; }

  const graph::Assembly& assembly_;
  const ModelSet& set_;
  const Stores& stores_;
  const std::int64_t batch_;
  const std::vector<std::vector<std::int64_t>> runs_;
  ValueCache* cache_;
  std::size_t next_ = 0;  // run
  std::vector<PassValue> values_;
  std::unique_ptr<graph::Runner> compute_;  // of the values that are not cached; null: all are
  std::optional<graph::SuffixGraph> suffix_;
  std::unique_ptr<graph::Runner> results_;  // of the suffix graph, or of the whole graph
};

}  // namespace repsim::capture
