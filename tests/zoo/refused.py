#!/usr/bin/env python3
"""What repsim says of files that it cannot take: a table of messages, docs/research/refused.md.

    python tests/zoo/refused.py --repsim build/release/bin/repsim --work FOLDER [--doc docs/research/refused.md]

Needs torch. Every file is made here; `repsim inspect` has to end with exit code 3 and a message with a remedy, else this ends
with 1.
"""
import argparse
import io
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
GOOD = ROOT / "demo" / "plain.pt"


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x)


class Raises(Small):
    def forward(self, x):
        if x.size(0) > 0:
            raise ValueError("no picture is good enough")
        return self.conv(x)


class Random(Small):
    def forward(self, x):
        return self.conv(x) + torch.rand(1)


class NoOutput(Small):
    def forward(self, x):
        return "nothing found"


class TwoInputs(Small):
    def forward(self, x, y):
        return self.conv(x) + self.conv(y)


class NotANumber(Small):
    def forward(self, x):
        return (self.conv(x) - 1000.0).sqrt()


class FixedSize(Small):
    def forward(self, x):
        return self.conv(x).reshape(1, 4, 62 * 62)


class Halve(Small):
    def forward(self, x):
        return torch.ops.my_ops.halve(self.conv(x))


class Suppresses(Small):
    def forward(self, x):
        return torch.ops.torchvision.nms(x[0, 0, :, 0:4], x[0, 0, :, 4], 0.5)


def with_operators(module: type) -> bytes:
    """Needs operators that are defined here and nowhere else."""
    libraries = [torch.library.Library(name, "FRAGMENT") for name in ("my_ops", "torchvision")]
    libraries[0].define("halve(Tensor x) -> Tensor")
    libraries[1].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return scripted(module())


def optimised() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.optimize_for_inference(torch.jit.script(Small().eval())), buffer)
    return buffer.getvalue()


def scripted(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def exported() -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Small().eval(), (torch.zeros(1, 3, 32, 32),)), buffer)
    return buffer.getvalue()


def zipped(records: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def flipped() -> bytes:
    data = bytearray(GOOD.read_bytes())
    data[len(data) // 2] ^= 0x10
    return bytes(data)


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"\0" * (1 << 28))
    return buffer.getvalue()


FILES = {
    "an empty file": lambda: b"",
    "text": lambda: b"epoch,loss\n1,0.3\n",
    "a download cut short": lambda: GOOD.read_bytes()[: GOOD.stat().st_size // 2],
    "one bit flipped": flipped,
    "a record that unpacks to far more than the file": bomb,
    "another zip archive": lambda: zipped({"word/document.xml": b"<w/>"}),
    "a state_dict": lambda: saved(Small().state_dict()),
    "a checkpoint with a state_dict": lambda: saved({"epoch": 3, "model": Small().state_dict()}),
    "a pickle": lambda: pickle.dumps({"weights": [1.0, 2.0]}),
    "a Python module saved whole": lambda: saved(Small()),
    "an exported program (.pt2)": exported,
    "a module whose forward raises": lambda: scripted(Raises()),
    "a module that draws random numbers": lambda: scripted(Random()),
    "a module that returns no tensor": lambda: scripted(NoOutput()),
    "a module of two inputs": lambda: scripted(TwoInputs()),
    "a module that returns NaN": lambda: scripted(NotANumber()),
    "a module for another size": lambda: scripted(FixedSize()),
    "a module with an operator of some library": lambda: with_operators(Halve),
    "a module with an operator of torchvision": lambda: with_operators(Suppresses),
    "a module after optimize_for_inference": optimised,
    "a module after optimize_for_mobile": (ROOT / "tests/fixtures/zoo/torch-1.8/mobile.pt").read_bytes,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repsim", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--doc", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    path = args.work / "model.pt"
    lines = ["# Refused", "", "This page lists what repsim says of files that it cannot take (exit code 3). `tests/zoo/refused.py` writes it.", "",
             "| file | error | remedy |", "| --- | --- | --- |"]  # fmt: skip
    bad = 0
    for what, make in FILES.items():
        path.write_bytes(make())
        done = subprocess.run([args.repsim.resolve(), "inspect", path.name, "--input", "32x32"], cwd=args.work, capture_output=True,
                              text=True, timeout=120)  # fmt: skip
        found = {key: re.search(rf"{key}: +(.*)", done.stderr) for key in ("error", "remedy")}
        if done.returncode != 3 or not all(found.values()):
            bad += 1
            print(f"{what}: exit code {done.returncode}\n{done.stderr}", file=sys.stderr)
        cells = [(match.group(1) if match else "NONE").replace("|", "\\|") for match in found.values()]
        lines.append(f"| {what} | {cells[0]} | {cells[1]} |")
    text = ("\n".join(lines) + "\n").replace(f"{Path(__file__).resolve().parents[2]}/", "")  # paths of nobody's machine
    print(text)
    if args.doc:
        args.doc.write_text(text)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
