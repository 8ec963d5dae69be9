#!/usr/bin/env python3
"""Runs the commands of the recipes in configs/ci on a plan of two small detectors. Python's standard library only.

    tests/scripts/ci_recipes_test.py --binary build/release/bin/repsim

Each recipe is run three times: nothing changed (exit 0), a model changed (exit 5), a model gone (exit 3). The files that
CI systems read are parsed. Exit code: 0 all well, 1 not, 77 skipped where the demo's video is missing.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
RECIPES = sorted((ROOT / "configs/ci").iterdir())
COMMAND = re.compile(r"^\s*(?:- run: |- |entry: |run: )(repsim .*)$", re.MULTILINE)


def commands(recipe: Path) -> list[str]:
    return COMMAND.findall(recipe.read_text())


def prepare(folder: Path, binary: Path) -> None:
    (folder / "models").mkdir()
    shutil.copy(ROOT / "demo/plain.pt", folder / "models/front.pt")
    shutil.copy(ROOT / "demo/residual.pt", folder / "models/back.pt")
    config = {
        "models": [{"path": "models/front.pt"}, {"path": "models/back.pt"}],
        "video": str(VIDEO),
        "frames": {"count": 32},
        "merge": {"max_trials": 1, "min_fidelity": 0.01, "min_evidence": 1},
    }
    (folder / "merge.json").write_text(json.dumps(config))
    subprocess.run([binary, "plan", "--config", "merge.json", "--out", "plan", "--quiet"], cwd=folder, check=True, capture_output=True)


def environment(folder: Path, binary: Path) -> dict[str, str]:
    return os.environ | {
        "PATH": f"{binary.parent}:{os.environ['PATH']}",
        "GITHUB_ACTIONS": "true",
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }


def run(command: str, folder: Path, binary: Path, expected: int) -> list[str]:
    """What went wrong."""
    done = subprocess.run(command, shell=True, cwd=folder, env=environment(folder, binary), capture_output=True, text=True)
    print(f"  exit {done.returncode}  {command}", flush=True)
    if done.returncode != expected:
        return [f"{command}: exit {done.returncode}, not {expected}\n{done.stdout}{done.stderr}"]
    return []


def check_files(folder: Path) -> list[str]:
    """The files that GitLab and GitHub read."""
    problems = []
    suite = ElementTree.parse(folder / "junit.xml").getroot().find("testsuite")
    if suite is None or int(suite.get("tests", 0)) != len(suite.findall("testcase")):
        problems.append("junit.xml: tests is not the number of cases")
    metrics = (folder / "metrics.txt").read_text().splitlines()
    if metrics[-1] != "# EOF" or not any(line.startswith('repsim_fidelity{model="front"} ') for line in metrics):
        problems.append("metrics.txt: no fidelity of front, or no end")
    if "| kind |" not in (folder / "summary.md").read_text():
        problems.append("summary.md: no table of what changed")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    binary = parser.parse_args().binary.resolve()
    if not VIDEO.exists():
        print(f"skipped: {VIDEO} is missing (Debian package opencv-doc)")
        return 77
    problems = [f"{recipe.name}: has no command" for recipe in RECIPES if not commands(recipe)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, binary)
        model = folder / "models/front.pt"
        for recipe in RECIPES:
            print(f"{recipe.name}: nothing changed", flush=True)
            for command in commands(recipe):
                problems += run(command, folder, binary, 0)
        shutil.copy(ROOT / "demo/mobile.pt", model)
        for recipe in RECIPES:
            print(f"{recipe.name}: a model changed", flush=True)
            for command in commands(recipe):
                # verify refuses a model that is not the plan's
                problems += run(command, folder, binary, 3 if "verify" in command else 5)
        problems += check_files(folder)
        model.unlink()
        for recipe in RECIPES:
            print(f"{recipe.name}: a model is gone", flush=True)
            for command in commands(recipe):
                problems += run(command, folder, binary, 3)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
