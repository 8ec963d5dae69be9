#!/usr/bin/env python3
"""Compares planner::choose() with a solver of integer programs (HiGHS) on random choices.

The test program writes the choices and the value that it found; this script states each as an integer program from the
rules in include/repsim/planner.hpp and solves it. Exit code 77 (skipped) where highspy is missing.

    tests/planner/choice_mip.py --tests build/release/bin/repsim_plain_tests
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

try:
    import highspy
except ImportError:
    print("skipped: Python has no highspy (scripts/setup.sh installs it)")
    sys.exit(77)


def optimum(choice):
    """The largest value of an allowed selection."""
    options, models = choice["options"], choice["models"]
    solver = highspy.Highs()
    solver.silent()
    solver.setOptionValue("threads", 1)
    taken = [solver.addBinary() for _ in options]
    # A receiver stands behind its donors in some order of the models, so nobody takes from itself over others.
    place = [solver.addVariable(lb=0, ub=models) for _ in range(models)]
    for receiver in range(models):
        own = [taken[i] for i, one in enumerate(options) if one["receiver"] == receiver]
        if own:
            solver.addConstr(sum(own) <= 1)
    for i, one in enumerate(options):
        for supplied in one["supplied"]:
            distance = place[one["receiver"]] - place[supplied["donor"]]
            solver.addConstr(distance - (models + 1) * taken[i] >= -models)
            for k, other in enumerate(options):
                missing = set(supplied["layers"]) & set(other["unavailable"])
                if other["receiver"] == supplied["donor"] and missing:
                    solver.addConstr(taken[i] + taken[k] <= 1)
    for nogood in choice["nogoods"]:
        solver.addConstr(sum(taken[i] for i in nogood) <= len(nogood) - 1)
    if choice["max_shares"] >= 0 and taken:
        solver.addConstr(sum(taken) <= choice["max_shares"])
    if not taken:
        return 0.0
    solver.maximize(sum(one["value"] * taken[i] for i, one in enumerate(options)))
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        sys.exit(f"HiGHS found no optimum: {solver.getModelStatus()}")
    return solver.getObjectiveValue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", required=True, help="the test program repsim_plain_tests")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "choices.json")
        subprocess.run(
            [arguments.tests, "--gtest_filter=ChoiceInstances.*", "--gtest_brief=1"],
            env={**os.environ, "REPSIM_CHOICE_INSTANCES": path},
            check=True,
        )
        with open(path, encoding="utf-8") as file:
            choices = json.load(file)
    differing = 0
    for number, choice in enumerate(choices):
        best = optimum(choice)
        if abs(best - choice["value"]) > 1e-6:
            print(f"choice {number}: repsim takes {choice['value']}, the optimum is {best}")
            differing += 1
    print(f"{len(choices)} choices, {differing} differ")
    return 1 if differing or not choices else 0


if __name__ == "__main__":
    sys.exit(main())
