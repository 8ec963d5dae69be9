#!/usr/bin/env python3
"""repsim measure on a small plan: processes, figures, files and refusals. Python's standard library only.

    tests/cli/measure.py --binary build/release/bin/repsim
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from small_plan import Place, Report, complaint, temporary_folder

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = ["separate-processes", "one-process", "deduplicated", "bundle"]


class Measuring:
    def __init__(self, place, report):
        self.place, self.report = place, report

    def run(self, *arguments, **options):
        code, out, err = self.place.run([self.place.binary, "measure", *arguments, "--threads", "1"], **options)
        return code, out.decode(), err

    def tables_and_files(self):
        code, out, err = self.run("out", "--repeats", "2", "--frames", "3", "--out", "measured")
        problems = [] if code == 0 else [f"exit code {code}: {err[-300:]!r}"]
        for text in ("(a) originals, a process each", "(d) the plan's bundle", "(b) is the honest baseline",
                     "run_<model> ms", "peak of activations, bundle"):  # fmt: skip
            problems += [] if text in out else [f"stdout lacks {text!r}"]
        self.report.check("TablesOfAllDeployments", problems)
        made = sorted(path.name for path in (self.place.folder / "measured").iterdir())
        self.report.check("WritesJsonAndPage", [] if made == ["measure.html", "measure.json"] else [str(made)])
        self.figures(json.loads((self.place.folder / "measured" / "measure.json").read_text()))
        left = [str(path) for path in (self.place.folder / "tmp").rglob("*")]
        self.report.check("LeavesNoTemporaryFiles", [f"left: {left}"] if left else [])

    def figures(self, measured):
        problems = []
        by_name = {one["deployment"]: one for one in measured["deployments"]}
        if list(by_name) != DEPLOYMENTS:
            problems.append(f"deployments {list(by_name)}")
        for name, one in by_name.items():
            memory, time_of = one["resident_bytes"], one["ms_per_frame"]
            if not 0 < memory["before_loading"] <= memory["loaded"] <= memory["peak"]:
                problems.append(f"{name}: memory {memory}")
            if not 0 < time_of["least"] <= time_of["median"] <= time_of["most"]:
                problems.append(f"{name}: times {time_of}")
            if abs(one["frames_per_second"] * time_of["median"] - 1000) > 1:
                problems.append(f"{name}: frames per second {one['frames_per_second']}")
        sizes = {name: (self.place.folder / name).stat().st_size for name in ("small.pt", "wide.pt", "out/bundle.pt")}
        originals = sizes["small.pt"] + sizes["wide.pt"]
        for name, bytes_ in (("separate-processes", originals), ("one-process", originals), ("bundle", sizes["out/bundle.pt"])):
            if by_name[name]["file_bytes"] != bytes_:
                problems.append(f"{name}: file_bytes {by_name[name]['file_bytes']}, not {bytes_}")
        # The runtime is there once per process: tens of megabytes beside models of kilobytes.
        if by_name["separate-processes"]["resident_bytes"]["running"] < 1.2 * by_name["one-process"]["resident_bytes"]["running"]:
            problems.append("two processes take no more than one")
        if by_name["separate-processes"]["processes"] != 2:
            problems.append("not a process per model")
        if [one["model"] for one in measured["models_alone"]] != ["small", "wide"]:
            problems.append(f"models alone: {measured['models_alone']}")
        plan = json.loads((self.place.folder / "out" / "plan.json").read_text())
        receivers = {share["receiver"] for share in plan["shares"]}
        if {one["model"] for one in measured["models_alone"] if one["takes_layers"]} != receivers:
            problems.append(f"takes_layers: {measured['models_alone']}, shares of {receivers}")
        if measured["predicted"]["peak_activation_bytes"]["bundle"] != plan["totals"]["after"]["peak_activation_bytes"]:
            problems.append("the predicted peak is not the plan's")
        measured_peak = by_name["bundle"]["peak_activation_bytes"]
        # Convolutions of tiny maps take more scratch memory than their results.
        if not 0.5 <= measured_peak / plan["totals"]["after"]["peak_activation_bytes"] <= 4:
            problems.append(f"measured peak of activations {measured_peak}")
        self.report.check("FiguresHoldTogether", problems)

    def json_and_batch(self):
        code, out, err = self.run("out/plan.json", "--repeats", "1", "--frames", "1", "--batch", "3", "--json", "--quiet")
        problems = [] if code == 0 else [f"exit code {code}: {err[-300:]!r}"]
        if not problems and json.loads(out)["runs"] != {"repeats": 1, "frames": 1, "batch": 3}:
            problems.append(out[:300])
        problems += [f"stderr: {err!r}"] if err else []
        self.report.check("JsonOfBatches", problems)

    def refusals(self):
        folder = self.place.folder
        bundle = (folder / "out" / "bundle.pt").read_bytes()
        model = (folder / "small.pt").read_bytes()
        (folder / "full").mkdir()
        (folder / "full" / "precious").write_text("x")
        cases = {
            "NoPlan": ([], 2, b"no plan is given"),
            "MissingPlan": (["none"], 3, b"none"),
            "NoRepeats": (["out", "--repeats", "0"], 2, b"--repeats"),
            "NoSuchDevice": (["out", "--device", "cuda:7"], 3, b"--device"),
            "FolderThatIsNotEmpty": (["out", "--out", "full"], 3, b"--force"),
            "JobThatIsNone": (["--measured-job", "out/plan.json"], 3, b"plan.json"),
        }
        for name, (arguments, expected, pattern) in cases.items():
            code, _, err = self.run(*arguments)
            self.report.check(name, complaint(code, err, expected, pattern))
        (folder / "out" / "bundle.pt").write_bytes(bundle[:-1] + b"x")
        code, _, err = self.run("out")
        self.report.check("ChangedBundle", complaint(code, err, 3, b"the bundle is not the one of this plan"))
        (folder / "out" / "bundle.pt").write_bytes(bundle)
        (folder / "small.pt").write_bytes(b"no model")
        code, _, err = self.run("out")
        self.report.check("ChangedModel", complaint(code, err, 3, b"small.pt"))
        (folder / "small.pt").write_bytes(model)

    def failing_process(self):
        """What a process says that fails comes out as the command's own error."""
        folder = self.place.folder
        job = {"label": "the bundle", "calls": [{"path": "out/bundle.pt", "method": "forward", "groups": [0]}], "alone": [],
               "inputs": "missing.pt", "batch": 1, "runs": 1, "warm_up": 0, "threads": 1, "device": "cpu", "libraries": []}  # fmt: skip
        (folder / "job.json").write_text(json.dumps(job))
        code, _, err = self.run("--measured-job", "job.json")
        self.report.check("JobWithoutInputs", complaint(code, err, 3, b"missing.pt"))
        # A process may have as much memory as the command, but not so many bytes of address space.
        if sys.platform == "linux":
            done = subprocess.run(["sh", "-c", 'PATH=/nowhere exec "$0" measure out --repeats 1 --frames 1 --threads 1', self.place.binary],
                                  cwd=folder, capture_output=True, env=self.place.environment(), timeout=300)  # fmt: skip
            self.report.check("NeedsNoProgramInPath", complaint(done.returncode, done.stderr, 0))

    def interrupted(self):
        command = [self.place.binary, "measure", "out", "--repeats", "50", "--threads", "1", "--log-json"]
        child = subprocess.Popen(command, cwd=self.place.folder, env=self.place.environment(), stderr=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL)  # fmt: skip
        for line in child.stderr:
            if b"measure" in line and b"1/" in line or b"2/" in line:
                break
        child.send_signal(signal.SIGINT)
        begin = time.monotonic()
        err = child.stderr.read()
        code = child.wait(timeout=120)
        problems = complaint(code, err, 130)
        if time.monotonic() - begin > 60:
            problems.append("it took long")
        left = [str(path) for path in (self.place.folder / "tmp").rglob("*")]
        problems += [f"left: {left}"] if left else []
        self.report.check("Interrupted", problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        place = Place(arguments.binary, ROOT, folder)
        code, _, err = place.run(place.command("--quiet"))
        if code not in (0, 4):
            sys.exit(f"no plan: exit code {code}: {err!r}")
        measuring = Measuring(place, report)
        measuring.tables_and_files()
        measuring.json_and_batch()
        measuring.refusals()
        measuring.failing_process()
        measuring.interrupted()
    report.end()


if __name__ == "__main__":
    os.umask(0o022)
    main()
