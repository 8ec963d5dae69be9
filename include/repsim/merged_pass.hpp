#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "repsim/capture.hpp"
#include "repsim/suffix.hpp"

/// Merged graphs over stored frames, computing once what many of them share.
namespace repsim::capture {

/// What merged graphs compute alike of the same stored frames (graph::InvariantValue), kept while it fits. For one list
/// of stores; not for several threads.
class ValueCache {
 public:
  /// @param most_bytes  of the tensors that are kept; 0: nothing is
  explicit ValueCache(std::int64_t most_bytes) : most_bytes_(most_bytes) {}

  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  [[nodiscard]] std::int64_t most_bytes() const { return most_bytes_; }
  graph::ValueNumbering& numbers() { return numbers_; }

 private:
  friend class MergedPass;
  /// Of one computation, at one number of frames per run: results may differ in the last bits between those.
  struct Key {
    int number;
    std::int64_t batch;
    auto operator<=>(const Key&) const = default;
  };
  struct Entry {
    std::vector<at::Tensor> values;  ///< per run, so far
    std::int64_t bytes = 0;
    std::uint64_t used = 0;  ///< when, in passes
  };

  /// Drops what was used longest ago, but nothing of the pass at hand, until `more` bytes fit. False: they cannot.
  bool make_room(std::int64_t more);
  void drop(const Key& key);

  std::int64_t most_bytes_, bytes_ = 0;
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

  /// What the assembly's graph returns for the next run.
  /// @throws Error{kInput} when an operation fails
  [[nodiscard]] c10::IValue results();

  /// Instead: the values at assembly.places for the next run; undefined where nothing computes them. Not to be
  /// written to.
  [[nodiscard]] std::vector<at::Tensor> values();

  /// Instead, over all runs: what results() of this graph, and of others that compute the same, starts from goes into
  /// the cache, as far as that has room.
  void fill_cache();

 private:
  /// A value of this pass, and where it comes from in a run.
  struct Source {
    graph::InvariantValue value;
    bool cached = false;  ///< complete in the cache before this pass
    bool keep = false;    ///< this pass adds it to the cache
    int probe = -1;       ///< of compute_; -1: cached
  };
  void begin(const std::vector<graph::InvariantValue>& values);
  [[nodiscard]] std::vector<at::Tensor> next_values();
  void keep(Source& source, const at::Tensor& value);
  [[nodiscard]] ValueCache::Key key(const Source& source) const { return {source.value.number, batch_}; }

  const graph::Assembly& assembly_;
  const ModelSet& set_;
  const Stores& stores_;
  const std::int64_t batch_;
  const std::vector<std::vector<std::int64_t>> runs_;
  ValueCache* cache_;
  std::size_t next_ = 0;  // run
  std::vector<Source> sources_;
  std::unique_ptr<graph::Runner> compute_;  // what is not cached; null: nothing
  std::optional<graph::SuffixGraph> suffix_;
  std::unique_ptr<graph::Runner> results_;  // of the tail, or of the whole graph
};

}  // namespace repsim::capture
