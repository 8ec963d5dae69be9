#!/usr/bin/env python3
"""What sweeps promise, shown on real ones. Prints figures as Markdown; exit code 1 if a promise is broken.

    python bench/sweeps.py kill  --work FOLDER [--public FOLDER] [--kills 10] [--slurm] [--snakemake PROGRAM] [--few]
    python bench/sweeps.py large --work FOLDER
    python bench/sweeps.py many  --work FOLDER [--sets 100] [--jobs 2]
    python bench/sweeps.py jobs  --work FOLDER [--plans 8] [--rounds 3]
    python bench/sweeps.py cache --work FOLDER [--tasks 200] [--at-once 24]

kill: at least 20 sets of the demo's models, of fixtures and, with --public, of public detectors. One undisturbed run; one that is
killed with SIGKILL at random moments, alone or with all its tasks, and resumed; the same tasks with Slurm (SLURM_CONF names its
configuration) and Snakemake. All have to give the same plan.json and bundle.pt, and no finished task may run again. --few takes three
models, as CI does.
large: 40 models, 1000 sets, 6 videos, nothing runs: tasks, sizes and times of the dry run, the task graph and the summary.
many: a sweep of small models, measured.
jobs: throughput of n tasks at once on n cores against one at a time on one core, alone and beside a busy program.
cache: captures of few models by many processes at once on one cache, every tenth of which is killed with SIGKILL at a random
moment. Each model may be captured once, and the entries have to be those of an undisturbed run.

Every subcommand takes --repsim PROGRAM (default: build/release/bin/repsim). Python's standard library only. FOLDER is made; what
earlier runs left there is removed.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/cli"))
from small_plan import write_video  # noqa: E402

DEMO = ("plain", "mobile", "residual")
FIXTURES = ("small", "wide")
PUBLIC = ("fastestdet", "yolofastestv2")
# Small plans: one trial per pair, noise as video. What they find does not matter here.
SETTINGS = {"frames": {"count": 32, "scan": 0}, "report_frames": 0, "merge": {"max_trials": 1, "min_fidelity": 0, "max_rank": 0}}
QUIET = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def text_of(arguments: list, **options) -> str:
    done = subprocess.run([str(word) for word in arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{arguments} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def cpu_seconds(function) -> tuple[float, float, float]:
    """Seconds, seconds of the CPU in children, and the load before."""
    load, before, begin = os.getloadavg()[0], os.times(), time.monotonic()
    function()
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - begin, spent, load


class Sweep:
    """A folder with a sweep's file, its models and its video."""

    def __init__(self, arguments, public: Path | None = None, few: bool = False):
        self.repsim = str(Path(arguments.repsim).resolve())
        self.folder = Path(arguments.work).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_video(self.folder / "v.y4m")
        self.models = []
        for name in DEMO:
            self.add(ROOT / "demo" / f"{name}.pt")
        if not few:
            for name in FIXTURES:
                self.add(ROOT / "tests/fixtures" / f"{name}.pt", {"width": 48, "height": 48})
        for name in PUBLIC if public else ():
            self.add(public / f"{name}.pt", {"width": 352, "height": 352, "color": "bgr"})

    def add(self, path: Path, size: dict | None = None):
        shutil.copy(path, self.folder / path.name)
        self.models.append({"path": path.name, **({"input": size} if size else {})})

    def write(self, **more):
        names = [Path(model["path"]).stem for model in self.models]
        settings = {**SETTINGS, "merge": {**SETTINGS["merge"], "accept_unmeasured": names}}
        content = {"models": self.models, "video": "v.y4m", "settings": settings, "boxes": {"box": "1G"}, **more}
        (self.folder / "sweep.json").write_text(json.dumps(content))

    def command(self, out: str, *more) -> list[str]:
        return [self.repsim, "sweep", "sweep.json", "--out", out, "--cache", f"cache-{out}", "--threads", "1", *map(str, more)]

    def run(self, out: str, *more) -> str:
        return text_of(self.command(out, *more), cwd=self.folder)

    def forget(self, out: str):
        """Removes an earlier run and its cache."""
        for folder in (out, f"cache-{out}"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)

    def plans(self, out: str) -> dict:
        files = ("plan.json", "bundle.pt")
        found = {}
        for path in sorted((self.folder / out / "plans").rglob("plan.json")):
            found[str(path.parent.relative_to(self.folder / out))] = [path.with_name(file).read_bytes() for file in files]
        return found

    def finished(self, out: str) -> dict:
        """What is there, with what tells a task that ran again."""
        found = {str(path): path.stat().st_mtime_ns for path in (self.folder / out).rglob("plan.json")}
        for path in (self.folder / out / "captures").rglob("outcome.json"):
            found[str(path)] = path.with_name("model.signatures").stat().st_mtime_ns
        return found

    def summary(self, out: str) -> dict:
        return json.loads((self.folder / out / "summary.json").read_text())


