#include <ATen/Parallel.h>

#include <algorithm>
#include <climits>

#include "job.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/bundle.hpp"
#include "signatures.hpp"

namespace repsim::pipeline {
namespace {

namespace fs = std::filesystem;

/// Signatures of all models in their order: those that are files of signatures, and those that are captured.
std::vector<Captured> gather(const Settings& settings, Progress& progress) {
  std::vector<std::optional<Captured>> given;
  Settings models = settings;
  models.models.clear();
  models.input_sources.clear();
  for (const session::ModelSource& source : model_sources(settings)) {
    const model::ModelSpec& spec = source.spec;
    given.emplace_back();
    if (capture::is_signature_file(spec.path)) {
      given.back() = Captured{capture::signatures_from_bytes(read_file(spec.path), spec.path), "file", ""};
      if (const auto& shard = given.back()->file.shard) {
        throw input_error("this is a part of a capture: shard " + std::to_string(shard->index) + " of " +
                              std::to_string(shard->count),
                          spec.path, "repsim capture --merge with all parts first");
      }
      given.back()->file.signatures.model = spec.name;
      continue;
    }
    models.models.push_back(spec);
    models.input_sources.push_back(source.input_source);
  }
  std::vector<Captured> captured;
  if (!models.models.empty()) captured = capture(models, progress);
  std::vector<Captured> result;
  auto next = captured.begin();
  for (std::optional<Captured>& one : given) result.push_back(std::move(one ? *one : *next++));
  return result;
}

/// Frames are compared by their numbers: those of another video have the same.
void check_one_video(const std::vector<Captured>& captured) {
  const capture::SignatureFile& first = captured.front().file;
  for (const Captured& one : captured) {
    if (one.file.origin.video_sha256 == first.origin.video_sha256) continue;
    throw input_error("the signatures were made from two videos: " + first.video_path + " and " + one.file.video_path,
                      "signatures of '" + first.signatures.model + "' and '" + one.file.signatures.model + "'",
                      "capture both from the same video");
  }
}

/// "front-back.png": no identifier has a hyphen. Numbers stand for names that together are too long for a file; no
/// identifier begins with a digit.
std::string picture_name(const std::vector<std::string>& identifiers, std::size_t i, std::size_t j) {
  const std::string name = identifiers[i] + "-" + identifiers[j] + ".png";
  return name.size() <= NAME_MAX ? name : std::to_string(i) + "-" + std::to_string(j) + ".png";
}

}  // namespace

report::AllPairs similarity(const Settings& settings, const fs::path& out, bool force, Progress& progress) {
  const session::ThreadCount threads(settings.threads);
  if (settings.models.size() < 2) {
    throw Error(ErrorKind::kUsage, settings.models.empty() ? "no model is given" : "only one model is given", "",
                "repsim similarity A.pt B.pt --video V --out DIR");
  }
  StagedDirectory staged(out, force);
  std::vector<Captured> captured = gather(settings, progress);
  check_one_video(captured);

  report::AllPairs all;
  all.video_path = captured.front().file.video_path;
  all.video_sha256 = captured.front().file.origin.video_sha256;
  all.frames = static_cast<std::int64_t>(captured.front().file.origin.frames.size());
  all.minibatch = captured.front().file.origin.minibatch;
  all.matrix_file = "similarity.npy";
  std::vector<similarity::Signatures> signatures;
  std::vector<std::string> names;
  for (Captured& one : captured) {
    // A model that is opaque stays in the list, without layers.
    if (one.origin == "none") {
      one.file.signatures.frames = one.file.origin.frames;
      one.file.signatures.minibatch = one.file.origin.minibatch;
      one.file.signatures.length = all.frames / all.minibatch * (all.minibatch * (all.minibatch - 1) / 2);
    }
    all.sources.push_back({one.file.model_path, one.file.origin.model_sha256, one.file.origin.input});
    signatures.push_back(std::move(one.file.signatures));
    names.push_back(signatures.back().model);
  }
  all.similarity = similarity::all_pairs(signatures, at::get_num_threads());
  const std::vector<std::string> identifiers = bundle::identifiers(names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = i + 1; j < names.size(); ++j) {
      report::AllPairs::Pair pair{i, j, ""};
      if (!signatures[i].layers.empty() && !signatures[j].layers.empty()) {
        pair.heatmap = picture_name(identifiers, i, j);
        write_file_atomically(staged.path(pair.heatmap), report::heatmap_png(all.similarity.between(i, j)));
      }
      all.pairs.push_back(std::move(pair));
    }
  }
  write_file_atomically(staged.path(all.matrix_file),
                        report::npy(all.similarity.values, all.similarity.size, all.similarity.size));
  write_file_atomically(staged.path("similarity.json"), repsim::to_text(report::to_json(all)));
  staged.commit("similarity.json");
  return all;
}

}  // namespace repsim::pipeline
