#include <algorithm>
#include <map>

#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/shards.hpp"

namespace repsim::capture {
namespace {

std::string shard_text(const Shard& shard) { return std::to_string(shard.index) + "/" + std::to_string(shard.count); }

/// What differs between two origins, for people; empty: nothing.
std::string first_difference(const SignatureOrigin& a, const SignatureOrigin& b) {
  if (a.model_sha256 != b.model_sha256) return "they are of different models";
  if (a.video_sha256 != b.video_sha256) return "they are of different videos";
  if (a.input != b.input) return "the inputs differ: " + a.input + " and " + b.input;
  if (a.frames != b.frames || a.minibatch != b.minibatch) {
    return "the frames differ: " + std::to_string(a.frames.size()) + " and " + std::to_string(b.frames.size()) +
           " frames of the video, or others of it";
  }
  if (a.machinery != b.machinery) {
    return "libraries, CPU, threads or device differ: " + join(a.machinery, ", ") + " and " + join(b.machinery, ", ");
  }
  if (a != b) return "they were made by different versions of repsim";
  return {};
}

void check_one_capture(const NamedPart& first, const NamedPart& other) {
  const std::string where = first.name + " and " + other.name;
  std::string difference = first_difference(first.file.origin, other.file.origin);
  if (difference.empty() && first.file.signatures.layers != other.file.signatures.layers)
    difference = "their layers differ";
  if (!difference.empty()) {
    throw input_error("these are not parts of one capture: " + difference, where,
                      "capture all parts with the same repsim, model, --input, video, --frames, --holdout, --threads "
                      "and --device, on machines of one kind");
  }
  if (first.file.shard->count != other.file.shard->count) {
    throw input_error("these are not parts of one capture: one is of " + std::to_string(first.file.shard->count) +
                          " shards, the other of " + std::to_string(other.file.shard->count),
                      where, "parts of one --shard I/N, with the same N");
  }
}

/// The parts by their index. @throws Error{kInput} unless each is there once
std::map<std::int64_t, const NamedPart*> by_index(const std::vector<NamedPart>& parts) {
  std::map<std::int64_t, const NamedPart*> found;
  for (const NamedPart& part : parts) {
    if (!part.file.shard) {
      throw input_error("this is no part: it holds a whole capture", part.name,
                        "files that repsim capture --shard I/N wrote");
    }
    check_one_capture(parts.front(), part);
    const auto [place, is_new] = found.emplace(part.file.shard->index, &part);
    if (!is_new) {
      throw input_error("shard " + shard_text(*part.file.shard) + " is there twice",
                        place->second->name + " and " + part.name, "name every part once");
    }
  }
  const std::int64_t count = parts.front().file.shard->count;
  std::vector<std::string> missing;
  for (std::int64_t index = 1; index <= count; ++index) {
    if (!found.contains(index)) missing.push_back(shard_text({index, count}));
  }
  if (!missing.empty()) {
    throw input_error(
        "shards are missing: " + join(missing, ", "), parts.front().name,
        "repsim capture MODEL.pt --video V --shard " + missing.front() + " --out FILE, and name FILE, too");
  }
  return found;
}

}  // namespace

SignatureFile merge(const std::vector<NamedPart>& parts) {
  if (parts.empty()) throw Error(ErrorKind::kInternal, "there are no parts");
  const std::map<std::int64_t, const NamedPart*> ordered = by_index(parts);
  const SignatureFile& first = ordered.begin()->second->file;
  SignatureFile whole;
  whole.origin = first.origin;
  whole.model_path = first.model_path;
  whole.video_path = first.video_path;
  whole.signatures.model = first.signatures.model;
  whole.signatures.layers = first.signatures.layers;
  whole.signatures.minibatch = first.signatures.minibatch;
  for (const auto& [index, part] : ordered) {
    const similarity::Signatures& one = part->file.signatures;
    whole.signatures.frames.insert(whole.signatures.frames.end(), one.frames.begin(), one.frames.end());
    whole.signatures.length += one.length;
  }
  for (std::size_t layer = 0; layer < first.signatures.layers.size(); ++layer) {
    for (const auto& [index, part] : ordered) {
      const similarity::Signatures& one = part->file.signatures;
      const auto begin = one.values.begin() + static_cast<std::ptrdiff_t>(layer) * one.length;
      whole.signatures.values.insert(whole.signatures.values.end(), begin, begin + one.length);
    }
  }
  return whole;
}

}  // namespace repsim::capture
