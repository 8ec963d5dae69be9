#!/usr/bin/env python3
"""What each fit on offer keeps of a detector that runs on another model's backbone, and what cuts along the depth keep.

    python bench/fits.py --work FOLDER [--real FOLDER --referee referee.py] [--truth gt.txt] [--parts fits curve]
                         [--pairs 'RECEIVER<-DONOR' …] [--fits NAME …] [--doc PART.md]

No search: a plan of the pair is edited so that it holds the one cut, and `repsim bundle` fits it on 256 frames of the
video's first half (0 to 399) and measures it on frames 400:795:4. The same frames are then judged by the referee (real
detectors: fastestdet.pt, yolofastestv2.pt and the ImageNet backbone shufflenetv2.pt in --real) or by
scripts/evaluate_detector.py (the demo's): fidelity over all classes and of persons alone, and person AP where --truth is given.

  fits   the whole backbone is replaced; every fit, from nothing to corrections of rank 32 and with side inputs, then two of them
         without weights of rows
  curve  the real pair, replaced at growing depth: 1x1 adapters without and with corrections of rank 8

Extra weights are those beyond the same cut with nothing fitted. Bytes are saved against the bundle without shares. Results stay
in FOLDER/results.json, what is there is not run again.
"""
import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import torch
from studies import DEMO, REAL_INPUT, ROOT, VIDEO, Judge, Results, parser_of, publish, run

CALIBRATION, JUDGED = range(400), range(400, 795, 4)
# Where backbones end, by stride. The ImageNet backbone's own last layer is its result, behind which there are no weights.
ENDS = {
    "fastestdet": {8: "backbone.stage2.3:cat", 16: "backbone.stage3.7:cat", 32: "backbone.stage4.3:cat"},
    "yolofastestv2": {8: "backbone.stage2.3:cat", 16: "backbone.stage3.7:cat", 32: "backbone.stage4.3:cat"},
    "shufflenetv2": {8: "stage2.3:cat", 16: "stage3.7:cat", 32: "stage4.2:cat"},
    "plain": {8: "backbone.stage2.2.2", 16: "backbone.stage3.1.2"},
    "mobile": {8: "backbone.stage2.3:add", 16: "backbone.stage3.2:add"},
    "residual": {8: "backbone.layer2.1.relu", 16: "backbone.layer3.1.relu"},
}
READS = {"yolofastestv2": (16, 32)}  # strides that a head reads; else all
REAL_PAIRS = ["fastestdet<-yolofastestv2", "yolofastestv2<-fastestdet", "fastestdet<-shufflenetv2", "yolofastestv2<-shufflenetv2"]
DEMO_PAIRS = ["plain<-mobile", "plain<-residual", "mobile<-residual", "residual<-plain"]
STAGES = {8: 2, 16: 3, 32: 4}  # of both real backbones
UNITS = ["2.3", "3.2", "3.5", "3.7", "4.1", "4.3"]  # a stage and a unit in it


# What corrections of rank 8 behind the whole backbone read besides, as `repsim plan` chose it for this cut (its log with -v).
SIDE_INPUTS = {
    "fastestdet<-yolofastestv2": ["backbone.stage2.2:cat", "backbone.stage3.1:cat", "fpn.conv1x1_2.2", "backbone.stage3.5:cat", "backbone.stage3.2:cat"],
}


def fit(refit: bool, rank: int = 0, adapters: str = "linear", weighted: bool = True, sides: bool = False) -> dict:
    return {"adapters": adapters, "refit": refit, "rank": rank, "weighted": weighted, "sides": sides}


NOTHING = "nothing"
FITS = {NOTHING: fit(False, adapters="none"), "1x1 adapters": fit(False), "1x1 adapters + rank 8": fit(False, 8), "refit": fit(True),
        **{f"refit + rank {rank}": fit(True, rank) for rank in (4, 8, 16, 32)}, "refit + rank 8, side inputs": fit(True, 8, sides=True),
        "refit, rows alike": fit(True, weighted=False), "refit + rank 8, rows alike": fit(True, 8, weighted=False)}  # fmt: skip
CURVE = ["1x1 adapters", "1x1 adapters + rank 8"]

Cut = list[tuple[str, str]]  # the receiver's layer, the donor's


def whole_backbone(receiver: str, donor: str) -> Cut:
    return [(ENDS[receiver][stride], ENDS[donor][stride]) for stride in READS.get(receiver, ENDS[receiver])]


def at_depth(receiver: str, stage: int, unit: int) -> Cut:
    """Both real detectors have the same units. What the head reads of earlier stages is replaced too."""
    strides = READS.get(receiver, ENDS[receiver])
    names = [ENDS[receiver][stride] for stride in strides if STAGES[stride] < stage] + [f"backbone.stage{stage}.{unit}:cat"]
    return [(name, name) for name in names]


