#include "repsim/merged_pass.hpp"

#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/frame_runs.hpp"
#include "repsim/optimised.hpp"

namespace repsim::capture {

bool ValueCache::make_room(std::int64_t more) {
  if (more > max_bytes_) return false;
  while (bytes_ + more > max_bytes_) {
    const auto oldest = std::min_element(entries_.begin(), entries_.end(),
                                         [](auto& a, auto& b) { return a.second.used < b.second.used; });
    if (oldest == entries_.end() || oldest->second.used == passes_) return false;
    drop(oldest->first);
  }
  return true;
}

void ValueCache::drop(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  bytes_ -= found->second.bytes;
  entries_.erase(found);
}

MergedPass::MergedPass(const graph::Assembly& assembly, const ModelSet& set, const Stores& stores, std::int64_t frames,
                       std::int64_t batch, ValueCache* cache)
    : assembly_(assembly), set_(set), stores_(stores), batch_(batch), runs_(batches(frames, batch)), cache_(cache) {
  if (cache_) ++cache_->passes_;
}

MergedPass::~MergedPass() {
  if (!cache_ || next_ == runs_.size()) return;
  for (const PassValue& one : values_) {
    if (one.keep) cache_->drop(key(one));
  }
}

/// Decides where each value comes from.
void MergedPass::begin(const std::vector<graph::InvariantValue>& values) {
  std::vector<graph::Place> probes;
  for (const graph::InvariantValue& value : values) {
    PassValue& one = values_.emplace_back();
    one.value = value;
    if (value.number >= 0 && cache_) {
      if (const auto found = cache_->entries_.find(key(one)); found != cache_->entries_.end()) {
        found->second.used = cache_->passes_;
        one.cached = true;
        continue;
      }
    }
    one.probe = static_cast<int>(probes.size());
    probes.push_back(value.place);
  }
  if (!probes.empty()) {
    graph::ProbeRunner fastest = graph::merged_runner(
        assembly_, probes, group_inputs(set_, stores_, assembly_.input_groups, frames_to_try(runs_)));
    if (!fastest.reason.empty()) log::debug("a merged graph runs as it is: " + fastest.reason);
    compute_ = std::make_unique<graph::Runner>(std::move(fastest.runner));
  }
}

/// Puts a value of the current run into the cache if there is room for the values of all runs.
void MergedPass::keep(PassValue& one, const at::Tensor& value) {
  if (!cache_ || one.value.number < 0 || one.cached) return;
  const bool first = next_ == 0;
  if (first) {
    if (cache_->entries_.count(key(one)) > 0) return;  // the same value at another place
    const std::int64_t bytes = static_cast<std::int64_t>(value.nbytes()) * static_cast<std::int64_t>(runs_.size());
    if (!cache_->make_room(bytes)) return;
    cache_->entries_[key(one)] = {{}, bytes, cache_->passes_};
    cache_->bytes_ += bytes;
    one.keep = true;
  }
  if (!one.keep) return;
  // A view would keep the whole storage of its base.
  const bool part = value.storage().nbytes() > value.nbytes();
  cache_->entries_.at(key(one)).values.push_back(part ? value.clone() : value);
}

std::vector<at::Tensor> MergedPass::next_values() {
  if (next_ >= runs_.size()) throw Error(ErrorKind::kInternal, "a pass over the frames goes on after their end");
  std::vector<at::Tensor> now(values_.size());
  if (compute_) {
    const auto keep_values = [&](int probe, const at::Tensor& value) {
      for (std::size_t i = 0; i < values_.size(); ++i) {
        // Nothing writes to invariant values. Others may be overwritten later in the run.
        if (values_[i].probe == probe) now[i] = values_[i].value.number >= 0 ? value : value.clone();
      }
    };
    on_merged_frames(set_, stores_, runs_[next_], [&] {
      return compute_->run(group_inputs(set_, stores_, assembly_.input_groups, runs_[next_]), keep_values);
    });
  }
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].cached) {
      now[i] = cache_->entries_.at(key(values_[i])).values.at(next_);
    } else if (now[i].defined()) {
      keep(values_[i], now[i]);
    }
  }
  ++next_;
  return now;
}

std::vector<at::Tensor> MergedPass::values() {
  if (next_ == 0) {
    std::vector<graph::InvariantValue> places;
    if (cache_) {
      places = graph::invariant_places(assembly_, cache_->numbers());
    } else {
      for (const graph::Place& place : assembly_.places) places.push_back({-1, place});
    }
    begin(places);
  }
  return next_values();
}

void MergedPass::fill_cache() {
  if (!cache_) throw Error(ErrorKind::kInternal, "a pass without a cache to fill");
  begin(graph::suffix_of(assembly_, cache_->numbers()).supplied);
  while (next_ < runs_.size()) (void)next_values();
}

c10::IValue MergedPass::results() {
  if (next_ == 0) {
    if (cache_) {
      suffix_ = graph::suffix_of(assembly_, cache_->numbers());
      begin(suffix_->supplied);
    }
    results_ =
        std::make_unique<graph::Runner>(suffix_ ? *suffix_->graph : *assembly_.graph, assembly_.parameter_values(),
                                        std::vector<graph::Place>{}, /*keep_output=*/true, assembly_.device);
  }
  const std::size_t run = next_;
  const std::vector<at::Tensor> given = next_values();
  std::vector<c10::IValue> inputs;
  for (std::size_t i = 0; i < assembly_.input_groups.size(); ++i) {
    if (suffix_ && !suffix_->reads_group[i]) {
      inputs.emplace_back();
      continue;
    }
    inputs.push_back(group_inputs(set_, stores_, {&assembly_.input_groups[i], 1}, runs_[run]).front());
  }
  inputs.insert(inputs.end(), given.begin(), given.end());
  return on_merged_frames(set_, stores_, runs_[run], [&] { return results_->run(std::move(inputs)); });
}

}  // namespace repsim::capture
