#!/usr/bin/env python3
"""How much evidence a share needs on the test frames: rules of acceptance, compared in a simulation.

    python bench/evidence_rules.py [--instances 4000] [--seed 1] [--drift 1] [--quick] [--doc PART.md]

An instance is a receiver with candidates and a video in three parts that drift apart: selection, test and fresh frames.
Each rule shows candidates to the test frames until it accepts one. The fresh frames then tell whether the promise was
kept. docs/research/evidence.md describes the world and its simplifications. The script needs only numpy and takes some
minutes on one core.
"""
import argparse
import dataclasses
import functools
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()
TOLERANCE = 0.02  # a promise is broken if the fresh fidelity is lower than the target by more
FEW, AMPLE = 30, 150  # own detections on the test frames
DRAWS = 300
FALSE_PER_MISS = 0.5  # the part of missed tracks that get a false detection instead
FRESH = 4  # the measured fresh part has so many times the test frames


@dataclasses.dataclass(frozen=True)
class Rule:
    """Accepts a share if its value reaches the target and the lower end of its interval reaches target - margin."""

    name: str
    looks: int = 3
    few: int = FEW  # accepts nothing with fewer own detections on the test frames
    level: float | None = None  # of the one-sided interval; None: only the value counts
    margin: float = 0.0
    divide: bool = False  # level 1 - alpha / k at the k-th look
    wilson_only: bool = False
    pooled: bool = False  # judges selection and test frames together
    pooled_margin: float | None = None  # the test frames' interval is that of selection and test frames, with this margin
    learn: str = "loss"  # what the next candidate needs after a refusal: see needed_after()
    screen: bool = False  # shows only candidates that keep the rule on the selection frames too
    last: float = 0  # above 0: the last look goes to a share that saves at most this part of the one refused before
    step: float = 0  # above 0: after a refusal shows no near copy, which saves more than this part of the refused one


@functools.cache
def student_table(freedom: float) -> tuple[np.ndarray, np.ndarray]:
    points = np.linspace(0, 60, 60001)
    factor = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(freedom * math.pi)
    density = factor * (1 + points**2 / freedom) ** (-(freedom + 1) / 2)
    return points, 0.5 + np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)]) * (points[1] - points[0])


@functools.cache
def suffix_of(level: float, blocks: float) -> float:
    """The fraction of resamples below the lower end of a one-sided interval, expanded from normal to Student's t."""
    freedom = max(1.0, blocks - 1)
    points, below = student_table(freedom)
    return NORMAL.cdf(-math.sqrt((freedom + 1) / freedom) * float(np.interp(level, below, points)))


def wilson(share: float, count: float, level: float, side: int) -> float:
    z = NORMAL.inv_cdf(level)
    zz = z * z / count
    return (share + zz / 2 + side * z * math.sqrt(share * (1 - share) / count + zz / (4 * count))) / (1 + zz)


