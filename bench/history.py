#!/usr/bin/env python3
"""Keeps the ratios of bench/run per commit, and shows which of them grew.

    bench/run --plan --json FIGURES.json
    bench/history.py add FIGURES.json      appends them to bench/history.json under the commit that is checked out
    bench/history.py show                  the latest two entries of each series side by side

A ratio is a time in forward passes of the same models as loaded, measured in the same run: what remains when another
machine, or the same one at another hour, is faster. Entries of one processor, number of threads, models and frames are
a series. One pair of entries is no proof, since the ratios of one commit differ by some percent between runs: where
`show` marks a ratio, measure both commits again.

--file FILE names another history, --limit 0.1 what is marked: a ratio that grew by more than this share.
Exit code of `show`: 1 if a ratio is marked. Python's standard library only.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HISTORY = ROOT / "bench" / "history.json"
SERIES = ("processor", "threads", "models", "frames")


def ratios_of(report):
    """Name -> time in forward passes of all models as loaded. Only what every run measures alike."""
    capture = report["capture"]
    bare = sum(model["ms_per_frame"]["bare"] for model in capture["models"])
    found = {"capture": sum(model["ms_per_frame"]["capture"] for model in capture["models"]) / bare,
             "similarity": 1000 * capture["similarity_seconds"] / (bare * capture["frames"])}  # fmt: skip
    plan = report.get("plan")
    if plan:
        found["plan"] = sum(plan["seconds"].values()) / plan["bare_seconds"]
        for name, seconds in plan["seconds"].items():
            found[f"plan: {name}"] = seconds / plan["bare_seconds"]
    if "cuts" in report:
        found["fits of all cuts"] = report["cuts"]["fit_seconds"] / report["cuts"]["bare_seconds"]
    return {name: round(ratio, 3) for name, ratio in found.items()}


def processor():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def entry_of(report, commit, date):
    return {"commit": commit, "date": date, "processor": processor(), "threads": report["capture"]["threads"],
            "models": [model["name"] for model in report["capture"]["models"]], "frames": report["capture"]["frames"],
            "ratios": ratios_of(report)}  # fmt: skip


def series_of(history):
    """Entries that may be compared with each other, oldest first."""
    series = {}
    for entry in history:
        series.setdefault(json.dumps([entry[key] for key in SERIES]), []).append(entry)
    return list(series.values())


def growth(before, after, limit):
    """Rows (name, before, after, marked) of what both entries have. Shares of a forward pass below a tenth are noise."""
    rows = []
    for name, new in after["ratios"].items():
        old = before["ratios"].get(name)
        if old is not None:
            rows.append((name, old, new, new > old * (1 + limit) and new - old > 0.1))
    return rows


def read(path):
    return json.loads(path.read_text()) if path.exists() else []


def add(arguments):
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short=12", "HEAD"], check=True, capture_output=True, text=True)
    changed = subprocess.run(["git", "-C", ROOT, "status", "--porcelain", "src", "include"], check=True, capture_output=True, text=True)
    if changed.stdout:
        sys.exit("bench/history.py: the sources differ from the commit: commit first, or the figures have no name")
    entry = entry_of(json.loads(arguments.figures.read_text()), commit.stdout.strip(), datetime.date.today().isoformat())
    arguments.file.write_text(json.dumps([*read(arguments.file), entry], indent=1) + "\n")


def show(arguments):
    marked = False
    for entries in series_of(read(arguments.file)):
        last = entries[-1]
        print(f"{last['processor']}, threads {last['threads']}, {' '.join(last['models'])}, {last['frames']} frames")
        if len(entries) < 2:
            print(f"  {last['commit']} of {last['date']} is the only entry")
            continue
        before = entries[-2]
        print(f"  {'forward passes as loaded':30} {before['commit']:>14} {last['commit']:>14}")
        for name, old, new, grew in growth(before, last, arguments.limit):
            marked = marked or grew
            print(f"  {name:30} {old:>14.2f} {new:>14.2f}{'  grew by ' + format(new / old - 1, '.0%') if grew else ''}")
    return 1 if marked else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, function in (("add", add), ("show", show)):
        command = commands.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("--file", type=Path, default=HISTORY)
    commands.choices["add"].add_argument("figures", type=Path, help="what bench/run --json wrote")
    commands.choices["show"].add_argument("--limit", type=float, default=0.1)
    arguments = parser.parse_args()
    sys.exit(arguments.function(arguments))


if __name__ == "__main__":
    main()
