#!/usr/bin/env python3
"""How runs end: signals, limits, full disks, calls that fail, kill -9. Each leaves nothing half-written.

    tests/cli/ends.py --binary build/release/bin/repsim --faults build/release/bin/librepsim_faults.so [--only NAME]
    tests/cli/ends.py ... --all [--only 'Fault write'] [--kills 100]    every call fails in turn; takes long

Python's standard library only. Exit code: 0 all passed, 1 some failed, 77 all were skipped.
"""

import argparse
import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from small_plan import Place, Report, complaint, temporary_folder

CALLS = ("open", "read", "write", "fsync", "rename", "mkdir", "flock", "mmap", "fallocate", "malloc")
ERRORS = {"open": errno.EMFILE, "read": errno.EIO, "fsync": errno.EIO, "rename": errno.EIO, "flock": errno.ENOLCK,
          "mmap": errno.ENOMEM, "malloc": errno.ENOMEM}  # fmt: skip
SAMPLE = 8  # calls that fail in a short run
INTERRUPTED = 130


class Ends:
    def __init__(self, arguments, folder, report):
        self.arguments, self.report = arguments, report
        self.place = Place(arguments.binary, arguments.source, folder)
        begin = time.monotonic()
        code, _, stderr = self.place.run(self.place.command())
        if code != 0:
            raise RuntimeError(f"the plan ends with {code}: {stderr.decode(errors='replace')}")
        self.seconds = time.monotonic() - begin
        self.expected = self.place.results()
        self.reset()

    def reset(self):
        for name in ("out", "cache"):
            shutil.rmtree(self.place.folder / name, ignore_errors=True)

    def wanted(self, name):
        return not self.arguments.only or self.arguments.only in name

    def nothing_left(self, allowed=()):
        problems = [f"{path} was left behind" for path in self.place.left() if path not in allowed]
        if (self.place.folder / "out").exists():
            problems.append("there is an output")
        return problems

    def whole(self):
        problems = [f"{path} was left behind" for path in self.place.left()]
        if not (self.place.folder / "out").exists():
            return [*problems, "there is no output"]
        return problems + ([] if self.place.results() == self.expected else ["the output has other bytes"])

    def rerun(self):
        """The next run has to find all in order, whatever the one before left."""
        code, _, stderr = self.place.run(self.place.command("--force"))
        return complaint(code, stderr, 0) + self.whole()

    # --- signals ------------------------------------------------------------------------------------------------------

    def started(self, **options):
        """A run that has begun to work: it has its temporary folder."""
        process = subprocess.Popen(self.place.command(trials=20), cwd=self.place.folder,
                                   env=self.place.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, **options)  # fmt: skip
        end = time.monotonic() + 60
        while time.monotonic() < end and process.poll() is None and not list(self.place.folder.glob(".repsim-*.tmp")):
            time.sleep(0.002)
        return process

    def signals(self):
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU"):
            if not self.wanted(name):
                continue
            process = self.started()
            process.send_signal(getattr(signal, name))
            _, stderr = process.communicate(timeout=120)
            self.report.check(name, complaint(process.returncode, stderr, INTERRUPTED, b"repsim: interrupted")
                              + self.nothing_left())  # fmt: skip
            self.reset()
        if self.wanted("TwoSignals"):
            process = self.started()
            process.send_signal(signal.SIGINT)
            process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)
            ends = (-signal.SIGTERM, INTERRUPTED)
            problems = [] if process.returncode in ends else [f"exit code {process.returncode}"]
            self.report.check("TwoSignals", problems + self.nothing_left())
            self.reset()
        if self.wanted("Nohup"):
            process = self.started(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
            process.send_signal(signal.SIGHUP)
            _, stderr = process.communicate(timeout=120)
            self.report.check("Nohup", complaint(process.returncode, stderr, 0))
            self.reset()

    def pipes(self):
        def closed_pipe():
            reader, writer = os.pipe()
            os.close(reader)
            return writer

        for name, options, code in (
            ("StderrInAClosedPipe", {"stderr": closed_pipe()}, 0),
            ("StdoutInAClosedPipe", {"stdout": closed_pipe()}, 3),
            ("StderrClosed", {"preexec_fn": lambda: os.close(2)}, 0),
            ("StdoutClosed", {"preexec_fn": lambda: os.close(1)}, 3),
            ("AllStreamsClosed", {"preexec_fn": lambda: os.closerange(0, 3)}, 3),
        ):
            if self.wanted(name):
                found, _, stderr = self.place.run(self.place.command("-v"), restore_signals=True, **options)
                self.report.check(name, complaint(found, stderr, code) + self.whole())
                self.reset()

    # --- limits -------------------------------------------------------------------------------------------------------

    def limited(self, name, limit, value, code, *patterns, **command):
        if not self.wanted(name):
            return
        found, _, stderr = self.place.run(self.place.command(**command),
                                          preexec_fn=lambda: resource.setrlimit(limit, value))  # fmt: skip
        self.report.check(name, complaint(found, stderr, code, *patterns) + self.nothing_left())
        self.reset()

    def cpu_time(self):
        """Runs of a fraction of a second end before the smallest limit of CPU time, one second: the process has used the
        rest of it before it becomes repsim, so that the limit is reached in the middle of the work."""
        if not self.wanted("CpuTime"):
            return
        command = self.place.command(trials=20)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        code, _, stderr = self.place.run(command)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.reset()
        needed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        def use_most():
            while time.process_time() < 1 - needed / 2:
                pass
            resource.setrlimit(resource.RLIMIT_CPU, (1, 600))

        found, _, limited = self.place.run(command, preexec_fn=use_most)
        self.report.check("CpuTime", complaint(code, stderr, 0) + complaint(found, limited, INTERRUPTED)
                          + self.nothing_left())  # fmt: skip
        self.reset()

    def limits(self):
        self.limited("SizeOfFiles", resource.RLIMIT_FSIZE, (20_000, 20_000), 3, b"File too large", b"ulimit -f")
        self.cpu_time()
        needed = 4 << 30  # of addresses, by the libraries alone
        self.limited("Addresses", resource.RLIMIT_AS, (needed, needed), 3, b"ulimit", threads=1024)

    def full_disk(self):
        """A file system of one megabyte, in a mount namespace of its own."""
        if not self.wanted("FullDisk"):
            return
        disk = self.place.folder / "disk"
        disk.mkdir()
        for name, size, option, code, text in (
            ("FullDisk", "60k", "rw", 3, b"No space left"),
            ("ReadOnlyFileSystem", "1m", "ro", 3, b"Read-only file system"),
        ):
            steps = 'mount -t tmpfs -o size=$1,$2 none disk || exit 99; shift 2; "$@"; c=$?; ls -A disk >&2; exit $c'
            script = ["unshare", "-m", "sh", "-c", steps, "sh", size, option]
            if shutil.which("unshare") is None:
                self.report.skip(name, "there is no unshare")
                continue
            found, _, stderr = self.place.run([*script, *self.place.command(out="disk/out")])
            if found == 99 or b"unshare failed" in stderr:
                self.report.skip(name, "no mount namespace may be made here")
                continue
            hidden = ["something is left on the disk"] if b".repsim-" in stderr.splitlines()[-1] else []
            self.report.check(name, complaint(found, stderr, code, text) + hidden + self.nothing_left({"disk"}))
            self.reset()
        disk.rmdir()

    # --- calls that fail ----------------------------------------------------------------------------------------------

    def faults(self):
        only = self.arguments.only or ""
        if not self.arguments.faults or not (self.wanted("Fault") or only.startswith("Fault")):
            return
        shim = {"LD_PRELOAD": self.arguments.faults, "REPSIM_FAULT_ROOT": str(self.place.folder)}
        counted = self.place.folder.parent / "counts"
        self.place.run(self.place.command(), env={**shim, "REPSIM_FAULT": "write:0:0",
                                                  "REPSIM_FAULT_COUNTS": str(counted)})  # fmt: skip
        counts = {kind: int(count) for kind, count in map(str.split, counted.read_text().splitlines())}
        counted.unlink()
        self.reset()
        points = [(kind, i + 1) for kind in CALLS for i in range(counts[kind]) if only in f"Fault {kind}:{i + 1}"]
        print(f"  calls: {counts}, {len(points)} in all", flush=True)
        points = points[:: self.arguments.every]
        if not self.arguments.all:
            points = random.Random(1).sample(points, min(SAMPLE, len(points)))
        ends = {}
        for kind, count in points:
            fault = f"{kind}:{count}:{ERRORS.get(kind, errno.ENOSPC)}"
            code, _, stderr = self.place.run(self.place.command(), env={**shim, "REPSIM_FAULT": fault})
            ends[code] = ends.get(code, 0) + 1
            # A failure that does not matter (a cache that cannot be written) changes no byte.
            if code == 0:
                problems = self.whole()
            elif b"the process crashed" in stderr:  # GDAL ends the process where memory ends; hidden files stay
                problems = complaint(code, stderr, 3, b"repsim: error: ") + self.rerun()
            else:
                problems = complaint(code, stderr, 3, b"repsim: error: ") + self.nothing_left()
            self.report.check(f"Fault {fault}", problems)
            self.reset()
        print(f"  exit codes: {ends}", flush=True)

    # --- kill -9 ------------------------------------------------------------------------------------------------------

    def kills(self):
        if not self.wanted("Kill"):
            return
        chance = random.Random(2)
        kills = self.arguments.kills
        for i in range(kills):
            # Two runs at once write into one cache and beside each other; one of them is killed.
            begin = time.monotonic()
            pipes = {"cwd": self.place.folder, "env": self.place.environment(), "stdin": subprocess.DEVNULL,
                     "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # fmt: skip
            killed = subprocess.Popen(self.place.command("--force"), **pipes)
            time.sleep(max(0, chance.uniform(0.3, 1.05) * self.seconds - (time.monotonic() - begin)))
            killed.kill()
            killed.wait()
            out = self.place.folder / "out"
            problems = []
            if (out / "plan.json").exists() and self.place.results() != self.expected:
                problems.append("what looks finished is not")
            if i % 4 == 3 or i == kills - 1:
                problems += self.rerun()
                self.reset()
            self.report.check(f"Kill {i + 1}", problems)

    def runs_at_once(self):
        """Some are killed, the others find a cache and a folder in order."""
        if not self.wanted("RunsAtOnce"):
            return
        chance = random.Random(3)
        pipes = {"cwd": self.place.folder, "env": self.place.environment(), "stdin": subprocess.DEVNULL,
                 "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}  # fmt: skip
        runs = [subprocess.Popen(self.place.command(out=f"out/{i}"), **pipes) for i in range(4)]
        time.sleep(chance.uniform(0.5, 1.5) * self.seconds)
        for process in runs[:2]:
            process.kill()
        problems = []
        for i, process in enumerate(runs):
            _, stderr = process.communicate(timeout=300)
            if i >= 2:
                problems += complaint(process.returncode, stderr, 0)
                if process.returncode == 0 and self.place.results(f"out/{i}") != self.expected:
                    problems.append(f"run {i} has other bytes")
        shutil.rmtree(self.place.folder / "out/0", ignore_errors=True)
        shutil.rmtree(self.place.folder / "out/1", ignore_errors=True)
        code, _, stderr = self.place.run(self.place.command(out="out/4"))
        problems += complaint(code, stderr, 0)
        names = {path.name for path in (self.place.folder / "out").iterdir()}
        if names != {"2", "3", "4"}:
            problems.append(f"the folder of the outputs has {sorted(names)}")
        self.report.check("RunsAtOnce", problems + [f"{path} was left behind" for path in self.place.left()])
        self.reset()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--faults", help="the library of tests/cli/faults.c; without it no calls fail")
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--only", help="run what has this in its name")
    parser.add_argument("--all", action="store_true", help="let every call fail, not a sample of them")
    parser.add_argument("--every", type=int, default=1, help="with --all: each so many-th call")
    parser.add_argument("--kills", type=int, default=int(os.environ.get("REPSIM_KILLS", "4")),
                        help="how many runs are killed; default: the environment's REPSIM_KILLS, else 4")  # fmt: skip
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        (Path(folder) / "place").mkdir()
        ends = Ends(arguments, Path(folder) / "place", report)
        for part in (ends.signals, ends.pipes, ends.limits, ends.full_disk, ends.faults, ends.kills, ends.runs_at_once):
            part()
    report.end()


if __name__ == "__main__":
    main()
