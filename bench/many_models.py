#!/usr/bin/env python3
"""How long planning for many models takes without measuring, and how far the choice is from its bound.

    python bench/many_models.py --work FOLDER [--count 16] [--frames 64] [--targets 0.95 0.9 0.8]

Makes relatives of the demo's detectors (scripts/make_variants.py) and runs `repsim plan` on all of them with no time for trials.
Prints a line of JSON per target: candidates of all ordered pairs and of mixed donors, seconds for the minimum cuts of all of
them (task "candidates") and for the choice among them (task "choose"), what the choice would save and whether it is proven.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repsim", type=Path, default=ROOT / "build/release/bin/repsim")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.95, 0.9, 0.8])
    args = parser.parse_args()
    models = args.work / "models"
    made = subprocess.run([sys.executable, ROOT / "scripts/make_variants.py", "--out", models, "--count", str(args.count)],
                          capture_output=True, text=True, check=True).stdout.split()  # fmt: skip
    for target in args.targets:
        out = args.work / f"plan-{target}"
        command = [args.repsim, "plan", *made, "--input", "320x240,bgr,stretch", "--video", VIDEO, "--out", out, "--force",
                   "--frames", args.frames, "--min-fidelity", target, "--max-minutes", "0.0001", "--threads", args.threads]  # fmt: skip
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode not in (0, 4):
            sys.exit(done.stderr)
        found = re.search(r"(\d+) candidates; by prediction alone (\d+) shares save (.+?), (the best choice|within .+? % of the bound)", done.stderr)
        tasks = json.loads((out / "run.json").read_text())["task_seconds"]
        before = json.loads((out / "plan.json").read_text())["totals"]["before"]["bytes"]
        print(json.dumps({"models": args.count, "target": target, "candidates": int(found[1]), "shares": int(found[2]), "saves": found[3],
                          "of_bytes": before, "optimality": found[4],
                          "seconds": {name: round(tasks.get(name, 0), 2) for name in ("capture", "screen", "candidates", "choose")}}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
