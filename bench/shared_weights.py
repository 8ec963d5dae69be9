#!/usr/bin/env python3
"""What plans of relatives of one network save with --sharing representations, weights and both.

    python bench/shared_weights.py --work FOLDER [--original demo/plain.pt] [--sizes 0.05 0.1 0.2] [--ranks 0 2] [--video V]
                                   [--targets 0.9 0.95] [--frames 128] [--max-trials 8] [--doc PART.md]

A relative has every weight of the original changed: by noise of `size` standard deviations of the tensor, or by a random
difference of `rank` of the same size, as fine-tuning makes them. The family is the original and one relative per size and
rank. Results stay in FOLDER/results.json, what is there is not run again. --doc writes them as a table.
"""
import argparse
import json
import time
from pathlib import Path

import torch
from studies import ROOT, VIDEO, Results, parser_of, publish, run

SHARING = ("representations", "weights", "both")


def write_relative(path: Path, original: Path, size: float, rank: int) -> Path:
    extra = {"config.txt": ""}
    model = torch.jit.load(str(original), _extra_files=extra)
    random = torch.Generator().manual_seed(int(1000 * size) + 7 * rank)
    with torch.no_grad():
        for weights in (one for one in model.parameters() if one.dim() > 1):
            rows, columns = weights.shape[0], weights[0].numel()
            if rank == 0:
                change = torch.randn(rows, columns, generator=random)
            else:
                change = torch.randn(rows, rank, generator=random) @ torch.randn(rank, columns, generator=random) / rank**0.5
            weights += size * weights.std() * change.view_as(weights)
    torch.jit.save(model, str(path), _extra_files={name: text for name, text in extra.items() if text})
    return path


class Runner:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results = args, Results(args.work)
        self.models = {"original": args.original}
        for size in args.sizes:
            for rank in args.ranks:
                name = f"{'noise' if rank == 0 else f'rank{rank}'}_{round(100 * size)}"
                self.models[name] = write_relative(args.work / f"{name}.pt", args.original, size, rank)

    def plan(self, sharing: str, target: float) -> dict:
        out = self.args.work / f"{sharing}-{target}"
        command = [self.args.repsim, "plan", *(word for name, path in self.models.items() for word in ("--model", f"{name}={path}")), "--video", self.args.video,
                   "--out", out, "--force", "--quiet", "--sharing", sharing, "--min-fidelity", target, "--frames", self.args.frames,
                   "--max-trials", self.args.max_trials, "--threads", self.args.threads, "--cache", self.args.work / "cache"]  # fmt: skip
        begin = time.monotonic()
        run(command, allowed=(0, 4))
        plan = json.loads((out / "plan.json").read_text())
        fidelity = {model["name"]: model["fidelity"]["value"] for model in plan["models"]}
        shares = [f"{share['receiver']}<-{share['donor']}" + (" (weights)" if share.get("weights") else "") for share in plan["shares"]]
        return {"before": plan["totals"]["before"]["bytes"], "after": plan["totals"]["after"]["bytes"],
                "flops": plan["totals"]["after"]["flops"] / plan["totals"]["before"]["flops"], "shares": shares,
                "worst_fidelity": min(fidelity.values()), "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip

    def run(self) -> None:
        for target in self.args.targets:
            for sharing in SHARING:
                self.results.once(f"{sharing} {target}", lambda: self.plan(sharing, target))

    def tables(self) -> str:
        lines = ["| target | sharing | saved | of | % | FLOPs | worst fidelity | shares | seconds |", "|---|---|---|---|---|---|---|---|---|"]
        for target in self.args.targets:
            for sharing in SHARING:
                one = self.results.values[f"{sharing} {target}"]
                saved = one["before"] - one["after"]
                lines.append(f"| {target} | {sharing} | {saved / 1e3:.1f} kB | {one['before'] / 1e3:.1f} | {100 * saved / one['before']:.1f} "
                             f"| {100 * (one['flops'] - 1):+.1f} % | {one['worst_fidelity']:.3f} | {', '.join(one['shares']) or 'none'} "
                             f"| {one['seconds']:.0f} |")  # fmt: skip
        return "\n".join(lines) + "\n"


def main() -> None:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--original", type=Path, default=ROOT / "demo/plain.pt")
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--ranks", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.9, 0.95])
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--max-trials", type=int, default=8)
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    publish(Runner(args), args.doc)


if __name__ == "__main__":
    main()
