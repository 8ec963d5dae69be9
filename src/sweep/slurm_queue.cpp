#include "slurm_queue.hpp"

#include <algorithm>
#include <sstream>

#include "process.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/json_io.hpp"

namespace repsim::sweep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kJobsVersion = 1;

fs::path jobs_file(const fs::path& directory) { return directory / "slurm" / "jobs.json"; }

std::vector<SubmittedJob> read_submitted(const fs::path& directory) {
  const fs::path path = jobs_file(directory);
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) return {};
  const Json json = read_json(path);
  JsonReader reader(json, path.string());
  std::int64_t version = 0;
  reader.required("schema_version", version);
  if (version != kJobsVersion) reader.fail("schema_version", "it is not 1", "the repsim that wrote it");
  const Json* list = reader.child("jobs");
  if (list == nullptr || !list->is_array()) reader.fail("jobs", "this is no list", "remove the file");
  reader.finish();
  std::vector<SubmittedJob> jobs;
  for (std::size_t i = 0; i < list->size(); ++i) {
    JsonReader inner((*list)[i], path.string(), "jobs[" + std::to_string(i) + "]");
    SubmittedJob& job = jobs.emplace_back();
    inner.required("id", job.id);
    inner.required("kind", job.kind);
    inner.required("list", job.list);
    inner.finish();
  }
  return jobs;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::vector<std::string> QueuedJobs::ids(const std::string& kind) const {
  std::vector<std::string> found;
  for (const SubmittedJob& job : jobs) {
    if (job.kind == kind) found.push_back(job.id);
  }
  return found;
}

void write_submitted(const fs::path& directory, const std::vector<SubmittedJob>& jobs) {
  Json json{{"schema_version", kJobsVersion}, {"jobs", Json::array()}};
  for (const SubmittedJob& job : jobs) json["jobs"].push_back({{"id", job.id}, {"kind", job.kind}, {"list", job.list}});
  write_file_atomically(jobs_file(directory), to_text(json));
}

QueuedJobs still_queued(const std::vector<SubmittedJob>& submitted, const std::string& printed,
                        const std::map<std::string, std::vector<std::string>>& folders) {
  QueuedJobs queued;
  for (const std::string& line : lines_of(printed)) {
    std::istringstream fields(line);
    std::string id;
    fields >> id;
    const auto job = std::find_if(submitted.begin(), submitted.end(), [&](const auto& one) { return one.id == id; });
    if (job == submitted.end()) continue;
    const bool is_new =
        std::none_of(queued.jobs.begin(), queued.jobs.end(), [&](const auto& one) { return one.id == id; });
    if (is_new) queued.jobs.push_back(*job);
    std::size_t index = 0;
    const auto list = folders.find(job->list);
    if (list != folders.end() && fields >> index && index < list->second.size())
      queued.folders.insert(list->second[index]);
  }
  return queued;
}

QueuedJobs queued_jobs(const fs::path& directory, Progress& progress) {
  const std::vector<SubmittedJob> submitted = read_submitted(directory);
  if (submitted.empty()) return {};
  std::map<std::string, std::vector<std::string>> folders;
  for (const SubmittedJob& job : submitted) {
    std::error_code failed;
    if (!job.list.empty() && fs::is_regular_file(directory / job.list, failed))
      folders[job.list] = lines_of(read_file(directory / job.list));
  }
  progress.begin("ask squeue", 0);
  const std::string printed = output_of({"squeue", "--noheader", "--array", "--me", "--format=%F %K"},
                                        "Slurm's client programs; without them, remove " +
                                            jobs_file(directory).string() + " where no job of the sweep waits or runs",
                                        progress);
  progress.end();
  return still_queued(submitted, printed, folders);
}

}  // namespace repsim::sweep