def children_of(process: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has ended
        if int(fields[1]) == process:
            found.append(int(stat.parent.name))
    return found


def killed(sweep: Sweep, kills: int, seconds: float) -> tuple[list, int]:
    """Kills at random moments. Every other time the tasks die as well, as on a machine that goes down.
    @return what ran again though it was finished; how often a kill came while something was finished"""
    moments, redone, known, counted = random.Random(5), [], {}, 0
    for number in range(kills):
        process = subprocess.Popen(sweep.command("killed", "--jobs", "2"), cwd=sweep.folder, **QUIET)
        try:
            process.wait(moments.uniform(0.2, 1.6) * seconds / kills)
        except subprocess.TimeoutExpired:
            doomed = children_of(process.pid) if number % 2 else []
            process.kill()
            for child in doomed:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        process.wait()
        now = sweep.finished("killed")
        redone += [path for path, moment in known.items() if now.get(path) != moment]
        known = now
        counted += bool(known)
    sweep.run("killed", "--jobs", "2")
    now = sweep.finished("killed")
    redone += [path for path, moment in known.items() if now.get(path) != moment]
    return redone, counted


def kill(arguments) -> list[str]:
    sweep = Sweep(arguments, arguments.public, arguments.few)
    for out in ("whole", "killed", "slurm", "snake"):
        sweep.forget(out)
    sweep.write(sets="all-pairs" if arguments.few or arguments.public else ["all-pairs", {"k_subsets": 3}])
    begin = time.monotonic()
    sweep.run("whole", "--jobs", "2")
    seconds = time.monotonic() - begin
    whole, problems = sweep.plans("whole"), []
    print(f"{len(whole)} sets of {len(sweep.models)} models: {seconds:.0f} s with --jobs 2, load {os.getloadavg()[0]:.1f}")
    if sweep.summary("whole")["totals"]["finished"] != len(whole):
        problems.append(f"totals: {sweep.summary('whole')['totals']}")
    redone, counted = killed(sweep, arguments.kills, seconds)
    if redone:
        problems.append(f"ran again though finished: {redone}")
    if sweep.plans("killed") != whole:
        problems.append("killed and resumed: other bytes")
    print(f"killed {arguments.kills} times ({counted} with finished tasks) and resumed: "
          f"{'same bytes' if sweep.plans('killed') == whole else 'OTHER BYTES'}, {len(redone)} redone")  # fmt: skip
    runs = {}
    if arguments.slurm:
        runs["Slurm"] = lambda: sweep.run("slurm", "--engine", "slurm", "--wait")
    if arguments.snakemake:
        def snakemake():
            sweep.run("snake", "--engine", "snakemake")
            text_of([arguments.snakemake, "--snakefile", sweep.folder / "snake/Snakefile", "--cores", "2"], cwd=sweep.folder,
                    env={**os.environ, "HOME": str(sweep.folder)})  # fmt: skip
        runs["Snakemake"] = snakemake
    for name, run in runs.items():
        out = {"Slurm": "slurm", "Snakemake": "snake"}[name]
        begin = time.monotonic()
        run()
        seconds = time.monotonic() - begin
        before = sweep.finished(out)
        run()
        same, again = sweep.plans(out) == whole, sweep.finished(out) != before
        print(f"{name}: {'same bytes' if same else 'OTHER BYTES'}, {seconds:.0f} s; "
              f"a second call: {'REDONE' if again else 'nothing redone'}")  # fmt: skip
        problems += [f"{name}: other bytes"] * (not same) + [f"{name}: finished tasks ran again"] * again
    return problems


def large(arguments) -> list[str]:
    sweep = Sweep(arguments, few=True)
    model, videos = (sweep.folder / "plain.pt").read_bytes(), []
    sweep.models = []
    for number in range(40):
        (sweep.folder / f"m{number:02}.pt").write_bytes(model)
        sweep.models.append({"path": f"m{number:02}.pt"})
    for number in range(6):
        videos.append(f"camera{number}.y4m")
        write_video(sweep.folder / videos[-1], frames=40 + number)
    names = [f"m{number:02}" for number in range(40)]
    sets = [list(one) for one in itertools.islice(itertools.combinations(names, 3), 0, None, 9)][:1000]
    sweep.write(sets=sets, video=videos)
    sweep.forget("large")
    problems = []

    seconds, cpu, load = cpu_seconds(lambda: setattr(sweep, "text", sweep.run("large", "--dry-run")))
    counts = [line for line in sweep.text.splitlines() if line.startswith(("captures:", "plans:"))]
    print(f"dry run: {'; '.join(counts)}; {seconds:.1f} s, {cpu:.1f} s of CPU (load {load:.1f})")
    if counts != ["captures: 240 to do, 0 finished", "plans: 6000 to do, 0 finished"]:
        problems.append(f"the dry run says {counts}")
    for engine in ("snakemake",):
        seconds, cpu, load = cpu_seconds(lambda: sweep.run("large", "--engine", engine))
        print(f"task graph for {engine}, all tasks prepared: {seconds:.1f} s, {cpu:.1f} s of CPU (load {load:.1f})")
    tasks = json.loads((sweep.folder / "large/tasks.json").read_text())["tasks"]
    size = sum(path.stat().st_size for path in (sweep.folder / "large").rglob("*.json"))
    print(f"tasks.json: {(sweep.folder / 'large/tasks.json').stat().st_size / 1e6:.1f} MB; all files of {len(tasks)} tasks: {size / 1e6:.0f} MB")

    # One real plan and one real capture stand for all results.
    sample = Sweep(argparse.Namespace(repsim=arguments.repsim, work=sweep.folder / "sample"), few=True)
    sample.write(sets=[["plain", "mobile", "residual"]])
    sample.run("one")
    plan = next((sample.folder / "one/plans").rglob("plan.json")).read_bytes()
    signatures = [path.read_bytes() for path in sorted((sample.folder / "one").rglob("model.signatures"))]
    for number, task in enumerate(tasks):
        folder = sweep.folder / "large" / task["folder"]
        if task["kind"] == "plan":
            (folder / "plan").mkdir(exist_ok=True)
            (folder / "plan/plan.json").write_bytes(plan)
        else:
            (folder / "model.signatures").write_bytes(signatures[number % 3])
        (folder / "outcome.json").write_text(json.dumps({"schema_version": 1, "key": task["key"], "exit_code": 0, "seconds": 60.0}))
    seconds, cpu, load = cpu_seconds(lambda: text_of([sweep.repsim, "sweep", "--summary", "--out", "large"], cwd=sweep.folder))
    sizes = ", ".join(f"summary.{form} {(sweep.folder / 'large' / f'summary.{form}').stat().st_size / 1e6:.1f} MB" for form in ("json", "csv", "md", "html"))
    print(f"summary of all: {seconds:.1f} s, {cpu:.1f} s of CPU (load {load:.1f}); {sizes}")
    if sweep.summary("large")["totals"]["finished"] != 6000 or len(sweep.summary("large")["model_tree"]["models"]) != 40:
        problems.append(f"the summary has {sweep.summary('large')['totals']}")
    seconds, cpu, load = cpu_seconds(lambda: sweep.run("large", "--dry-run"))
    print(f"dry run of the finished sweep: {seconds:.1f} s, {cpu:.1f} s of CPU (load {load:.1f})")
    return problems


def many(arguments) -> list[str]:
    sweep = Sweep(arguments)
    names = [Path(model["path"]).stem for model in sweep.models]
    for number in range(10):  # relatives: the same models under other names count as other models
        source = sweep.models[number % 5]
        name = f"{Path(source['path']).stem}{number}.pt"
        shutil.copy(sweep.folder / source["path"], sweep.folder / name)
        sweep.models.append({**source, "path": name})
        names.append(Path(name).stem)
    sets = [list(pair) for pair in itertools.combinations(names, 2)][: arguments.sets]
    sweep.write(sets=sets)
    sweep.forget("many")
    seconds, cpu, load = cpu_seconds(lambda: sweep.run("many", "--jobs", arguments.jobs))
    summary = sweep.summary("many")
    tasks = [plan["seconds"] for plan in summary["plans"] if plan["seconds"]]
    captures = len(list((sweep.folder / "many/captures").rglob("outcome.json")))
    print(f"{len(sets)} sets of {len(names)} models, --jobs {arguments.jobs}, one thread each: {seconds:.0f} s, {cpu:.0f} s of CPU; "
          f"{captures} captures; a plan {sum(tasks) / max(1, len(tasks)):.1f} s on average (load before {load:.1f})")  # fmt: skip
    begin = time.monotonic()
    sweep.run("many", "--jobs", arguments.jobs)
    print(f"once more, with nothing to do: {time.monotonic() - begin:.1f} s")
    return [] if summary["totals"]["finished"] == len(sets) else [f"totals: {summary['totals']}"]


def busy() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", "while True: pass"], **QUIET)


def jobs(arguments) -> list[str]:
    """Each round runs the same plans anew: one at a time on one core, n at once on n cores."""
    cores = sorted(os.sched_getaffinity(0))
    sweep = Sweep(arguments, few=True)
    sweep.write(sets=[["plain", "mobile"]], grid={"merge.min_fidelity": [i / 1000 for i in range(arguments.plans)]})
    sweep.forget("warm")
    sweep.run("warm", "--captures-only")

    def run(out: str, count: int, places: list[int]) -> tuple[float, float]:
        """Seconds of a plan, and its seconds of CPU, without the sweep's own."""
        shutil.rmtree(sweep.folder / out, ignore_errors=True)
        command = sweep.command("warm", "--jobs", count)
        command[command.index("--out") + 1] = out
        process = subprocess.Popen(command, cwd=sweep.folder, preexec_fn=lambda: os.sched_setaffinity(0, places), **QUIET)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}")
        taken = [plan["seconds"] for plan in sweep.summary(out)["plans"]]
        return sum(taken) / len(taken), (usage.ru_utime + usage.ru_stime) / len(taken)

    problems = []
    print("| beside | load | one at a time on one core: s of a plan, of CPU | one per core: s of a plan, of CPU | ratio, of CPU |")
    print("| --- | --- | --- | --- | --- |")
    for beside in ("nothing of ours", "a busy program"):
        load = os.getloadavg()[0]
        other = busy() if beside != "nothing of ours" else None
        try:
            singles, together = [], []
            for _ in range(arguments.rounds):  # in turns, so that what else runs hits both
                singles.append(run("single", 1, cores[:1]))
                together.append(run("together", len(cores), cores))
        finally:
            if other:
                other.kill()
                other.wait()
        (single, single_cpu), (both, both_cpu) = (tuple(map(min, zip(*rounds))) for rounds in (singles, together))
        print(f"| {beside} | {load:.1f} | {single:.2f}, {single_cpu:.2f} | {both:.2f}, {both_cpu:.2f} | "
              f"{both / single:.2f}, {both_cpu / single_cpu:.2f} |")  # fmt: skip
        if not other and both_cpu > 1.15 * single_cpu:
            problems.append(f"{len(cores)} at once take {both_cpu / single_cpu:.2f} times the CPU")
    return problems


