#!/usr/bin/env python3
"""Does the interval that plan.json states for a fidelity hold what another program measures on frames that nobody chose by?

    python bench/coverage.py --work FOLDER [--real FOLDER] [--referee referee.py] [--frames 128] [--target 0.8]

Ten plans: pairs of detectors, one direction forced, on three windows of the demo's video (all of it, its first and its last two
thirds). Every fidelity of a changed model is measured again
  - on the plan's own hold-out frames: the same figure, to 0.01;
  - on the frames of the same stretch that the plan did not look at: they fitted nothing, chose nothing and judged nothing.
by scripts/evaluate_detector.py for the demo's pairs, and for real detectors (--real: fastestdet.pt, yolofastestv2.pt) by the
referee. Prints a line of JSON per plan, at last how many stated intervals hold the second figure.
"""
import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import torch

ROOT = Path(__file__).resolve().parents[1]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
sys.path.insert(0, str(ROOT / "scripts"))
import evaluate_detector as own  # noqa: E402

WINDOWS = {"all": (0, 795), "first": (0, 530), "last": (265, 795)}
DEMO_PAIRS = [("plain", "mobile"), ("residual", "plain"), ("mobile", "residual"), ("plain", "residual")]


class Head(torch.nn.Module):
    def __init__(self, bundle: torch.jit.ScriptModule, index: int):
        super().__init__()
        self.bundle, self.index = bundle, index

    def forward(self, x):
        return self.bundle(x)[self.index]


def window(work: Path, name: str) -> Path:
    """A part of the video without loss: pictures one after the other."""
    begin, end = WINDOWS[name]
    path = work / f"{name}.png"
    if not path.exists():
        source = cv2.VideoCapture(str(VIDEO))
        with path.open("wb") as file:
            for index in range(end):
                ok, image = source.read()
                if ok and index >= begin:
                    file.write(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    return path


def by_referee(referee: Path, bundle: Path, head: int, model: Path, video: Path, frames: list[int]) -> float:
    text = subprocess.run([sys.executable, referee, "ap", bundle, "--head", str(head), "--against", model, "--frames",
                           ",".join(map(str, frames)), video], capture_output=True, text=True, check=True).stdout  # fmt: skip
    return float(re.search(r"^fidelity ([0-9.]+)", text, re.M).group(1))


def by_script(bundle: Path, head: int, model: Path, video: Path, frames: list[int]) -> float:
    pictures = own.read_frames(video, frames)
    module, size = own.load(model)
    merged = Head(torch.jit.load(str(bundle)).eval(), head)
    return own.fidelity(own.detect(merged, size, pictures), own.detect(module, size, pictures), 0.35)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repsim", type=Path, default=ROOT / "build/release/bin/repsim")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--referee", type=Path)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--target", type=float, default=0.8)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    jobs = [(receiver, donor, name) for name in ("all", "first", "last") for receiver, donor in DEMO_PAIRS]
    if args.real and args.referee:
        real = [(r, d, name) for name in WINDOWS for r, d in (("fastestdet", "yolofastestv2"), ("yolofastestv2", "fastestdet"))]
        jobs = real + jobs
    inside, same, count = 0, 0, 0
    for number, (receiver, donor, name) in enumerate(jobs[:10]):
        is_real = receiver not in ("plain", "mobile", "residual")
        folder = args.real if is_real else ROOT / "demo"
        models = [folder / f"{one}.pt" for one in (receiver, donor)]
        video, out = window(args.work, name), args.work / f"{number}-{receiver}-{donor}-{name}"
        command = [args.repsim, "plan", *models, "--video", video, "--out", out, "--force", "--quiet", "--frames", args.frames, "--share",
                   f"{receiver}<-{donor}", "--min-fidelity", args.target, "--seed", number, "--threads", args.threads, "--max-trials", 8]  # fmt: skip
        if is_real:
            command += ["--input", "352x352,bgr,stretch"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode not in (0, 4):
            sys.exit(done.stderr)
        plan = json.loads((out / "plan.json").read_text())
        if not plan["shares"]:
            print(json.dumps({"receiver": receiver, "donor": donor, "video": name, "shares": 0}), flush=True)
            continue
        parts = plan["frames"]
        seen = {*parts["calibration"], *parts["selection"], *parts["holdout"]}
        unseen = [f for f in range(min(parts["holdout"]), plan["video"]["frame_count"]) if f not in seen]
        measure = (lambda frames: by_referee(args.referee, out / "bundle.pt", 0, models[0], video, frames)) if is_real else (
            lambda frames: by_script(out / "bundle.pt", 0, models[0], video, frames))  # fmt: skip
        stated = plan["models"][0]["fidelity"]
        again, elsewhere = measure(parts["holdout"]), measure(unseen)
        low, high = stated["interval"]["low"], stated["interval"]["high"]
        holds = low - 1e-6 <= elsewhere <= high + 1e-6
        inside, count = inside + holds, count + 1
        same += abs(again - stated["value"]) <= 0.01
        print(json.dumps({"receiver": receiver, "donor": donor, "video": name, "stated": round(stated["value"], 4),
                          "interval": [round(low, 4), round(high, 4)], "same_frames": round(again, 4), "unseen_frames": round(elsewhere, 4),
                          "frames": [len(parts["holdout"]), len(unseen)], "inside": holds,
                          "bytes_saved": plan["totals"]["before"]["bytes"] - plan["totals"]["after"]["bytes"]}), flush=True)  # fmt: skip
    print(json.dumps({"plans": count, "same_to_0.01": same, "unseen_inside_interval": inside}))


if __name__ == "__main__":
    main()
