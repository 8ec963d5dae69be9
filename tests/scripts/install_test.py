#!/usr/bin/env python3
"""Installs a build, moves it, and uses it without this environment. Python's standard library only.

    tests/scripts/install_test.py --build build/release

Exit code: 0 all well, 1 not, 77 skipped where the build installs no copy of LibTorch.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("repsim", "repsim-plan", "repsim-doctor", "repsim-completion")
OTHERS = ("share/bash-completion/completions/repsim", "share/zsh/site-functions/_repsim",
          "share/fish/vendor_completions.d/repsim.fish", "share/repsim/repsim.schema.json",
          "share/repsim/plan.schema.json", "share/repsim/measure.schema.json", "share/repsim/sweep.schema.json",
          "share/doc/repsim/LICENSE")  # fmt: skip


def run(words, folder):
    done = subprocess.run(words, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def check(prefix: Path, elsewhere: Path) -> list[str]:
    """What is wrong with an installed tree."""
    program = prefix / "bin/repsim"
    link = elsewhere / "repsim"
    link.symlink_to(program)
    problems = [f"{path} is missing" for path in OTHERS if not (prefix / path).is_file()]
    problems += [f"{page}.1 is missing" for page in PAGES if not (prefix / f"share/man/man1/{page}.1").is_file()]
    for words in ([program], [link], [os.path.relpath(program, elsewhere)]):
        code, stdout, stderr = run([*words, "--version"], elsewhere)
        if code != 0 or "LibTorch" not in stdout:
            problems.append(f"{words}: exit {code}: {stderr}")
    loaded = run(["ldd", program], elsewhere)[1]
    torch = re.search(r"libtorch_cpu\.so => (.*) \(", loaded)
    if torch is None or not Path(torch[1]).resolve().is_relative_to(prefix):
        problems.append(f"LibTorch is not the tree's own: {torch and torch[1]}")
    code, stdout, stderr = run([program, "inspect", ROOT / "tests/fixtures/small.pt", "--input", "48x48", "--json"], elsewhere)
    if code != 0 or '"layers"' not in stdout:
        problems.append(f"inspect: exit {code}: {stderr}")
    for file in [program, *(prefix / "share").rglob("*")]:
        if file.is_file() and str(prefix.parent / "first").encode() in file.read_bytes():
            problems.append(f"{file} names the folder into which it was installed")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build.resolve()
    if "REPSIM_INSTALL_TORCH:BOOL=ON" not in (build / "CMakeCache.txt").read_text():
        print("skipped: this build installs no copy of LibTorch (REPSIM_INSTALL_TORCH)")
        return 77
    with tempfile.TemporaryDirectory(prefix="repsim-install-") as name:
        folder = Path(name).resolve()
        subprocess.run(["cmake", "--install", build, "--prefix", folder / "first"], check=True, capture_output=True)
        (folder / "first").rename(folder / "moved here")
        (folder / "elsewhere").mkdir()
        problems = check(folder / "moved here", folder / "elsewhere")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print("an installed tree works after it was moved" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