class Study:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results = args, Results(args.work)
        self.judge = Judge(VIDEO, list(JUDGED), args.truth, args.referee)

    def path(self, model: str) -> Path:
        return (ROOT / "demo" if model in DEMO else self.args.real) / f"{model}.pt"

    def base(self, receiver: str, donor: str) -> dict:
        """Any plan of the two models on this video."""
        out = self.args.work / f"{receiver}-{donor}"
        if not (out / "plan.json").exists():
            command = [self.args.repsim, "plan", self.path(receiver), self.path(donor), "--video", VIDEO, "--out", out, "--quiet",
                       "--frames", 64, "--share", f"{receiver}<-{donor}", "--max-trials", 1, "--max-rank", 0, "--threads", self.args.threads]  # fmt: skip
            command += [] if receiver in DEMO else ["--input", REAL_INPUT]
            command += ["--format", "shufflenetv2=tensor"] if donor == "shufflenetv2" else []
            run(command, allowed=(0, 4))
        return json.loads((out / "plan.json").read_text())

    def fitted(self, receiver: str, donor: str, cut: Cut, means: dict) -> dict:
        plan, folder = self.base(receiver, donor), self.args.work / f"{receiver}-{donor}"
        count = self.args.frames
        plan["frames"]["calibration"] = [i * len(CALIBRATION) // count for i in range(count)]
        plan["frames"]["holdout"] = list(JUDGED)
        plan["settings"]["merge"].update(adapters=means["adapters"], refit=means["refit"])
        replaced = [{"receiver_layer": to, "donor_layer": giver, "correction_rank": means["rank"]} for to, giver in cut]
        plan["shares"] = [{"receiver": receiver, "donor": donor, "replaced": replaced}]
        if means["sides"]:
            plan["shares"][0]["side_inputs"] = [{"donor": donor, "donor_layer": layer} for layer in SIDE_INPUTS[f"{receiver}<-{donor}"]]
        if not means["weighted"]:  # raw outputs have no boxes to weight rows by
            plan["models"][0]["output"]["format"] = "tensor"
        edited, bundle = folder / "edited.json", folder / "edited.pt"
        edited.write_text(json.dumps(plan))
        begin = time.monotonic()
        command = [self.args.repsim, "bundle", edited, "--out", bundle, "--force", "--quiet", "--json", "--threads", self.args.threads]
        written = json.loads(run(command, allowed=(0, 4)))
        seconds = round(time.monotonic() - begin, 1)
        judged = self.judge.merged(bundle, 0, self.path(receiver), receiver not in DEMO)
        return {"parameter_bytes": written["bundle"]["parameter_bytes"], "without_shares": plan["totals"]["deduplicated"]["bytes"],
                "residual": written["shares"][0]["residual"], "stated": written["models"][0]["fidelity"]["value"], **asdict(judged),
                "seconds": seconds}  # fmt: skip

    def own(self, receiver: str) -> dict:
        return self.results.once(f"own {receiver}", lambda: asdict(self.judge.original(self.path(receiver), receiver not in DEMO)))

    def run(self) -> None:
        for pair in self.args.pairs:
            receiver, donor = pair.split("<-")
            if self.args.truth:
                self.own(receiver)
            if "fits" in self.args.parts:
                cut = whole_backbone(receiver, donor)
                for name in self.args.fits:
                    if FITS[name]["sides"] and pair not in SIDE_INPUTS:
                        continue
                    self.results.once(f"{pair} {name}", lambda: self.fitted(receiver, donor, cut, FITS[name]))
            if "curve" in self.args.parts and {receiver, donor} == {"fastestdet", "yolofastestv2"}:
                for unit in UNITS:
                    cut = at_depth(receiver, *map(int, unit.split(".")))
                    for name in CURVE:
                        self.results.once(f"{pair} stage{unit} {name}", lambda: self.fitted(receiver, donor, cut, FITS[name]))

    def ap(self, one: dict) -> str:
        return "" if one["ap"] is None else f"{one['ap']:.3f}"

    def tables(self) -> str:
        known, lines = self.results.values, []
        for pair in self.args.pairs:
            own = known.get(f"own {pair.split('<-')[0]}", {"ap": None})
            rows = {name: known[f"{pair} {name}"] for name in FITS if f"{pair} {name}" in known}
            if rows:
                lines += ["", f"| {pair.replace('<-', ' <- ')} (own AP {self.ap(own)}) | extra weights | saves, kB | fidelity | of persons | AP | R² |",
                          "|---|---|---|---|---|---|---|"]  # fmt: skip
            for name, one in rows.items():
                extra = (one["parameter_bytes"] - rows[NOTHING]["parameter_bytes"]) // 4 if NOTHING in rows else ""
                saved = (one["without_shares"] - one["parameter_bytes"]) / 1e3
                lines.append(f"| {name} | {extra} | {saved:.1f} | {one['fidelity']:.3f} | {one['of_persons']:.3f} | {self.ap(one)} | {1 - one['residual']:.3f} |")
            deep = {(unit, name): known.get(f"{pair} stage{unit} {name}") for unit in UNITS for name in CURVE}
            if all(deep.values()):
                lines += ["", f"| {pair.replace('<-', ' <- ')}, replaced up to | " + " | ".join(f"{name}: saves, kB; fidelity; of persons; AP" for name in CURVE) + " |",
                          "|---" * (1 + len(CURVE)) + "|"]  # fmt: skip
                for unit in UNITS:
                    cells = []
                    for name in CURVE:
                        one = deep[unit, name]
                        cells.append(f"{(one['without_shares'] - one['parameter_bytes']) / 1e3:.0f}; {one['fidelity']:.3f}; {one['of_persons']:.3f}; {self.ap(one)}")
                    lines.append(f"| stage{unit} | " + " | ".join(cells) + " |")
        return "\n".join(lines).lstrip() + "\n"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--real", type=Path)
    parser.add_argument("--referee", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--parts", nargs="+", choices=["fits", "curve"], default=["fits", "curve"])
    parser.add_argument("--pairs", nargs="+", help="default: all that --real allows")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--frames", type=int, default=256, help="that fit (default: 256)")
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    if bool(args.real) != bool(args.referee):
        parser.error("--real and --referee go together")
    if not args.pairs:
        args.pairs = (REAL_PAIRS if args.real else []) + DEMO_PAIRS
    if args.threads:
        torch.set_num_threads(args.threads)
    publish(Study(args), args.doc)


if __name__ == "__main__":
    main()
