#!/usr/bin/env python3
"""What plans of relatives of one network save with --sharing representations, weights and both, beside plain de-duplication
and sharing identical layers.

    python bench/shared_weights.py --work FOLDER [--original demo/plain.pt] [--sizes 0.02 0.05 0.1] [--ranks 0 4]
                                   [--heads 0.2] [--video V] [--targets 0.9 0.95 0.98] [--frames 128] [--doc PART.md]

A relative is a copy of the original in which every weight is changed, by `size` standard deviations of its tensor: by noise
(rank 0), or mostly by a random difference of low rank, as fine-tuning makes them. Its head (parameters with "head" in their
paths, or the last layers with --head-pattern) changes by `heads` standard deviations, as if it was trained for something
else. The family is the original and one relative per size and rank. Results stay in FOLDER/results.json, and what is there
is not run again. --doc writes them as a table.
"""
import argparse
import json
import re
import time
from pathlib import Path

import torch
from studies import ROOT, VIDEO, Results, parser_of, publish, run

SHARING = ("representations", "weights", "both")
NOISE = 0.1  # of a difference of low rank, beside it


def write_relative(path: Path, args: argparse.Namespace, size: float, rank: int) -> Path:
    extra = {"config.txt": ""}
    model = torch.jit.load(str(args.original), _extra_files=extra)
    random = torch.Generator().manual_seed(int(1000 * size) + 7 * rank)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            rows, columns = weights.shape[0], weights[0].numel()
            change = torch.randn(rows, columns, generator=random)
            if rank > 0 and weights.dim() > 1:
                low = torch.randn(rows, rank, generator=random) @ torch.randn(rank, columns, generator=random) / rank**0.5
                change = low + NOISE * change
            is_head = re.search(args.head_pattern, name) is not None and weights.dim() > 1
            deviation = weights.std() if weights.numel() > 1 else 0 * weights
            weights += (args.heads if is_head else size) * deviation * change.view_as(weights)
    torch.jit.save(model, str(path), _extra_files={name: text for name, text in extra.items() if text})
    return path


class Runner:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results = args, Results(args.work)
        self.models = {"original": args.original}
        for size in args.sizes:
            for rank in args.ranks:
                name = f"{'noise' if rank == 0 else f'rank{rank}'}_{round(1000 * size)}"
                self.models[name] = write_relative(args.work / f"{name}.pt", args, size, rank)

    def folder(self, sharing: str, target: float) -> Path:
        return self.args.work / f"{sharing}-{target}"

    def plan(self, sharing: str, target: float) -> dict:
        out = self.folder(sharing, target)
        command = [self.args.repsim, "plan", *(word for name, path in self.models.items() for word in ("--model", f"{name}={path}")), "--video", self.args.video,
                   "--out", out, "--force", "--quiet", "--sharing", sharing, "--min-fidelity", target, "--frames", self.args.frames,
                   "--max-trials", self.args.max_trials, "--threads", self.args.threads, "--cache", self.args.work / "cache"]  # fmt: skip
        begin = time.monotonic()
        run(command, allowed=(0, 4))
        plan = json.loads((out / "plan.json").read_text())
        fidelity = {model["name"]: model["fidelity"]["value"] for model in plan["models"]}
        shares = {"layers": 0, "weights": 0, "both": 0}
        for share in plan["shares"]:
            shares["both" if share["replaced"] and share.get("weights") else "weights" if share.get("weights") else "layers"] += 1
        totals = plan["totals"]
        return {"before": totals["before"]["bytes"], "deduplicated": totals["deduplicated"]["bytes"], "after": totals["after"]["bytes"],
                "flops": totals["after"]["flops"] / totals["before"]["flops"], "shares": shares, "looks": plan["frames"]["judgements"],
                "worst_fidelity": min(fidelity.values()), "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip

    def identical_layers(self, target: float) -> dict:
        plan = self.folder("both", target)
        lines = run([ROOT / ".venv/bin/python", ROOT / "bench/identical_layers.py", plan, "--min-fidelity", target, "--threads", max(1, self.args.threads)])
        return json.loads(lines.strip().splitlines()[-1])

    def run(self) -> None:
        for target in self.args.targets:
            for sharing in SHARING:
                self.results.once(f"{sharing} {target}", lambda: self.plan(sharing, target))
            self.results.once(f"identical {target}", lambda: self.identical_layers(target))

    def tables(self) -> str:
        lines = ["| target | | saved | % | FLOPs | worst fidelity | shares of layers, weights, both | looks | seconds |", "|---|---|---|---|---|---|---|---|---|"]
        for target in self.args.targets:
            plans = {sharing: self.results.values[f"{sharing} {target}"] for sharing in SHARING}
            before = plans["both"]["before"]
            saved = before - plans["both"]["deduplicated"]
            lines.append(f"| {target} | de-duplication | {saved / 1e6:.2f} MB | {100 * saved / before:.1f} | | 1.000 | | | |")
            identical = self.results.values[f"identical {target}"]
            lines.append(f"| | identical layers | {identical['bytes_saved'] / 1e6:.2f} MB | {100 * identical['bytes_saved'] / before:.1f} | "
                         f"| {identical['worst_fidelity']:.3f} | | | {identical['seconds']:.0f} |")  # fmt: skip
            for sharing, one in plans.items():
                saved = before - one["after"]
                lines.append(f"| | `{sharing}` | {saved / 1e6:.2f} MB | {100 * saved / before:.1f} | {100 * (one['flops'] - 1):+.1f} % "
                             f"| {one['worst_fidelity']:.3f} | {', '.join(str(count) for count in one['shares'].values())} "
                             f"| {one['looks']} | {one['seconds']:.0f} |")  # fmt: skip
        return "\n".join(lines) + "\n"


def main() -> None:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--original", type=Path, default=ROOT / "demo/plain.pt")
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.02, 0.05, 0.1])
    parser.add_argument("--ranks", type=int, nargs="+", default=[0, 4])
    parser.add_argument("--heads", type=float, default=0.2)
    parser.add_argument("--head-pattern", default=r"(^|\.)head\.")
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95, 0.98])
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--max-trials", type=int, default=8)
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    publish(Runner(args), args.doc)


if __name__ == "__main__":
    main()
