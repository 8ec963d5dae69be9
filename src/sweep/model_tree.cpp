#include "model_tree.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "repsim/base/atomic_file.hpp"
#include "repsim/clustering.hpp"
#include "repsim/signature_cache.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

/// Captures of one video, with the same frames: file of signatures by model.
using CaptureFiles = std::map<std::string, fs::path>;

/// The files that are there, by video and frames. A capture that is not finished has none.
std::map<std::string, CaptureFiles> files_of(const fs::path& directory, const std::vector<Task>& tasks) {
  std::map<std::string, CaptureFiles> groups;
  for (const Task& task : tasks) {
    if (task.kind != TaskKind::kCapture) continue;
    std::string name = task.video;
    for (const auto& [key, value] : task.values) name += "\n" + key + "=" + value;
    CaptureFiles& files = groups[name];
    const fs::path file = directory / task.folder / kSignatures;
    std::error_code failed;
    if (status_of(directory, task).state == TaskState::kFinished && fs::is_regular_file(file, failed))
      files[task.models.front()] = file;
  }
  return groups;
}

/// Adds likenesses of all pairs, models x models.
void add_likeness(const std::vector<std::string>& models, const CaptureFiles& files, std::vector<double>& sums,
                  Progress& progress) {
  std::vector<similarity::Signatures> signatures;
  for (const std::string& model : models) {
    const fs::path& file = files.at(model);
    signatures.push_back(capture::signatures_from_bytes(read_file(file), file.string()).signatures);
  }
  const std::size_t size = models.size();
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = i + 1; j < size; ++j) {
      const double value = similarity::likeness(similarity::cka(signatures[i], signatures[j]));
      if (std::isfinite(value)) {
        sums[i * size + j] += value;
        sums[j * size + i] += value;
      }
      progress.step();
    }
  }
}

}  // namespace

std::optional<report::ModelTree> model_tree(const fs::path& directory, const std::vector<Task>& tasks,
                                            Progress& progress) {
  const std::map<std::string, CaptureFiles> groups = files_of(directory, tasks);
  report::ModelTree tree;
  for (const Task& task : tasks) {
    if (task.kind != TaskKind::kCapture) continue;
    const std::string& model = task.models.front();
    const bool has_all =
        std::all_of(groups.begin(), groups.end(), [&](const auto& group) { return group.second.contains(model); });
    std::vector<std::string>& list = has_all ? tree.models : tree.left_out;
    if (std::find(list.begin(), list.end(), model) == list.end()) list.push_back(model);
  }
  const std::size_t size = tree.models.size();
  if (size < 2) return std::nullopt;
  tree.likeness.assign(size * size, 0.0);
  progress.begin("compare models", static_cast<std::int64_t>(groups.size() * size * (size - 1) / 2));
  for (const auto& [name, files] : groups) add_likeness(tree.models, files, tree.likeness, progress);
  progress.end();
  std::vector<double> distances(size * size, 0.0);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = 0; j < size; ++j) {
      double& value = tree.likeness[i * size + j];
      value = i == j ? 1 : value / static_cast<double>(groups.size());
      distances[i * size + j] = 1 - value;
    }
  }
  tree.merges = similarity::average_linkage(std::move(distances), size);
  return tree;
}

}  // namespace repsim::sweep
