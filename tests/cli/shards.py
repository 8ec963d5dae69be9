#!/usr/bin/env python3
"""Captures in four shards, merged in any order: the same bytes as one run. The demo's models and video.

    tests/cli/shards.py --binary build/release/bin/repsim [--frames N]

Python's standard library only. Exit code: 0 all passed, 1 some failed.
"""

import argparse
import itertools
import subprocess
from pathlib import Path

from small_plan import Report, complaint, temporary_folder, write_video

SOURCE = Path(__file__).resolve().parents[2]
MODELS = ("plain", "mobile", "residual")
SHARDS = 4


class Shards:
    def __init__(self, arguments, folder, report):
        self.binary, self.folder, self.report = str(Path(arguments.binary).resolve()), Path(folder).resolve(), report
        write_video(self.folder / "v.y4m", frames=max(120, arguments.frames + 10))
        self.frames = str(arguments.frames)

    def run(self, *arguments, expected=0, pattern=b""):
        done = subprocess.run([self.binary, *arguments], cwd=self.folder, timeout=600, stdin=subprocess.DEVNULL,
                              capture_output=True)  # fmt: skip
        return complaint(done.returncode, done.stderr, expected, pattern)

    def capture(self, model, threads, *more, **options):
        return self.run("capture", str(SOURCE / "demo" / f"{model}.pt"), "--video", "v.y4m", "--frames", self.frames,
                        "--threads", str(threads), *more, **options)  # fmt: skip

    def similarity(self, out, *files):
        return self.run("similarity", *files, "--out", out, "--cache", "none")

    def merged_in_any_order(self, threads):
        name, problems = f"threads-{threads}", []
        for model in MODELS:
            problems += self.capture(model, threads, "--out", f"{name}/whole/{model}.signatures", "--cache", "none")
            for index in range(1, SHARDS + 1):
                problems += self.capture(model, threads, "--shard", f"{index}/{SHARDS}", "--out",
                                         f"{name}/parts/{model}-{index}.signatures")  # fmt: skip
        problems += self.similarity(f"{name}/similarity", *(f"{name}/whole/{model}.signatures" for model in MODELS))
        expected = {file: (self.folder / name / "similarity" / file).read_bytes()
                    for file in ("similarity.json", "similarity.npy")}  # fmt: skip
        # Some of the 24 orders; the tests of the merge itself (tests/plain/shards_test.cpp) take all.
        for number, order in enumerate(itertools.islice(itertools.permutations(range(1, SHARDS + 1)), 0, None, 6)):
            for model in MODELS:
                problems += self.run("capture", "--merge", *(f"{name}/parts/{model}-{index}.signatures" for index in order),
                                     "--out", f"{name}/merged/{model}.signatures", "--cache", "none", "--force")  # fmt: skip
                whole, merged = (self.folder / name / kind / f"{model}.signatures" for kind in ("whole", "merged"))
                if whole.read_bytes() != merged.read_bytes():
                    problems.append(f"{model}, order {order}: other signatures")
            out = f"{name}/similarity-{number}"
            problems += self.similarity(out, *(f"{name}/merged/{model}.signatures" for model in MODELS))
            for file, content in expected.items():
                if (self.folder / out / file).read_bytes() != content:
                    problems.append(f"order {order}: another {file}")
        self.report.check(f"MergedInAnyOrderAreOneRun, threads: {threads}", problems)

    def merged_is_taken_by_plans(self):
        parts = [f"threads-1/parts/plain-{index}.signatures" for index in range(1, SHARDS + 1)]
        problems = self.run("capture", "--merge", *parts, "--cache", "cache")
        problems += self.capture("plain", 1, "--cache", "cache", "-v", pattern=b"plain: signatures from the cache")
        problems += self.run("plan", str(SOURCE / "demo/plain.pt"), str(SOURCE / "demo/mobile.pt"), "--video", "v.y4m",
                             "--frames", self.frames, "--threads", "1", "--cache", "cache", "--max-trials", "1",
                             "--scan-frames", "0", "--out", "plan", "--dry-run", pattern=b"")  # fmt: skip
        problems += self.run("similarity", str(SOURCE / "demo/plain.pt"), str(SOURCE / "demo/mobile.pt"), "--video", "v.y4m",
                             "--frames", self.frames, "--threads", "1", "--cache", "cache", "--out", "similarity",
                             pattern=b"plain: signatures from the cache")  # fmt: skip
        self.report.check("MergedIsInTheCache", problems)

    def refused(self):
        parts = [f"threads-1/parts/plain-{index}.signatures" for index in range(1, SHARDS + 1)]
        other = "threads-2/parts/plain-1.signatures"
        cases = {
            "MissingShard": ([*parts[:2], parts[3]], 3, b"shards are missing: 3/4"),
            "ShardThatIsThereTwice": ([*parts, parts[1]], 3, b"shard 2/4 is there twice"),
            "PartsOfTwoModels": ([*parts[:3], "threads-1/parts/mobile-4.signatures"], 3, b"they are of different models"),
            "PartsOfOtherThreads": ([*parts[1:], other], 3, b"threads"),
            "WholeCapture": (["threads-1/whole/plain.signatures"], 3, b"it holds a whole capture"),
            "NoFileOfSignatures": (["v.y4m"], 3, b"this is no file of signatures"),
            "NoFiles": ([], 2, b"no parts are given"),
            "VideoBesideParts": ([*parts, "--video", "v.y4m"], 2, b"they say the rest"),
        }
        for name, (files, code, pattern) in cases.items():
            problems = self.run("capture", "--merge", *files, "--out", "bad", "--cache", "none", expected=code, pattern=pattern)
            if (self.folder / "bad").exists():
                problems.append("a file was written")
            self.report.check(name, problems)
        for name, shard, code, pattern in (
            ("NoShard", "0/4", 2, b"'0/4' is no shard"),
            ("ShardBeyondTheLast", "5/4", 2, b"'5/4' is no shard"),
            ("ShardWithoutCount", "2", 2, b"'2' is no shard"),
            ("MoreShardsThanMinibatches", "1/50", 2, b"too few for 50 shards"),
        ):
            problems = self.capture("plain", 1, "--shard", shard, "--out", "bad", expected=code, pattern=pattern)
            self.report.check(name, problems)
        problems = self.capture("plain", 1, "--shard", "1/4", expected=2, pattern=b"--out FILE")
        self.report.check("ShardWithoutFile", problems)
        problems = self.run("similarity", parts[0], parts[1], "--out", "bad", expected=3, pattern=b"a part of a capture: shard 1 of 4")
        self.report.check("PartsAreNoModels", problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--frames", type=int, default=120, help="120: 84 calibrate, five minibatches")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        shards = Shards(arguments, folder, report)
        for threads in (1, 2):
            shards.merged_in_any_order(threads)
        shards.merged_is_taken_by_plans()
        shards.refused()
    report.end()


if __name__ == "__main__":
    main()