def fidelity(own: np.ndarray, hits: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Stands for AP50: recall x (1 + precision) / 2, as if half of the false detections came before the right ones."""
    recall, precision = hits / np.maximum(own, 1), hits / np.maximum(hits + false, 1)
    return recall * (1 + precision) / 2


MISSES = np.linspace(0, 1, 20001)
EXPECTED = (1 - MISSES) * (1 + (1 - MISSES) / (1 - MISSES + FALSE_PER_MISS * MISSES)) / 2


def miss_rate(expected: np.ndarray) -> np.ndarray:
    return np.interp(-expected, -EXPECTED, MISSES)


def slope(expected: float) -> float:
    """How fast the fidelity falls, at `expected`, with the threshold of the latent below which a track is missed."""
    at = NORMAL.inv_cdf(float(miss_rate(np.array(expected))))
    low, high = np.interp([NORMAL.cdf(at - 0.01), NORMAL.cdf(at + 0.01)], MISSES, EXPECTED)
    return float(low - high) / 0.02


SLOPE = slope(0.9)


class Part:
    """The own detections of a stretch of video and what candidates make of them."""

    def __init__(self, world: "World", frames: int, rng: np.random.Generator):
        self.world, self.frames, self.rng = world, frames, rng
        mean = world.track_length
        # Lengths are geometric: a track that is there at the beginning has as much left as a new one has in all.
        lengths = rng.geometric(1 / mean, rng.poisson(world.rate * (1 + frames / mean)))
        at_begin = rng.random(len(lengths)) < mean / (mean + frames)
        first = np.where(at_begin, 0, rng.integers(0, frames, len(lengths)))
        lengths = np.minimum(lengths, frames - first)
        self.track = np.repeat(np.arange(len(lengths)), lengths)
        offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        self.frame = first[self.track] + offset if len(self.track) else np.zeros(0, int)
        # A latent that starts anew with probability 1 - persistence has the autocorrelation of an AR(1) process.
        self.run = np.cumsum((offset == 0) | (rng.random(len(offset)) > world.persistence)) - 1
        self.tracks, self.runs = len(lengths), int(self.run[-1]) + 1 if len(offset) else 0
        self.own = np.bincount(self.frame, minlength=frames)
        self.common_track, self.common_run = rng.standard_normal(self.tracks), rng.standard_normal(self.runs)
        self.moment = self.difficulty()
        self.drift = rng.standard_normal()

    def difficulty(self) -> np.ndarray:
        """An AR(1) process over frames, unit variance."""
        noise, values = self.rng.standard_normal(self.frames), np.empty(self.frames)
        keep = 0.9
        values[0] = noise[0]
        for frame in range(1, self.frames):
            values[frame] = keep * values[frame - 1] + math.sqrt(1 - keep * keep) * noise[frame]
        return values

    def measure(self, misses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hits and false detections of each candidate and frame, and the expected fidelity in this part."""
        world, rng, count = self.world, self.rng, len(misses)
        alike, apart = math.sqrt(world.shared), math.sqrt(1 - world.shared)
        shift = world.drift * (alike * self.drift + apart * rng.standard_normal(count))
        threshold = np.array([NORMAL.inv_cdf(min(max(m, 1e-6), 1 - 1e-6)) for m in misses]) + shift
        per_track = alike * self.common_track + apart * rng.standard_normal((count, self.tracks), dtype=np.float32)
        per_run = alike * self.common_run + apart * rng.standard_normal((count, self.runs), dtype=np.float32)
        by_track, by_run, by_moment = (math.sqrt(part) for part in world.parts)
        latent = by_track * per_track[:, self.track] + by_run * per_run[:, self.run]
        latent = latent + by_moment * self.moment[self.frame]
        missed = latent < threshold[:, None]
        wrong = missed & (rng.random((count, self.tracks)) < FALSE_PER_MISS)[:, self.track]
        cell = (np.arange(count) * self.frames)[:, None] + self.frame
        size, shape = count * self.frames, (count, self.frames)
        hits = self.own - np.bincount(cell[missed], minlength=size).reshape(shape)
        expected = np.interp([NORMAL.cdf(t) for t in threshold], MISSES, EXPECTED)
        return hits, np.bincount(cell[wrong], minlength=size).reshape(shape), expected


class Sample:
    """What candidates keep on the frames of one part, or of two together."""

    def __init__(self, own: np.ndarray, hits: np.ndarray, false: np.ndarray, rng: np.random.Generator):
        self.own, self.hits, self.false = own, hits, false
        self.objects, self.frames = int(own.sum()), len(own)
        self.value = fidelity(self.objects, hits.sum(1), false.sum(1))
        self.block = max(1, round(self.frames ** (1 / 3)))
        self.rng, self.copies, self.resampled = rng, None, {}

    def resamples(self, candidate: int) -> np.ndarray:
        if self.copies is None:
            starts = self.rng.integers(0, self.frames, (DRAWS, -(-self.frames // self.block)))
            drawn = ((starts[:, :, None] + np.arange(self.block)) % self.frames).reshape(DRAWS, -1)[:, : self.frames]
            cells = drawn + (np.arange(DRAWS) * self.frames)[:, None]
            copies = np.bincount(cells.ravel(), minlength=DRAWS * self.frames).reshape(DRAWS, self.frames)
            self.copies = copies.astype(float)
            self.copies_own = self.copies @ self.own
        if candidate not in self.resampled:
            both = self.copies @ np.stack([self.hits[candidate], self.false[candidate]], axis=1)
            self.resampled[candidate] = np.sort(fidelity(self.copies_own, both[:, 0], both[:, 1]))
        return self.resampled[candidate]

    def bound(self, candidate: int, level: float, side: int = -1, wilson_only: bool = False) -> float:
        """An end of the interval of bootstrap_interval() in src/verify/plain/average_precision.cpp."""
        value = float(self.value[candidate])
        floor = wilson(value, max(1.0, self.objects / self.block), level, side) if self.objects else value
        if wilson_only:
            return floor
        suffix = suffix_of(level, self.frames / self.block)
        end = np.interp((suffix if side < 0 else 1 - suffix) * (DRAWS - 1), np.arange(DRAWS), self.resamples(candidate))
        return min(end, floor) if side < 0 else max(end, floor)


class World:
    """One receiver and its video. All numbers are drawn."""

    def __init__(self, rng: np.random.Generator, drift: float = 1.0):
        self.rate = math.exp(rng.uniform(math.log(0.05), math.log(8)))  # own detections per frame
        self.frames = int(rng.choice([38, 38, 38, 64, 128, 250]))  # selection frames, and test frames
        self.track_length, self.persistence = math.exp(rng.uniform(math.log(3), math.log(40))), rng.uniform(0.3, 0.9)
        moment, track = rng.uniform(0, 0.25), rng.uniform(0.1, 0.4)
        self.parts = (track, 1 - track - moment, moment)  # of the latent's variance: per track, per run, per moment
        self.shared = rng.uniform(0.3, 0.8)  # of the latent's variance, by all candidates
        # Deviation of a part's fidelity where that is 0.9; at 0.95 about half of it.
        self.deviation = drift * rng.uniform(0.01, 0.03)
        self.drift = self.deviation / SLOPE
        self.target = float(rng.choice([0.8, 0.9, 0.95]))
        count = round(math.exp(rng.uniform(math.log(10), math.log(100))))
        saving = np.sort(rng.uniform(0.02, 1, count))[::-1]
        scale, power = math.exp(rng.uniform(math.log(0.1), 0)), rng.uniform(2, 6)
        expected = np.clip(1 - scale * saving**power * np.exp(rng.normal(0, 0.5, count)), 0.02, 1)
        self.saving, self.misses = saving, miss_rate(expected)
        selection, test = Part(self, self.frames, rng), Part(self, self.frames, rng)
        chosen, judged = selection.measure(self.misses)[:2], test.measure(self.misses)[:2]
        self.selection, self.test = Sample(selection.own, *chosen, rng), Sample(test.own, *judged, rng)
        both = [np.concatenate(pair, axis=1) for pair in zip(chosen, judged)]
        self.pooled = Sample(np.concatenate([selection.own, test.own]), *both, rng)
        fresh = Part(self, FRESH * self.frames, rng)
        hits, false, self.fresh_expected = fresh.measure(self.misses)
        own = int(fresh.own.sum())
        self.fresh = fidelity(own, hits.sum(1), false.sum(1)) if own else self.fresh_expected


def accepts(rule: Rule, sample: Sample, candidate: int, target: float, look: int) -> bool:
    if sample.value[candidate] < target:
        return False
    if rule.level is None:
        return True
    level = 1 - (1 - rule.level) / (look if rule.divide else 1)
    return sample.bound(candidate, level, wilson_only=rule.wilson_only) >= target - rule.margin


def judges(rule: Rule, world: World, candidate: int, look: int) -> bool:
    """Whether the rule accepts a candidate that is shown to the test frames."""
    if rule.pooled_margin is None:
        return accepts(rule, world.pooled if rule.pooled else world.test, candidate, world.target, look)
    pooled = dataclasses.replace(rule, margin=rule.pooled_margin)
    return world.test.value[candidate] >= world.target and accepts(pooled, world.pooled, candidate, world.target, look)


def needed_after(rule: Rule, world: World, candidate: int) -> float:
    """The fidelity on the selection frames that the next candidate needs after the test frames refused this one."""
    selection, test = float(world.selection.value[candidate]), float(world.test.value[candidate])
    if rule.learn == "loss":
        return world.target + selection - test
    if rule.learn == "ratio":  # errors grow by a factor, not by a difference: 1 is always enough
        one = 1 / max(1, world.test.objects)  # keeps a part without errors from promising that none follow
        return 1 - (1 - world.target) * min(1.0, (1 - selection + one) / (1 - test + one))
    return world.target


def one(world: World) -> float:
    return 1 / max(1, world.test.objects)


def near_copies(rule: Rule, world: World, candidate: int) -> tuple[float, float]:
    """Candidates that save more than the first number and err more than the second are near copies of this one."""
    bound = world.test.bound(candidate, rule.level) + rule.margin
    if rule.pooled_margin is not None:
        bound = world.pooled.bound(candidate, rule.level) + rule.pooled_margin
    supported = min(float(world.test.value[candidate]), bound)
    factor = min(rule.step, ((1 - world.target) / max(1e-9, 1 - supported)) ** 0.25)
    return factor * float(world.saving[candidate]), 0.5 * (1 - float(world.selection.value[candidate]) + one(world))


def search(rule: Rule, world: World) -> tuple[int | None, int]:
    """The accepted candidate, if any, and the number of looks at the test frames."""
    if world.test.objects < rule.few:
        return None, 0
    needed, looks, refused = world.target, 0, 1.0
    steps: list[tuple[float, float]] = []  # what a near copy of a refused candidate saves at least, and errs at least
    for candidate in range(len(world.saving)):  # the largest saving comes first
        if looks == rule.looks:
            break
        if world.selection.value[candidate] < needed or world.selection.objects == 0:
            continue
        if rule.screen and not accepts(rule, world.selection, candidate, world.target, 1):
            continue
        if rule.last and 0 < looks == rule.looks - 1 and world.saving[candidate] > rule.last * refused:
            continue
        if any(world.saving[candidate] > saving and 1 - world.selection.value[candidate] + one(world) > error for saving, error in steps):
            continue
        looks += 1
        if judges(rule, world, candidate, looks):
            return candidate, looks
        refused = float(world.saving[candidate])
        needed = max(needed, needed_after(rule, world, candidate))
        if rule.step:
            steps.append(near_copies(rule, world, candidate))
    return None, looks


NO_COPIES = Rule("8: 90% >= target - 0.02, no near copies", level=0.9, margin=0.02, learn="ratio", screen=True, step=0.8)
CHOSEN = dataclasses.replace(NO_COPIES, name="**9: 8, pooled 90% >= target - 0.01, safe last look**", pooled_margin=0.01, last=0.5)


def rules() -> list[Rule]:
    found = [Rule("old: value, 16 looks", looks=16, few=0, learn="nothing"), Rule("1: value"),
             Rule("1, learns by ratio", learn="ratio"), Rule("2: 95% >= target", few=0, level=0.95)]  # fmt: skip
    grid = [Rule(f"{level:.0%} >= target - {margin}", level=level, margin=margin)
            for level in (0.8, 0.9, 0.95) for margin in (0.01, 0.02, 0.03)]  # fmt: skip
    found += [dataclasses.replace(rule, name="3: " + rule.name + ", divided", divide=True) for rule in grid]
    found += [dataclasses.replace(rule, name="4: " + rule.name) for rule in grid]
    found += [dataclasses.replace(rule, name="5: " + rule.name + ", divided, Wilson", divide=True, wilson_only=True)
              for rule in grid]  # fmt: skip
    found.append(Rule("6: value of selection + test", pooled=True))
    screened = [dataclasses.replace(rule, name="7: " + rule.name, learn="ratio", screen=True) for rule in grid]
    found += [*screened, NO_COPIES, *(dataclasses.replace(NO_COPIES, name=f"8: 90% >= target - {margin}", margin=margin)
                                      for margin in (0.03, 0.04)), CHOSEN]  # fmt: skip
    changes = {"pooled margin 0": {"pooled_margin": 0.0}, "pooled margin 0.02": {"pooled_margin": 0.02},
               "margin 0.01": {"margin": 0.01}, "no safe last look": {"last": 0}, "last look 0.7": {"last": 0.7},
               "divided": {"divide": True}, "Wilson only": {"wilson_only": True}, "not screened": {"screen": False},
               "learns the loss": {"learn": "loss"}, "learns nothing": {"learn": "nothing"},
               "part 0.9": {"step": 0.9}, "part 0.7": {"step": 0.7}, "1 look": {"looks": 1}, "2 looks": {"looks": 2}, "5 looks": {"looks": 5},
               "any evidence": {"few": 0}, "50 detections": {"few": 50}, "100 detections": {"few": 100}}  # fmt: skip
    return found + [dataclasses.replace(CHOSEN, name="chosen, " + name, **change) for name, change in changes.items()]


@dataclasses.dataclass
class Outcome:
    few: bool
    ample: bool
    looks: int
    saved: float = 0.0
    kept: float = 0.0  # what promises that were kept save
    accepted: bool = False
    broken: bool = False
    broken_expected: bool = False
    held: bool = False


def outcome(rule: Rule, world: World) -> Outcome:
    candidate, looks = search(rule, world)
    objects = world.test.objects
    result = Outcome(objects < FEW, objects >= AMPLE, looks)
    if candidate is not None:
        ends = [world.test.bound(candidate, 0.95, side) for side in (-1, 1)]
        limit = world.target - TOLERANCE
        result.accepted, result.saved = True, float(world.saving[candidate])
        result.broken = bool(world.fresh[candidate] < limit)
        result.broken_expected = bool(world.fresh_expected[candidate] < limit)
        result.kept = 0.0 if result.broken_expected else result.saved
        result.held = bool(ends[0] <= world.fresh_expected[candidate] <= ends[1])
    return result


HEADER = ["rule", "broken %", "of ample", "of 30 to 149", "seen broken %", "few %", "accepted %", "bytes, ample",
          "kept, ample", "bytes, all", "looks", "most", "interval holds %"]  # fmt: skip


def row(rule: Rule, outcomes: list[Outcome], old: list[Outcome]) -> list[str]:
    accepted = [o for o in outcomes if o.accepted]
    parts = [accepted, [o for o in accepted if o.ample], [o for o in accepted if not o.ample and not o.few]]

    def percent(flags: list[bool]) -> str:
        return f"{100 * sum(flags) / len(flags):.1f}" if flags else "-"

    def relative(what: str, ample: bool) -> str:
        mine, theirs = (sum(getattr(o, what) for o in some if o.ample or not ample) for some in (outcomes, old))
        return f"{mine / theirs:.2f}" if theirs else "-"

    shown = [o.looks for o in outcomes if o.looks]
    return [rule.name, *(percent([o.broken_expected for o in part]) for part in parts),
            percent([o.broken for o in accepted]), percent([o.few for o in accepted]),
            percent([o.accepted for o in outcomes]), relative("saved", True), relative("kept", True),
            relative("saved", False), f"{np.mean(shown):.2f}" if shown else "-", str(max(shown, default=0)),
            percent([o.held for o in accepted])]  # fmt: skip


def near_target(world: World) -> bool:
    """Whether the 90 % interval of a candidate that nothing selected, one near the target, holds the fresh fidelity."""
    candidate = int(np.argmin(np.abs(np.interp(world.misses, MISSES, EXPECTED) - world.target)))
    low, high = (world.test.bound(candidate, 0.95, side) for side in (-1, 1))
    return bool(low <= world.fresh_expected[candidate] <= high)


def table(lines: list[list[str]]) -> str:
    head = [lines[0], ["---"] * len(lines[0])]
    return "\n".join("| " + " | ".join(line) + " |" for line in [*head, *lines[1:]])


def breakdown(chosen: list[Outcome], old: list[Outcome], kinds: list[dict[str, str]]) -> str:
    """The rows of the chosen rule in parts of the world."""
    columns = ["broken %", "seen broken %", "accepted %", "bytes", "bytes kept", "looks", "interval holds %"]
    lines = [["world", "old: broken %", "old: accepted %", *columns]]

    def share(flags: list[bool]) -> str:
        return f"{100 * np.mean(flags):.1f}" if flags else "-"

    for kind in kinds[0]:
        for value in dict.fromkeys(sorted((some[kind] for some in kinds), key=lambda text: (len(text), text))):
            mine, theirs = ([o for o, some in zip(of, kinds) if some[kind] == value] for of in (chosen, old))
            good, was = ([o for o in some if o.accepted] for some in (mine, theirs))
            bytes_of = [sum(getattr(o, what) for o in good) / max(1e-9, sum(getattr(o, what) for o in was))
                        for what in ("saved", "kept")]  # fmt: skip
            looks = [o.looks for o in mine if o.looks]
            lines.append([f"{kind} {value}", share([o.broken_expected for o in was]),
                          share([o.accepted for o in theirs]),
                          share([o.broken_expected for o in good]), share([o.broken for o in good]),
                          share([o.accepted for o in mine]), *(f"{part:.2f}" for part in bytes_of),
                          f"{np.mean(looks):.2f}" if looks else "-", share([o.held for o in good])])  # fmt: skip
    return table(lines)


def kinds_of(world: World) -> dict[str, str]:
    above = [least for least in (0, FEW, 60, AMPLE, 400) if world.test.objects >= least]
    return {"own detections: at least": str(above[-1]), "test frames:": str(world.frames), "target": str(world.target),
            "drift": "below 0.02" if world.deviation < 0.02 else "from 0.02",
            "mean track": "3 to 10 frames" if world.track_length < 10 else "10 to 40 frames"}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drift", type=float, default=1.0, help="multiplies the drift between parts")
    parser.add_argument("--quick", action="store_true", help="400 instances")
    parser.add_argument("--doc", type=Path, help="writes the tables here too")
    args = parser.parse_args()
    compared = rules()
    outcomes: list[list[Outcome]] = [[] for _ in compared]
    kinds, held = [], []
    for number in range(400 if args.quick else args.instances):
        world = World(np.random.default_rng([args.seed, number]), args.drift)
        kinds.append(kinds_of(world))
        for rule, results in zip(compared, outcomes):
            results.append(outcome(rule, world))
        if world.test.objects >= FEW:
            held.append(near_target(world))
    old, chosen = outcomes[0], outcomes[compared.index(CHOSEN)]
    text = "\n\n".join([
        table([HEADER, *(row(rule, results, old) for rule, results in zip(compared, outcomes))]),
        breakdown(chosen, old, kinds),
        f"Of candidates that nothing selected, {100 * np.mean(held):.1f} % of the 90 % intervals hold.",
        f"{100 * np.mean([o.ample for o in old]):.0f} % of {len(old)} instances have ample evidence, "
        f"{100 * np.mean([o.few for o in old]):.0f} % have fewer than {FEW} own detections."])  # fmt: skip
    print(text)
    if args.doc:
        args.doc.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
