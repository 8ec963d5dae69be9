#include <algorithm>

#include "repsim/sweep_engines.hpp"

namespace repsim::sweep {
namespace {

constexpr const char* kSnakefile = R"(# Written by repsim sweep, which writes it again. It runs from any folder:
#   snakemake --snakefile Snakefile --cores N
import json
from pathlib import Path

FOLDER = Path(workflow.basedir)
TASKS = {task["folder"]: task for task in json.loads((FOLDER / "tasks.json").read_text())["tasks"]}
REPSIM = @PROGRAM@


workdir: str(FOLDER)


rule all:
    input:
        "summary.json",


# A task that fails has an outcome, too. One that is interrupted has none.
rule task:
    input:
        lambda wildcards: ancient([f"{before}/outcome.json" for before in TASKS[wildcards.folder]["after"]]),
    output:
        "{folder}/outcome.json",
    wildcard_constraints:
        folder="(captures|plans)/.*",
    params:
        repsim=REPSIM,
    threads: @THREADS@
    resources:
        mem_mb=@MEGABYTES@,
    shell:
        "{params.repsim:q} sweep --task {wildcards.folder:q} --quiet"


# Exit code 3 says that tasks failed: the summary names them.
rule summary:
    input:
        ancient([f"{folder}/outcome.json" for folder, task in TASKS.items() if task["kind"] == "plan"]),
    output:
        "summary.json",
    params:
        repsim=REPSIM,
    shell:
        "{params.repsim:q} sweep --summary --out . || [ $? -eq 3 ]"


# The captures alone, then how alike the models are: snakemake --snakefile Snakefile --cores N captures
rule captures:
    input:
        ancient([f"{folder}/outcome.json" for folder, task in TASKS.items() if task["kind"] == "capture"]),
    params:
        repsim=REPSIM,
    shell:
        "{params.repsim:q} sweep --summary --out . || [ $? -eq 3 ]"
)";

void put(std::string& text, const std::string& place, const std::string& value) {
  text.replace(text.find(place), place.size(), value);
}

/// A text of Python. JSON's escapes are Python's, too.
std::string python_text(const std::string& text) { return Json(text).dump(); }

}  // namespace

std::string snakefile(const std::filesystem::path& program, const Resources& resources) {
  constexpr std::int64_t kMegabyte = 1'000'000, kUsualMegabytes = 4000;
  std::string text = kSnakefile;
  put(text, "@PROGRAM@", python_text(program.string()));
  put(text, "@THREADS@", std::to_string(resources.threads));
  const std::int64_t megabytes =
      resources.memory_limit ? std::max<std::int64_t>(1, *resources.memory_limit / kMegabyte) : kUsualMegabytes;
  put(text, "@MEGABYTES@", std::to_string(megabytes));
  return text;
}

}  // namespace repsim::sweep
