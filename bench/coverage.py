#!/usr/bin/env python3
"""Does the interval that plan.json states for a fidelity hold what another program measures on frames that nobody chose by?

    python bench/coverage.py --work FOLDER [--real FOLDER] [--referee referee.py] [--frames 128] [--target 0.8]
                                      [--windows early=0:600 …]

Ten plans: pairs of detectors, one direction forced, on windows of the demo's video (all of it, its first and its last two
thirds, unless others are given). Every fidelity of a changed model is measured again
  - on the plan's own hold-out frames: the same figure, to 0.01;
  - on the frames of the same stretch that the plan did not look at: they fitted nothing, chose nothing and judged nothing.
by scripts/evaluate_detector.py for the demo's pairs, and for real detectors (--real: fastestdet.pt, yolofastestv2.pt) by the
referee. Prints a line of JSON per plan, at last how many stated intervals hold the second figure.
"""
import json
from pathlib import Path

import torch
from studies import DEMO, REAL_INPUT, ROOT, Judge, parser_of, run, write_clip

WINDOWS = ["all=0:795", "first=0:530", "last=265:795"]
DEMO_PAIRS = [("plain", "mobile"), ("residual", "plain"), ("mobile", "residual"), ("plain", "residual")]


def main() -> None:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--referee", type=Path)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--target", type=float, default=0.8)
    parser.add_argument("--windows", nargs="+", default=WINDOWS, metavar="NAME=FROM:TO", help="frames of the video")
    args = parser.parse_args()
    windows = {name: range(*map(int, ends.split(":"))) for name, ends in (one.split("=") for one in args.windows)}
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    jobs = [(receiver, donor, name) for name in windows for receiver, donor in DEMO_PAIRS]
    if args.real and args.referee:
        real = [(r, d, name) for name in windows for r, d in (("fastestdet", "yolofastestv2"), ("yolofastestv2", "fastestdet"))]
        jobs = real + jobs
    inside, same, count = 0, 0, 0
    for number, (receiver, donor, name) in enumerate(jobs[:10]):
        is_real = receiver not in DEMO
        folder = args.real if is_real else ROOT / "demo"
        models = [folder / f"{one}.pt" for one in (receiver, donor)]
        video = write_clip(args.work / f"{name}.png", windows[name])
        out = args.work / f"{number}-{receiver}-{donor}-{name}"
        command = [args.repsim, "plan", *models, "--video", video, "--out", out, "--force", "--quiet", "--frames", args.frames, "--share",
                   f"{receiver}<-{donor}", "--min-fidelity", args.target, "--seed", number, "--threads", args.threads, "--max-trials", 8]  # fmt: skip
        if is_real:
            command += ["--input", REAL_INPUT]
        run(command, allowed=(0, 4))
        plan = json.loads((out / "plan.json").read_text())
        if not plan["shares"]:
            print(json.dumps({"receiver": receiver, "donor": donor, "video": name, "shares": 0}), flush=True)
            continue
        parts = plan["frames"]
        seen = {*parts["calibration"], *parts["selection"], *parts["holdout"]}
        unseen = [f for f in range(min(parts["holdout"]), plan["video"]["frame_count"]) if f not in seen]

        def measure(frames: list[int]) -> float:
            return Judge(video, frames, referee=args.referee).merged(out / "bundle.pt", 0, models[0], is_real).fidelity

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
