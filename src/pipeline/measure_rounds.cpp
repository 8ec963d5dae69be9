#include "measure_rounds.hpp"

#include <sstream>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/spawn.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kKilled = 128 + 9;  // SIGKILL: nobody but the system ends a process so

std::string member(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

/// What a process says that failed: the last error of its log, which consists of JSON objects, one per line.
Error failure_of(const ChildOutput& output, const std::string& label) {
  std::istringstream stream(output.err);
  Error found =
      input_error("the process that measures " + label + " ended with exit code " + std::to_string(output.exit_code),
                  "repsim measure", output.exit_code == kKilled ? "a machine with more memory" : "");
  for (std::string text; std::getline(stream, text);) {
    const Json line = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!line.is_object() || member(line, "level") != "error") {
      log::debug(label + ": " + text);
      continue;
    }
    found = input_error("measuring " + label + ": " + member(line, "message"), member(line, "where"),
                        member(line, "remedy"));
  }
  return found;
}

measure::Sample sample_of(const RoundsToMeasure& what, const measure::Job& job, Progress& progress) {
  write_file_atomically(what.job_file, repsim::to_text(measure::to_json(job)));
  const ChildOutput output = run_again(what.command(what.job_file), progress);
  if (output.exit_code != 0) throw failure_of(output, job.label);
  const std::string name = "process that measures " + job.label;
  return measure::sample_from_json(parse_json(output.out, name), name);
}

}  // namespace

MeasuredRounds run_rounds(const RoundsToMeasure& what, Progress& progress) {
  MeasuredRounds rounds(what.jobs.size());
  for (std::size_t i = 0; i < what.jobs.size(); ++i) {
    rounds[i].assign(static_cast<std::size_t>(what.repeats), measure::Round(what.jobs[i].size()));
  }
  const std::vector<measure::Step> steps =
      measure::schedule(what.jobs.front().size(), static_cast<std::size_t>(what.repeats));
  progress.begin("measure", static_cast<std::int64_t>(steps.size()));
  for (const measure::Step& step : steps) {
    const auto deployment = static_cast<std::size_t>(step.deployment);
    rounds[deployment][step.round][step.process] = sample_of(what, what.jobs[deployment][step.process], progress);
    progress.step();
  }
  progress.end();
  return rounds;
}

}  // namespace repsim::pipeline
