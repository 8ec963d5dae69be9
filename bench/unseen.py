#!/usr/bin/env python3
"""What plans made on one half of a video keep on the other, as it is and under changes that no plan has seen.

    python bench/unseen.py --work FOLDER [--real FOLDER] [--truth gt.txt] [--frames 256] [--plans NAME …] [--doc PART.md]

`repsim plan` sees frames 0 to 399 of the demo's video only. `repsim verify --video` then compares merged models and originals on
frames 400:795:4, and on these brighter, darker, with noise, badly compressed and mirrored: both run on the same changed frames.
Plans: the real pair in either direction (fastestdet.pt and yolofastestv2.pt in --real), and the demo's three detectors.
Results stay in FOLDER/results.json, what is there is not run again.
"""
import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from studies import DEMO, REAL_INPUT, ROOT, VIDEO, Results, parser_of, publish, run, write_clip

SEEN, UNSEEN = range(400), range(400, 795, 4)
TARGET = 0.9


def noisy(picture: np.ndarray, index: int) -> np.ndarray:
    noise = np.random.default_rng(index).normal(0, 15, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def compressed(picture: np.ndarray, index: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 15])[1], cv2.IMREAD_COLOR)


CHANGES: dict[str, Callable[[np.ndarray, int], np.ndarray] | None] = {
    "as it is": None,
    "brighter (1.3 x + 30)": lambda picture, index: cv2.convertScaleAbs(picture, alpha=1.3, beta=30),
    "darker (0.4 x)": lambda picture, index: cv2.convertScaleAbs(picture, alpha=0.4),
    "noise (deviation 15)": noisy,
    "JPEG quality 15": compressed,
    "mirrored": lambda picture, index: cv2.flip(picture, 1),
}


class Study:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results = args, Results(args.work)
        self.plans = {"demo": [ROOT / "demo" / f"{name}.pt" for name in DEMO]}
        if args.real:
            pair = [args.real / f"{name}.pt" for name in ("fastestdet", "yolofastestv2")]
            self.plans = {"fastestdet<-yolofastestv2": pair, "yolofastestv2<-fastestdet": pair, **self.plans}
        if args.plans:
            self.plans = {name: self.plans[name] for name in args.plans}

    def truth_of(self, change: str, width: int) -> Path | None:
        """The ground truth of the judged frames, numbered as in their clip."""
        if not self.args.truth:
            return None
        path = self.args.work / f"{list(CHANGES).index(change)}.txt"
        lines = []
        for line in self.args.truth.read_text().splitlines():
            fields = line.split(",")
            if int(fields[0]) - 1 not in UNSEEN:
                continue
            fields[0] = str(UNSEEN.index(int(fields[0]) - 1) + 1)
            if change == "mirrored":
                fields[2] = str(width - float(fields[2]) - float(fields[4]))
            lines.append(",".join(fields))
        path.write_text("\n".join(lines) + "\n")
        return path

    def planned(self, name: str) -> dict:
        command = [self.args.repsim, "plan", *self.plans[name], "--video", write_clip(self.args.work / "seen.png", SEEN), "--out",
                   self.folder(name), "--force", "--quiet", "--frames", self.args.frames, "--min-fidelity", TARGET,
                   "--max-trials", self.args.max_trials, "--threads", self.args.threads]  # fmt: skip
        command += ["--share", name, "--input", REAL_INPUT] if "<-" in name else []
        run(command, allowed=(0, 4))
        plan = json.loads((self.folder(name) / "plan.json").read_text())
        return {"shares": [f"{s['receiver']}<-{'+'.join(s['donors'])}" for s in plan["shares"]],
                "saved": plan["totals"]["deduplicated"]["bytes"] - plan["totals"]["after"]["bytes"],
                "of": plan["totals"]["deduplicated"]["bytes"],
                "fidelity": {m["name"]: m["fidelity"]["value"] for m in plan["models"]}}  # fmt: skip

    def folder(self, name: str) -> Path:
        return self.args.work / name.replace("<-", "-")

    def verified(self, name: str, change: str) -> dict:
        clip = write_clip(self.args.work / f"{list(CHANGES).index(change)}.png", UNSEEN, CHANGES[change])
        command = [self.args.repsim, "verify", self.folder(name), "--video", clip, "--frames", len(UNSEEN), "--json", "--quiet",
                   "--threads", self.args.threads]  # fmt: skip
        width = int(cv2.VideoCapture(str(VIDEO)).get(cv2.CAP_PROP_FRAME_WIDTH))
        truth = self.truth_of(change, width)
        command += ["--truth", truth] if truth else []
        found = json.loads(run(command, allowed=(0, 5)))
        return {"holds": found["holds"], "models": found["models"]}

    def run(self) -> None:
        for name in self.plans:
            self.results.once(name, lambda: self.planned(name))
            for change in CHANGES:
                self.results.once(f"{name} {change}", lambda: self.verified(name, change))

    def tables(self) -> str:
        known = self.results.values
        lines = ["| plan, merged model | the plan states | " + " | ".join(CHANGES) + " |", "|---" * (2 + len(CHANGES)) + "|"]
        for name in self.plans:
            receivers = [share.split("<-")[0] for share in known[name]["shares"]]
            for receiver in receivers:
                cells = [f"{known[name]['fidelity'][receiver]:.3f}"]
                for change in CHANGES:
                    one = next(m for m in known[f"{name} {change}"]["models"] if m["name"] == receiver)
                    cell = f"{one['fidelity']['value']:.3f} ({one['fidelity']['own_detections']})"
                    if one["accuracy"]:
                        cell += f"; {one['accuracy']['own']:.3f} -> {one['accuracy']['merged']:.3f}"
                    cells.append(cell)
                share = next(s for s in known[name]["shares"] if s.startswith(f"{receiver}<-"))
                saved = f"{100 * known[name]['saved'] / known[name]['of']:.0f} % saved"
                lines.append(f"| {share.replace('<-', ' <- ')} ({saved}) | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--max-trials", type=int, default=12)
    parser.add_argument("--plans", nargs="+", help="only these: RECEIVER<-DONOR, demo")
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    publish(Study(args), args.doc)


if __name__ == "__main__":
    main()
