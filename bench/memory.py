#!/usr/bin/env python3
"""How much memory capture, similarity and plan take against the number of models.

    python bench/memory.py --work FOLDER [--counts 2 4 8 16] [--input 320x240,bgr,stretch] [--frames 32] [--limit BYTES]
                           [--commands capture similarity plan] [MODEL.pt ...]

Without models it takes relatives of the demo's detectors (scripts/make_variants.py). Every figure is the peak of resident memory of one
run, as the kernel counts it. A plan tries --max-trials candidates per pair, for at most --max-minutes. Prints a table in Markdown; where
a limit is given, whether it was kept.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")


def run(command: list) -> tuple[int, float]:
    """Peak of resident memory in bytes, and seconds."""
    begin = time.monotonic()
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        stderr = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 4):
        sys.exit(stderr)
    return usage.ru_maxrss * 1024, time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="fewer than the largest count are copied")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repsim", type=Path, default=ROOT / "build/release/bin/repsim")
    parser.add_argument("--counts", type=int, nargs="+", default=[2, 4, 8, 16])
    parser.add_argument("--commands", nargs="+", choices=["capture", "similarity", "plan"], default=["capture", "similarity", "plan"])
    parser.add_argument("--input", default="320x240,bgr,stretch")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--limit", help="as --memory-limit takes it")
    parser.add_argument("--max-trials", type=int, default=2)
    parser.add_argument("--max-minutes", type=float, default=0.5)
    args = parser.parse_args()
    models = args.models
    if not models:
        making = [sys.executable, ROOT / "scripts/make_variants.py", "--out", args.work / "models", "--count", str(max(args.counts))]
        models = subprocess.run(making, capture_output=True, text=True, check=True).stdout.split()
    if len(models) < max(args.counts):
        # Copies under other names: what is captured is captured for each.
        copies = args.work / "copies"
        copies.mkdir(parents=True, exist_ok=True)
        models = [shutil.copy(models[i % len(models)], copies / f"m{i}.pt") for i in range(max(args.counts))]
    common = ["--input", args.input, "--video", VIDEO, "--frames", args.frames, "--threads", args.threads, "--cache", "none", "--force"]
    if args.limit:
        common += ["--memory-limit", args.limit]
    print("| command | models | file of the largest, MB | all files, MB | peak, MB | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for name in args.commands:
        for count in [1] if name == "capture" else args.counts:
            chosen = models[:count]
            command = [args.repsim, name, *chosen, *common, "--out", args.work / f"{name}-{count}"]
            if name == "plan":
                command += ["--max-trials", args.max_trials, "--max-minutes", args.max_minutes]
            peak, seconds = run(command)
            sizes = [Path(model).stat().st_size / 1e6 for model in chosen]
            print(f"| `{name}` | {count} | {max(sizes):.1f} | {sum(sizes):.1f} | {peak / 1e6:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
