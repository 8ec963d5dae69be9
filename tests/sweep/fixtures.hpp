#pragma once

#include <string>
#include <vector>

#include "base/temp_folder.hpp"
#include "repsim/sweep.hpp"

/// Sweeps over files that are no models: deciding needs their content only.
namespace repsim::sweep {

class SweepFolder {
 public:
  explicit SweepFolder(const std::vector<std::string>& models = {"a", "b", "c"}) {
    for (const std::string& name : models) test::write_text(folder_ / (name + ".pt"), "model " + name);
    test::write_text(folder_ / "v.mp4", "video");
    test::write_text(folder_ / "w.mp4", "another video");
  }

  [[nodiscard]] Sweep read(const std::string& members) const {
    return sweep_from_json(Json::parse("{" + members + "}"), "s.json", folder_.path());
  }
  /// @param members  beside models and video
  [[nodiscard]] Sweep small(const std::string& members = {}) const {
    return read(R"("models": ["*.pt"], "video": "v.mp4")" + (members.empty() ? "" : ", " + members));
  }
  [[nodiscard]] std::vector<Task> tasks(const Sweep& sweep, bool with_captures = true) const {
    SilentProgress progress;
    return tasks_of(sweep, hashes_of(sweep, progress), with_captures);
  }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }

 private:
  test::TempFolder folder_;
};

/// Makes a plan look finished.
inline void finish_plan(const std::filesystem::path& directory, const Task& task) {
  std::filesystem::create_directories(directory / task.folder / "plan");
  test::write_text(directory / task.folder / "plan" / "plan.json", "{}");
}

}  // namespace repsim::sweep
