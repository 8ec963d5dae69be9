#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/pipeline.hpp"
#include "repsim/report_page.hpp"
#include "repsim/session.hpp"
#include "repsim/similarity.hpp"
#include "repsim/verify.hpp"

/// The files of a plan's output folder beside bundle.pt.
namespace repsim::pipeline {

struct PlanFiles {
  const report::Plan& plan;
  const std::vector<similarity::Matrix>& similarity;  ///< per pair of models that have layers
  std::int64_t similarity_frames = 0;                 ///< on which S was taken; 0: on none
  const report::PageExtras& page;                     ///< for report.html
};
/// Checks that no file of the folder that a plan writes is one that it reads. @throws Error{kUsage}
void check_replaces_no_input(const Settings& settings, const std::filesystem::path& out);

/// Writes plan.json, similarity.json and report.html.
void write_outputs(const StagedDirectory& staged, const PlanFiles& files);

/// The frames on which the members of a session differ most from their originals, with boxes. Reads the video once
/// more, if there are any.
/// @param verdicts  per model of the session
/// @param most  frames per model
[[nodiscard]] std::vector<report::FramePicture> pictures_of(const session::Session& session,
                                                            const std::vector<verify::Verdict>& verdicts,
                                                            std::int64_t most, Progress& progress);

/// The layers of the session's models, for the drawing of report.html.
[[nodiscard]] std::vector<report::PageModel> page_models(const session::Session& session);

/// What may differ between two equal runs.
struct RunFacts {
  const report::Plan& plan;
  const verify::RunCost& cost;
  const Json& signature_origins;  ///< per model: "captured", "cache", "none"
  const Json& seconds;            ///< per stage
  const std::map<std::string, double>& task_seconds;
};
/// Writes run.json.
void write_run_json(const StagedDirectory& staged, const Settings& settings, const RunFacts& facts);

}  // namespace repsim::pipeline