def entries(folder: Path) -> dict:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.signatures"))}


def cache(arguments) -> list[str]:
    sweep = Sweep(arguments)

    def command(model: dict, folder: str) -> list[str]:
        size = ["--input", f"{model['input']['width']}x{model['input']['height']}"] if "input" in model else []
        return [sweep.repsim, "capture", model["path"], "--video", "v.y4m", "--frames", "32", "--threads", "1", "--cache", folder, *size]

    for folder in ("cache-alone", "cache-shared"):
        shutil.rmtree(sweep.folder / folder, ignore_errors=True)
    begin = time.monotonic()
    for model in sweep.models:
        text_of(command(model, "cache-alone"), cwd=sweep.folder)
    each = (time.monotonic() - begin) / len(sweep.models)
    moments, waiting, running = random.Random(7), [(number, sweep.models[number % len(sweep.models)]) for number in range(arguments.tasks)], []
    captured, killed_ones, failed = {}, 0, []
    begin = time.monotonic()
    while waiting or running:
        while waiting and len(running) < arguments.at_once:
            number, model = waiting.pop(0)
            process = subprocess.Popen(command(model, "cache-shared"), cwd=sweep.folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
            ends = time.monotonic() + moments.uniform(0, each * arguments.at_once) if number % 10 == 0 else None
            running.append((process, model["path"], ends))
        time.sleep(0.01)
        for one in list(running):
            process, name, ends = one
            if process.poll() is None and ends is not None and time.monotonic() > ends:
                process.kill()
            if process.poll() is None:
                continue
            running.remove(one)
            out, errors = process.communicate()
            killed_ones += process.returncode == -signal.SIGKILL
            if process.returncode not in (0, -signal.SIGKILL):
                failed.append(errors.strip())
            captured[name] = captured.get(name, 0) + out.rstrip().endswith(", captured")
    seconds = time.monotonic() - begin
    same = entries(sweep.folder / "cache-shared") == entries(sweep.folder / "cache-alone")
    print(f"{arguments.tasks} captures of {len(sweep.models)} models, {arguments.at_once} at once, {killed_ones} of them killed: {seconds:.0f} s; "
          f"{sum(captured.values())} captured, the others from the cache; entries: {'same bytes' if same else 'OTHER BYTES'}")  # fmt: skip
    problems = [f"{name} was captured {count} times" for name, count in captured.items() if count > 1]
    return problems + failed + ["other bytes in the cache"] * (not same)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(dest="what", required=True)
    for name, function in (("kill", kill), ("large", large), ("many", many), ("jobs", jobs), ("cache", cache)):
        one = subparsers.add_parser(name)
        one.set_defaults(function=function)
        one.add_argument("--repsim", default=ROOT / "build/release/bin/repsim")
        one.add_argument("--work", required=True)
        if name == "kill":
            one.add_argument("--public", type=Path, help="folder with fastestdet.pt and yolofastestv2.pt")
            one.add_argument("--kills", type=int, default=10)
            one.add_argument("--slurm", action="store_true")
            one.add_argument("--snakemake", help="the program")
            one.add_argument("--few", action="store_true")
        if name == "many":
            one.add_argument("--sets", type=int, default=100)
            one.add_argument("--jobs", type=int, default=2)
        if name == "jobs":
            one.add_argument("--plans", type=int, default=8)
            one.add_argument("--rounds", type=int, default=3)
        if name == "cache":
            one.add_argument("--tasks", type=int, default=200)
            one.add_argument("--at-once", type=int, default=24)
    arguments = parser.parse_args()
    problems = arguments.function(arguments)
    for problem in problems:
        print(f"FAILED: {problem}")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
