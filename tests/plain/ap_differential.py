#!/usr/bin/env python3
"""AP against the independent referee on random boxes: ties of scores, boxes without area, NaN, ignored boxes.

    tests/plain/ap_differential.py --list build/release/bin/repsim_ap_list [--cases 300]

Needs numpy and ../shared/real/referee.py (or $REPSIM_SHARED/real). Exit code: 0 equal, 1 not, 77 something is missing.

Both suppress and rank. The order of equal scores is a choice, and so AP of them is not one number: scores are equal within a frame
and a class here, where both keep the order of boxes, and differ between frames and classes.
"""

import argparse
import importlib.util
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFEREE = Path(os.environ.get("REPSIM_SHARED", ROOT.parent / "shared")) / "real" / "referee.py"
MIN_SCORE = 0.01
TOLERANCE = 1e-9  # both compute in float64; sums are in another order


def made_up(number):
    chance = random.Random(number)
    offsets = iter(chance.sample(range(10_000), 400))

    def box(score, label):
        left, top = chance.uniform(0, 0.6), chance.uniform(0, 0.6)
        size = [chance.uniform(0.1, 0.4), chance.uniform(0.1, 0.4)]
        if chance.random() < 0.08:
            size[chance.randrange(2)] = 0 if chance.random() < 0.5 else -0.1
        corners = [left, top, left + size[0], top + size[1]]
        if chance.random() < 0.04:
            corners[chance.randrange(4)] = None
        return [*corners, score, label]

    def near(other, score):
        moved = [None if c is None else c + chance.uniform(-0.05, 0.05) for c in other[:4]]
        return [*moved, score, other[5]]

    frames = []
    for _ in range(chance.randrange(1, 6)):
        frame = {"found": [], "sure": [], "ignored": []}
        for label in range(chance.randrange(1, 4)):
            # a few scores per frame and class, each several times; no other frame or class has one of them
            scores = [chance.randrange(1, 20) * 0.05 + next(offsets) * 1e-6 for _ in range(3)]
            frame["sure"] += [box(1, label) for _ in range(chance.randrange(6))]
            frame["ignored"] += [box(0.1, label) for _ in range(chance.randrange(3))]
            for target in frame["sure"] + frame["ignored"]:
                if target[5] == label and chance.random() < 0.7:
                    frame["found"].append(near(target, chance.choice(scores)))
            frame["found"] += [box(chance.choice(scores), label) for _ in range(chance.randrange(5))]
        if chance.random() < 0.2 and frame["found"]:
            chance.choice(frame["found"])[4] = None
        frames.append(frame)
    return frames


def has_area(box):
    return all(c is not None and math.isfinite(c) for c in box[:4]) and box[0] < box[2] and box[1] < box[3]


def refereed(referee, numpy, frames):
    found, sure, ignored = {}, {}, {}
    for i, frame in enumerate(frames):
        for label in {box[5] for boxes in frame.values() for box in boxes}:
            def of(name, i=i, label=label):
                return [box for box in frames[i][name] if box[5] == label and has_area(box)]

            def corners(boxes):
                return numpy.array([box[:4] for box in boxes], dtype=numpy.float64).reshape(-1, 4)

            usable = [box for box in of("found") if box[4] is not None and box[4] >= MIN_SCORE]
            scores = numpy.array([box[4] for box in usable], dtype=numpy.float64)
            key = (i, label)
            found[key] = referee.suppress(corners(usable), scores) if usable else (corners([]), scores)
            sure[key], ignored[key] = corners(of("sure")), corners(of("ignored"))
    return referee.average_precision(found, sure, ignored)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", required=True, help="the program that prints repsim's AP")
    parser.add_argument("--cases", type=int, default=300)
    arguments = parser.parse_args()
    if not REFEREE.exists():
        print(f"skipped: no {REFEREE}")
        return 77
    try:
        import numpy
    except ImportError:
        print("skipped: no numpy")
        return 77
    spec = importlib.util.spec_from_file_location("referee", REFEREE)
    referee = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(referee)
    cases = [made_up(i) for i in range(arguments.cases)]
    done = subprocess.run([arguments.list], input="\n".join(map(json.dumps, cases)), capture_output=True, text=True,
                          check=True)  # fmt: skip
    wrong, nonzero = 0, 0
    for i, (frames, line) in enumerate(zip(cases, done.stdout.splitlines(), strict=True)):
        expected = refereed(referee, numpy, frames)
        nonzero += expected > 0
        if abs(expected - float(line)) > TOLERANCE:
            wrong += 1
            print(f"case {i}: {line}, the referee has {expected}")
    print(f"{len(cases)} cases, {nonzero} with an AP above 0, {wrong} differ")
    return 1 if wrong or nonzero < len(cases) / 2 else 0


if __name__ == "__main__":
    sys.exit(main())
