#!/usr/bin/env python3
"""Plans on all engines that are installed: fidelity, bytes and milliseconds, as a table of Markdown.

    compare.py --repsim build/release/bin/repsim PLAN... [--engine NAME ...] [--threads 1]

Per plan: repsim verify --dump-inputs, then per engine and precision run_engine.py and repsim verify --engine-outputs. The
table of docs/runtimes.md is made so.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from backends import ENGINES, PRECISIONS  # noqa: E402

HERE = Path(__file__).resolve().parent
SKIPPED, DRIFT = 77, 5


def text_of(values: list[float | None]) -> str:
    return ", ".join("-" if value is None else f"{value:.3f}" for value in values)


def judged(repsim: Path, plan: Path, *flags: str) -> dict:
    command = [str(repsim), "verify", str(plan), "--json", "--quiet", *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, DRIFT):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def rows(repsim: Path, plan: Path, engines: list[str], threads: int, folder: Path):
    inputs, outputs, facts = folder / "inputs.npz", folder / "outputs.npz", folder / "facts.json"
    torch = judged(repsim, plan, "--dump-inputs", str(inputs))
    merged = text_of([model["fidelity"]["value"] for model in torch["models"]])
    sizes = json.loads((plan / "plan.json").read_text())
    originals = sum(Path(model["path"]).stat().st_size for model in sizes["models"])
    yield [plan.name, "Torch fp32", "1", merged, f"{originals:,}", f"{sizes['bundle']['bytes']:,}", "", ""]
    for engine in engines:
        for precision in PRECISIONS[engine]:
            command = [sys.executable, HERE / "run_engine.py", plan, "--inputs", inputs, "--out", outputs, "--engine", engine,
                       "--precision", precision, "--json", facts, "--threads", threads]  # fmt: skip
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
            if done.returncode == SKIPPED:
                print(done.stdout.strip(), file=sys.stderr)
                continue
            if done.returncode != 0:
                problem = next((line for line in done.stderr.splitlines() if line.startswith("error:")), done.stderr[-200:])
                yield [plan.name, f"{engine} {precision}", problem.removeprefix("error: "), "", "", "", "", ""]
                continue
            models = judged(repsim, plan, "--engine-outputs", str(outputs))["models"]
            cost = json.loads(facts.read_text())
            every = cost["models"].values()
            yield [plan.name, f"{engine} {precision}", text_of([m["engine"]["original"]["value"] for m in models]),
                   text_of([m["engine"]["bundle"]["value"] for m in models]), f"{sum(o['bytes'] for o in every):,}",
                   f"{cost['bundle']['bytes']:,}", f"{sum(o['ms_per_frame'] for o in every):.2f}",
                   f"{cost['bundle']['ms_per_frame']:.2f}"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", type=Path, nargs="+")
    parser.add_argument("--repsim", type=Path, required=True)
    parser.add_argument("--engine", action="append", choices=list(ENGINES))
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    titles = ["plan", "engine", "fidelity of the originals", "fidelity of the bundle", "bytes of the originals", "of the bundle",
              "ms of the originals", "of the bundle"]  # fmt: skip
    print("| " + " | ".join(titles) + " |\n" + "| --- " * len(titles) + "|", flush=True)
    for plan in args.plans:
        with tempfile.TemporaryDirectory(prefix="repsim-engines-") as folder:
            for row in rows(args.repsim.resolve(), plan, args.engine or list(ENGINES), args.threads, Path(folder)):
                print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
