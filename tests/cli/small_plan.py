"""A plan that takes a second, for tests that run the binary many times. Python's standard library only."""

import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
RESULTS = ("plan.json", "similarity.json", "bundle.pt")  # the same in every run


def write_video(path, frames=40, width=96, height=64):
    """Noise that moves, without compression."""
    noise = random.Random(1).randbytes(width * height * 3 // 2 + frames * 7)
    with open(path, "wb") as file:
        file.write(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420jpeg\n" % (width, height))
        for i in range(frames):
            file.write(b"FRAME\n" + noise[i * 7 : i * 7 + width * height * 3 // 2])


class Place:
    """A folder with two models and a video; what runs there finds temporary files and the cache below it."""

    def __init__(self, binary, source, folder):
        self.binary = str(Path(binary).resolve())
        self.folder = Path(folder).resolve()
        for name in ("small.pt", "wide.pt"):
            (self.folder / name).write_bytes((Path(source) / "tests/fixtures" / name).read_bytes())
        write_video(self.folder / "v.y4m")
        (self.folder / "tmp").mkdir()
        self.given = self.files()

    def files(self):
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def command(self, *more, out="out", trials=1, threads=1):
        return [self.binary, "plan", "small.pt", "wide.pt", "--input", "48x48", "--video", "v.y4m", "--frames", "32",
                "--max-trials", str(trials), "--min-fidelity", "0", "--threads", str(threads), "--cache", "cache",
                "--out", out, *more]  # fmt: skip

    def environment(self, **more):
        return {**os.environ, "TMPDIR": str(self.folder / "tmp"), **more}

    def run(self, command, env=None, timeout=300, **options):
        """Exit code, stdout, stderr."""
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        done = subprocess.run(command, env=self.environment(**(env or {})), timeout=timeout,
                              **{"cwd": self.folder, **pipes, **options})  # fmt: skip
        return done.returncode, done.stdout or b"", done.stderr or b""

    def results(self, out="out"):
        return [(self.folder / out / name).read_bytes() for name in RESULTS]

    def left(self):
        """What is there beside the given files, the cache's entries and whole outputs."""
        kept = {"cache", "cache/signatures", "out"}
        found = sorted(self.files() - self.given - kept)
        return [path for path in found if not path.startswith("out/") and not path.endswith(".signatures")]


class Report:
    """Counts what was right, prints what was not."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, 0

    def check(self, name, problems):
        if problems:
            self.failed += 1
            print(f"  FAILED  {name}: {'; '.join(problems)}", flush=True)
        else:
            self.passed += 1
            print(f"  ok      {name}", flush=True)

    def skip(self, name, why):
        self.skipped += 1
        print(f"  skipped {name}: {why}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        sys.exit(1 if self.failed else 0 if self.passed else SKIPPED)


def complaint(code, stderr, expected, *patterns):
    """What is wrong with the end of a run that should have failed."""
    problems = [] if code == expected else [f"exit code {code}, expected {expected}: {stderr[-300:]!r}"]
    problems += [f"stderr lacks {pattern!r}: {stderr[-300:]!r}" for pattern in patterns if pattern not in stderr]
    return problems


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="repsim-ends-")
