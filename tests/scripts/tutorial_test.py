#!/usr/bin/env python3
"""Does what docs/tutorial.md says: writes its files, runs its commands in their order.

    tutorial_test.py --binary build/release/bin/repsim

An indented block is a file where the paragraph before it says "Save this as `NAME`", else it is a list of commands. All
commands have to end with 0, and the C++ program has to print what the Python program prints. Exit code 77: skipped,
since this Python lacks torch or OpenCV, or the video of opencv-doc is missing.
"""
import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
FILE = re.compile(r"Save this as `([^`]+)`(?: in a folder of its own, `([^`]+)`)?")


def blocks(page: str) -> list[tuple[str, str]]:
    """Indented blocks, each with the paragraph before it."""
    found, paragraph, block, last = [], "", [], ""
    for line in [*page.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        else:
            if block:
                found.append((paragraph, "\n".join(block).rstrip() + "\n"))
                block, paragraph = [], ""
            if line:
                paragraph = f"{paragraph} {line}" if last and paragraph else line
        last = line
    return found


def paragraphs_are_kept() -> None:
    """A blank line ends a paragraph, but a block's paragraph is the one before that blank line."""
    assert blocks("Save this as `a`:\n\n    x\n\n    y\nText.\n\n    z\n") == [("Save this as `a`:", "x\n\ny\n"), ("Text.", "z\n")]


class Tutorial:
    def __init__(self, folder: Path, binary: Path):
        self.folder, self.outputs = folder, {}
        names = folder / "names"
        names.mkdir()
        (names / "repsim").symlink_to(binary)
        # Not a link: Python finds its packages beside the path that it was started with.
        (names / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (names / "python").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{names}:{os.environ['PATH']}"}
        for name in ("scripts", "demo", "cmake"):
            (folder / name).symlink_to(ROOT / name)

    def write(self, name: str, inner: str | None, text: str) -> None:
        target = self.folder / (inner or "") / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        if inner:
            shutil.copy(self.folder / "run.cpp", target.parent)

    def run(self, command: str) -> None:
        print(f"$ {command}", flush=True)
        done = subprocess.run(command, shell=True, cwd=self.folder, env=self.environment, text=True, capture_output=True)
        if done.returncode != 0:
            sys.exit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        self.outputs[command] = done.stdout

    def follow(self) -> None:
        for paragraph, block in blocks(PAGE.read_text()):
            file = FILE.search(paragraph)
            if file:
                self.write(file[1], file[2], block)
                continue
            for command in block.splitlines():
                if not command.startswith("export PATH="):
                    self.run(command)

    def check(self) -> None:
        programs = {command.split()[0]: text for command, text in self.outputs.items() if "bundle.pt" in command}
        python, cpp = (programs[name].split() for name in ("python", "box/build/box"))
        assert len(python) == len(cpp) == 3 * 2 * 7, programs
        differences = [abs(float(a) - float(b)) for a, b in zip(python, cpp)]
        assert max(differences) < 0.002, programs  # decoders and libraries round in their own ways


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path, required=True)
    args = parser.parse_args()
    paragraphs_are_kept()
    missing = [name for name in ("torch", "cv2") if importlib.util.find_spec(name) is None]
    if missing or not VIDEO.exists():
        print(f"skipped: {' and '.join(missing) or VIDEO} missing")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        tutorial = Tutorial(Path(folder), args.binary.resolve())
        tutorial.follow()
        tutorial.check()


if __name__ == "__main__":
    main()
