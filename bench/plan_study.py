#!/usr/bin/env python3
"""What plans of several detectors save at several targets, beside simpler ways of sharing.

    python bench/plan_study.py --work FOLDER NAME=MODEL.pt:WIDTHxHEIGHT … [--video V] [--targets 0.95 0.9 0.8 0.7]
                               [--objectives bytes flops latency peak-memory] [--frames 256] [--max-trials 64] [--doc PART.md]

For every objective and target one `repsim plan` with its defaults. For the objective bytes, at every target, also
  - plain de-duplication of identical weights (totals.deduplicated),
  - identical layers only, without retraining (bench/identical_layers.py),
  - the best single share of any pair (--max-shares 1).
Results stay in FOLDER/results.json, what is there is not run again. --doc writes them as tables.
"""
import argparse
import json
import sys
import time
from pathlib import Path

from studies import ROOT, VIDEO, Results, parser_of, publish, run

UNITS = {"bytes": ("bytes", "kB", 1e3), "flops": ("flops", "MFLOPs", 1e6), "latency": ("latency_estimate_ms", "ms of the estimate", 1),
         "peak-memory": (None, "kB", 1e3)}  # fmt: skip


def amount(totals: dict, objective: str) -> float:
    if objective == "peak-memory":
        return totals["bytes"] + totals["peak_activation_bytes"]
    return totals[UNITS[objective][0]]


class Runner:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results = args, Results(args.work)

    def plan(self, objective: str, target: float, *more: str) -> dict:
        out = self.args.work / "-".join([objective, str(target), *(m.strip("-") for m in more)])
        command = [self.args.repsim, "plan", "--video", self.args.video, "--out", out, "--force", "--quiet", "--objective", objective,
                   "--min-fidelity", target, "--frames", self.args.frames, "--max-trials", self.args.max_trials,
                   "--threads", self.args.threads, *more]  # fmt: skip
        for one in self.args.models:
            name, _, rest = one.partition("=")
            path, _, size = rest.rpartition(":")
            command += ["--model", f"{name}={path}", "--input", f"{name}={size},bgr,stretch"]
        begin = time.monotonic()
        run(command, allowed=(0, 4))
        plan = json.loads((out / "plan.json").read_text())
        before, free, after = (amount(plan["totals"][part], objective) for part in ("before", "deduplicated", "after"))
        shares = [f"{s['receiver']}<-{'+'.join(s.get('donors', [s['donor']]))}" for s in plan["shares"]]
        trials = sum(c["measured_fidelity"] is not None for c in plan["candidates"])
        worst = min(m["fidelity"]["value"] for m in plan["models"])
        return {"before": before, "deduplicated": free, "after": after, "shares": shares, "trials": trials, "worst_fidelity": worst,
                "candidates": len(plan["candidates"]), "judgements": plan["frames"]["judgements"],
                "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip

    def identical(self, target: float) -> dict:
        folder = self.args.work / f"bytes-{target}"
        command = [sys.executable, ROOT / "bench" / "identical_layers.py", folder, "--min-fidelity", target]
        return json.loads(run(command))

    def run(self) -> None:
        for objective in self.args.objectives:
            for target in self.args.targets:
                self.results.once(f"{objective} {target}", lambda: self.plan(objective, target))
        for target in self.args.targets:
            self.results.once(f"single {target}", lambda: self.plan("bytes", target, "--max-shares=1"))
            self.results.once(f"identical {target}", lambda: self.identical(target))

    def tables(self) -> str:
        lines = ["| objective | target | saved | of | % | shares | worst fidelity | trials | candidates | seconds |",
                 "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for objective in self.args.objectives:
            _, unit, scale = UNITS[objective]
            for target in self.args.targets:
                one = self.results.values[f"{objective} {target}"]
                saved = one["before"] - one["after"]
                lines.append(f"| {objective} | {target} | {saved / scale:.1f} {unit} | {one['before'] / scale:.1f} | {100 * saved / one['before']:.1f} "
                             f"| {', '.join(one['shares']) or 'none'} | {one['worst_fidelity']:.3f} | {one['trials']} | {one['candidates']} | {one['seconds']:.0f} |")  # fmt: skip
        lines += ["", "| target | plan, kB | de-duplication | identical layers, no retraining | best single share |", "|---|---|---|---|---|"]
        for target in self.args.targets:
            plan, single, same = (self.results.values[f"{kind} {target}"] for kind in ("bytes", "single", "identical"))
            saved = lambda one: (one["before"] - one["after"]) / 1e3
            lines.append(f"| {target} | {saved(plan):.1f} | {(plan['before'] - plan['deduplicated']) / 1e3:.1f} | {same['bytes_saved'] / 1e3:.1f} "
                         f"({same['layers']} layers, {same['trials']} trials) | {saved(single):.1f} ({', '.join(single['shares']) or 'none'}) |")  # fmt: skip
        return "\n".join(lines) + "\n"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--video", type=Path, default=VIDEO)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--max-trials", type=int, default=64)
    parser.add_argument("--targets", type=float, nargs="+", default=[0.95, 0.9, 0.8, 0.7])
    parser.add_argument("--objectives", nargs="+", choices=UNITS, default=list(UNITS))
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    publish(Runner(args), args.doc)


if __name__ == "__main__":
    main()
