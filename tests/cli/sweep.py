#!/usr/bin/env python3
"""Sweeps: killed at random moments and resumed, failing models, the engines, wrong input.

    tests/cli/sweep.py --binary build/release/bin/repsim [--only NAME] [--snakemake PROGRAM]

Python's standard library only. Snakemake and Slurm are used where they are there (snakemake and sbatch on PATH, or
--snakemake). Exit code: 0 all passed, 1 some failed, 77 all were skipped.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path

from small_plan import Report, complaint, temporary_folder, write_video

SOURCE = Path(__file__).resolve().parents[2]
MODELS = ("plain", "mobile", "residual")
KILLED_AFTER = (0, 1, 3, 4)  # tasks that have ended, of three captures and three plans


class Sweeps:
    def __init__(self, arguments, folder, report):
        self.arguments, self.report = arguments, report
        self.binary, self.folder = str(Path(arguments.binary).resolve()), Path(folder).resolve()
        for name in MODELS:
            shutil.copy(SOURCE / "demo" / f"{name}.pt", self.folder)
        write_video(self.folder / "v.y4m")
        self.write("sweep.json")
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "xdg")}

    def write(self, file, **more):
        content = {
            "models": [{"path": f"{name}.pt"} for name in MODELS],
            "video": "v.y4m",
            "settings": {"frames": {"count": 32, "scan": 0}, "report_frames": 0,
                         "merge": {"max_trials": 1, "min_fidelity": 0, "max_rank": 0, "accept_unmeasured": list(MODELS)}},
            "boxes": {"large": "1G", "none": 1000},
            **more,
        }  # fmt: skip
        (self.folder / file).write_text(json.dumps(content))

    def command(self, *more, out="out", file="sweep.json", cache="cache"):
        return [self.binary, "sweep", file, "--out", out, "--cache", cache, "--threads", "1", *more]

    def run(self, *more, **options):
        done = subprocess.run(self.command(*more, **options), cwd=self.folder, env=self.environment, timeout=600,
                              stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
        return done.returncode, done.stdout.decode(), done.stderr

    def summary(self, out="out"):
        return json.loads((self.folder / out / "summary.json").read_text())

    def plans(self, out):
        """The bytes of what must not differ, by plan."""
        found = {}
        for path in sorted((self.folder / out / "plans").rglob("plan.json")):
            bundle = path.with_name("bundle.pt")
            found[str(path.parent.relative_to(self.folder / out))] = (path.read_bytes(), bundle.read_bytes())
        return found

    def finished(self, out):
        """Plans that are there, with what tells a plan that was made again."""
        return {str(path): path.stat().st_mtime_ns for path in (self.folder / out).rglob("plan.json")}

    def ended(self, out):
        """How many tasks have ended."""
        captures = list((self.folder / out / "captures").rglob("outcome.json"))
        return len(captures) + len(self.finished(out))

    def wanted(self, name):
        return not self.arguments.only or self.arguments.only in name

    # ---- Whole sweeps ----

    def undisturbed(self):
        code, text, error = self.run("--jobs", "2", out="whole", cache="cache-whole")
        problems = complaint(code, error, 0)
        summary = self.summary("whole")
        if summary["totals"] != {"plans": 3, "finished": 3, "failed": 0, "pending": 0}:
            problems.append(f"totals are {summary['totals']}")
        if len(self.plans("whole")) != 3:
            problems.append(f"plans are {list(self.plans('whole'))}")
        fits = {box["name"]: len(box["fits"]) for box in summary["boxes"]}
        if fits != {"large": 3, "none": 0} or "large (1.0 GB): 3 plans fit" not in text:
            problems.append(f"fits are {fits}, printed: {text}")
        page = (self.folder / "whole/summary.html").read_text()
        for link in re.findall(r'href="([^"]+)"', page):
            if not (self.folder / "whole" / link).exists():
                problems.append(f"summary.html links {link}")
        if page.count("report.html") < 3:
            problems.append("summary.html does not link the reports")
        origins = [json.loads(path.read_text())["signatures"] for path in (self.folder / "whole").rglob("run.json")]
        if any(origin != "cache" for one in origins for origin in one.values()):
            problems.append(f"plans captured by themselves: {origins}")
        self.report.check("AllPairs", problems)

    def again(self):
        before = self.finished("whole")
        code, _, error = self.run(out="whole", cache="cache-whole")
        problems = complaint(code, error, 0)
        if self.finished("whole") != before:
            problems.append("finished plans were made again")
        code, text, error = self.run("--dry-run", out="whole", cache="cache-whole")
        problems += complaint(code, error, 0)
        if "plans: 0 to do, 3 finished" not in text:
            problems.append(f"the dry run says: {text}")
        self.report.check("NothingIsDoneTwice", problems)

        code, text, error = self.run("--dry-run", out="never", cache="cache-whole")
        problems = complaint(code, error, 0)
        if "captures: 3 to do, 0 finished, 3 of those to do are in the cache" not in text or "no basis" not in text:
            problems.append(f"the dry run says: {text}")
        code, text, error = self.run("--dry-run", out="never", cache="never")
        problems += complaint(code, error, 0)
        if "in the cache" in text or (self.folder / "never").exists():
            problems.append(f"without a cache the dry run says: {text}")
        self.report.check("DryRunLooksIntoTheCache", problems)

    def captures_only(self):
        """How alike the models are, before any plan; the plans then go on from there."""
        code, text, error = self.run("--captures-only", "--jobs", "2", out="captures", cache="cache-whole")
        problems = complaint(code, error, 0)
        summary = self.summary("captures")
        if summary["totals"] != {"plans": 3, "finished": 0, "failed": 0, "pending": 3}:
            problems.append(f"totals are {summary['totals']}")
        if list((self.folder / "captures").rglob("plan.json")):
            problems.append("there are plans")
        tree = summary["model_tree"]
        if sorted(tree["models"]) != sorted(MODELS) or len(tree["merges"]) != 2 or tree["left_out"]:
            problems.append(f"the tree is {tree}")
        if "how alike the models are" not in text:
            problems.append(f"printed: {text}")
        problems += self.likeness_problems(tree)
        logs = [path.read_text() for path in (self.folder / "captures").rglob("log.txt")]
        if len(logs) != 3 or not all("from the cache" in log for log in logs):
            problems.append(f"models were captured again: {logs}")
        code, _, error = self.run(out="captures", cache="cache-whole")
        problems += complaint(code, error, 0)
        if self.plans("captures") != self.plans("whole"):
            problems.append("the plans after it are not those of a whole run")
        if self.summary("captures")["model_tree"] != self.summary("whole")["model_tree"]:
            problems.append("the tree is not that of a whole run")
        self.report.check("CapturesOnlySayHowAlikeModelsAre", problems)

    def likeness_problems(self, tree):
        """The likeness of two models from the matrix that repsim similarity writes."""
        done = subprocess.run([self.binary, "similarity", "plain.pt", "mobile.pt", "--video", "v.y4m", "--frames", "32",
                               "--threads", "1", "--cache", "cache-whole", "--out", "s"], cwd=self.folder, timeout=120,
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
        about = json.loads((self.folder / "s/similarity.json").read_text())
        data = (self.folder / "s/similarity.npy").read_bytes()
        size = about["matrix"]["shape"][0]
        values = struct.unpack(f"<{size * size}d", data[-size * size * 8 :])
        a, b = ([*range(one["first"], one["first"] + len(one["layers"]))] for one in about["models"])

        def best(rows, cols):
            found = [[max(0, values[row * size + col]) for col in cols if values[row * size + col] == values[row * size + col]]
                     for row in rows]  # fmt: skip
            found = [max(row) for row in found if row]
            return sum(found) / len(found)

        expected = (best(a, b) + best(b, a)) / 2
        row, col = tree["models"].index("plain"), tree["models"].index("mobile")
        problems = complaint(done.returncode, done.stderr, 0)
        if abs(tree["likeness"][row][col] - expected) > 1e-5:  # the summary is rounded
            problems.append(f"the likeness is {tree['likeness'][row][col]}, not {expected}")
        return problems

    def one_more_setting(self):
        """A larger sweep in the same folder: what is there counts, and gives the time of the rest."""
        self.write("larger.json", video=["v.y4m"], sets=["all-pairs", {"k_subsets": 3}])
        before = self.finished("whole")
        code, text, error = self.run("--dry-run", out="whole", file="larger.json", cache="cache-whole")
        problems = complaint(code, error, 0)
        if "plans: 1 to do, 3 finished" not in text or "about 0.0" not in text:
            problems.append(f"the dry run says: {text}")
        if self.finished("whole") != before:
            problems.append("a dry run changed plans")
        self.report.check("ALargerSweepTakesWhatIsThere", problems)

    def killed(self):
        """SIGKILL a random moment after so many tasks have ended: while captures run, between, while plans run."""
        moments, redone, known = random.Random(int(os.environ.get("REPSIM_SEED", "5"))), [], {}
        for kill, ended in enumerate(KILLED_AFTER):
            process = subprocess.Popen(self.command("--jobs", "1" if kill % 2 else "2", out="killed", cache="cache-killed"),
                                       cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
            while process.poll() is None and self.ended("killed") < ended:
                time.sleep(0.02)
            time.sleep(moments.uniform(0, 0.7))
            process.kill()
            process.wait()
            now = self.finished("killed")
            redone += [path for path, moment in known.items() if now.get(path) != moment]
            known = now
        problems = [] if known else ["no kill came after a finished plan"]
        code, _, error = self.run(out="killed", cache="cache-killed")
        problems += complaint(code, error, 0)
        now = self.finished("killed")
        redone += [path for path, moment in known.items() if now.get(path) != moment]
        if redone:
            problems.append(f"finished plans were made again: {redone}")
        if self.plans("killed") != self.plans("whole"):
            problems.append("the plans are not those of an undisturbed run")
        self.report.check("KilledAndResumed", problems)

    def interrupted(self):
        process = subprocess.Popen(self.command("--jobs", "2", out="stopped", cache="cache-stopped"), cwd=self.folder,
                                   env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)  # fmt: skip
        logs = []
        for _ in range(600):  # until a task runs
            logs = list((self.folder / "stopped").rglob("log.txt"))
            if logs or process.poll() is not None:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=120)
        problems = complaint(process.returncode, error, 130)
        locks = subprocess.run(["sh", "-c", 'for lock; do flock -n "$lock" true || echo "$lock"; done', "sh",
                                *map(str, (self.folder / "stopped").rglob("lock"))], capture_output=True)  # fmt: skip
        if locks.stdout:
            problems.append(f"tasks still run: {locks.stdout}")
        outcomes = list((self.folder / "stopped").rglob("outcome.json"))
        if any(json.loads(path.read_text())["exit_code"] == 130 for path in outcomes):
            problems.append("an interrupted task has an outcome")
        self.report.check("InterruptedSweepStopsItsTasks", problems)

    # ---- Failures ----

    def failing(self):
        (self.folder / "broken.pt").write_bytes((self.folder / "plain.pt").read_bytes()[:1000])
        self.write("failing.json", models=["broken.pt", "plain.pt", "mobile.pt"],
                   settings={"frames": {"count": 32, "scan": 0}, "report_frames": 0,
                             "merge": {"max_trials": 1, "min_fidelity": 0, "max_rank": 0}})  # fmt: skip
        code, text, error = self.run("--jobs", "2", out="failing", file="failing.json", cache="cache-whole")
        problems = complaint(code, error, 3, b"2 of 3 plans failed", b"summary.md")
        summary = self.summary("failing")
        states = {plan["set"]: plan["state"] for plan in summary["plans"]}
        if states != {"broken+plain": "failed", "broken+mobile": "failed", "plain+mobile": "finished"}:
            problems.append(f"states are {states}")
        for plan in summary["plans"]:
            if plan["state"] == "failed" and "broken.pt" not in plan["problem"]:
                problems.append(f"the problem is {plan['problem']!r}")
            if not (self.folder / "failing" / plan["log"]).exists():
                problems.append(f"there is no {plan['log']}")
        if "failed: plans/broken+plain/default" not in text:
            problems.append(f"printed: {text}")
        self.report.check("AFailingModelIsNamedAndStopsNothing", problems)

        logs = {path: path.stat().st_mtime_ns for path in (self.folder / "failing/plans").rglob("log.txt")}
        code, _, error = self.run(out="failing", file="failing.json", cache="cache-whole")
        problems = complaint(code, error, 3)
        if any(path.stat().st_mtime_ns != moment for path, moment in logs.items()):
            problems.append("failed plans ran again")
        self.report.check("FailedPlansStayFailed", problems)

        code, _, error = self.run("--retry-failed", out="failing", file="failing.json", cache="cache-whole")
        problems = complaint(code, error, 3)
        again = [path for path, moment in logs.items() if path.stat().st_mtime_ns != moment]
        if len(again) != 2:
            problems.append(f"ran again: {again}")
        self.report.check("RetryFailedRunsThemAgain", problems)

        shutil.copy(self.folder / "residual.pt", self.folder / "broken.pt")
        code, text, error = self.run("--dry-run", out="failing", file="failing.json", cache="cache-whole")
        problems = complaint(code, error, 0)
        if "plans: 2 to do, 1 finished" not in text:
            problems.append(f"the dry run says: {text}")
        self.report.check("AChangedModelMakesItsPlansPending", problems)

    def refused(self):
        (self.folder / "other").mkdir()
        (self.folder / "other/file").write_text("x")
        cases = {
            "NoSweep": (["sweep", "--out", "out"], 2, b"no sweep is given"),
            "NoOut": (["sweep", "sweep.json"], 2, b"--out DIR"),
            "FolderOfSomethingElse": (["sweep", "sweep.json", "--out", "other"], 3, b"no sweep made it"),
            "UnknownEngine": (["sweep", "sweep.json", "--out", "out", "--engine", "slrum"], 2, b"did you mean 'slurm'"),
            "NoJobs": (["sweep", "sweep.json", "--out", "out", "--jobs", "0"], 2, b"--jobs"),
            "WaitWithoutSlurm": (["sweep", "sweep.json", "--out", "out", "--wait"], 2, b"--engine slurm"),
            "TaskThatIsNone": (["sweep", "--task", "other"], 3, b"task.json"),
            "SummaryOfNothing": (["sweep", "--summary", "--out", "other"], 3, b"tasks.json"),
            "TaskBesideASweep": (["sweep", "sweep.json", "--task", "other"], 2, b"--task"),
            "MissingModel": (["sweep", "missing.json", "--out", "out"], 3, b"gone.pt"),
        }  # fmt: skip
        self.write("missing.json", models=["plain.pt", "gone.pt"])
        for name, (arguments, code, pattern) in cases.items():
            done = subprocess.run([self.binary, *arguments], cwd=self.folder, env=self.environment, timeout=60,
                                  stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
            problems = complaint(done.returncode, done.stderr, code, pattern)
            if (self.folder / "out").exists():
                problems.append("out was left behind")
            self.report.check(name, problems)

    # ---- Other engines ----

    def snakemake(self):
        program = self.arguments.snakemake or shutil.which("snakemake")
        if not program:
            return self.report.skip("Snakemake", "there is no snakemake")
        code, text, error = self.run("--engine", "snakemake", out="snake", cache="cache-snake")
        problems = complaint(code, error, 0)
        for run in (1, 2):
            before = self.finished("snake")
            done = subprocess.run([program, "--snakefile", str(self.folder / "snake/Snakefile"), "--cores", "2"],
                                  cwd="/", env={**self.environment, "HOME": str(self.folder)}, timeout=600,
                                  stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
            if done.returncode != 0:
                problems.append(f"snakemake ended with {done.returncode}: {done.stderr[-600:]!r}")
            if run == 2 and self.finished("snake") != before:
                problems.append("Snakemake made finished plans again")
        if self.plans("snake") != self.plans("whole"):
            problems.append("the plans are not those of the local engine")
        if self.summary("snake")["totals"]["finished"] != 3:
            problems.append(f"totals are {self.summary('snake')['totals']}")
        self.report.check("Snakemake", problems)

    def slurm(self):
        if not shutil.which("sbatch") or "SLURM_CONF" not in os.environ:
            return self.report.skip("Slurm", "there is no sbatch, or SLURM_CONF names no configuration")
        code, text, error = self.run("--engine", "slurm", "--wait", out="slurm", cache="cache-slurm")
        problems = complaint(code, error, 0)
        if self.plans("slurm") != self.plans("whole"):
            problems.append("the plans are not those of the local engine")
        before = self.finished("slurm")
        code, text, error = self.run("--engine", "slurm", "--wait", out="slurm", cache="cache-slurm")
        problems += complaint(code, error, 0)
        if self.finished("slurm") != before:
            problems.append("finished plans were made again")
        self.report.check("Slurm", problems)
        self.slurm_twice()

    def slurm_twice(self):
        """Two calls while all jobs wait: the second one submits nothing, and each task runs once."""
        hold = ["--sbatch-option=--hold"]
        code, text, error = self.run("--engine", "slurm", *hold, out="twice", cache="cache-twice")
        problems = complaint(code, error, 0)
        ids = text.splitlines()[0].removeprefix("submitted: ").split()
        queue = ["squeue", "--noheader", "--array", "--format=%i", "--jobs=" + ",".join(ids)]
        waiting = subprocess.run(queue, capture_output=True, text=True).stdout.split()
        if len(waiting) != 7:  # three captures, three plans, the summary
            problems.append(f"these wait: {waiting}")
        recorded = (self.folder / "twice/slurm/jobs.json").read_text()
        code, text, error = self.run("--engine", "slurm", *hold, out="twice", cache="cache-twice")
        problems += complaint(code, error, 0)
        if "nothing to submit" not in text:
            problems.append(f"the second call printed {text!r}")
        if (self.folder / "twice/slurm/jobs.json").read_text() != recorded:
            problems.append("the second call submitted something")
        # One task more, and one job that Slurm ended early.
        subprocess.run(["scancel", ids[1]])
        self.write("larger.json", video=["v.y4m"], sets=["all-pairs", {"k_subsets": 3}])
        code, text, error = self.run("--engine", "slurm", *hold, out="twice", file="larger.json", cache="cache-twice")
        problems += complaint(code, error, 0)
        lists = json.loads((self.folder / "twice/slurm/jobs.json").read_text())["jobs"]
        tasks = [line for job in lists if job["list"] for line in (self.folder / "twice" / job["list"]).read_text().splitlines()]
        if len(tasks) != 7 or len(set(tasks)) != 7:
            problems.append(f"jobs.json has the tasks {tasks}")
        for job in lists:
            subprocess.run(["scontrol", "release", job["id"]])
        code, text, error = self.run("--engine", "slurm", "--wait", out="twice", file="larger.json", cache="cache-twice")
        problems += complaint(code, error, 0)
        if self.summary("twice")["totals"] != {"plans": 4, "finished": 4, "failed": 0, "pending": 0}:
            problems.append(f"totals are {self.summary('twice')['totals']}")
        whole, twice = self.plans("whole"), self.plans("twice")
        if any(twice.get(plan) != content for plan, content in whole.items()):
            problems.append("the plans are not those of the local engine")
        self.report.check("SlurmIsGivenNoTaskTwice", problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", help="run the parts whose name contains this; parts compare with the part undisturbed")
    parser.add_argument("--snakemake", help="the program; default: that on PATH")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        sweeps = Sweeps(arguments, folder, report)
        for part in ("refused", "undisturbed", "again", "captures_only", "one_more_setting", "killed", "interrupted", "failing", "snakemake", "slurm"):
            if part == "undisturbed" or sweeps.wanted(part):
                getattr(sweeps, part)()
    report.end()


if __name__ == "__main__":
    main()
