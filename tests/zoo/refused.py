#!/usr/bin/env python3
"""What repsim says of files that it cannot take: a table of messages, docs/research/refused.md.

    python tests/zoo/refused.py --repsim build/release/bin/repsim --work FOLDER [--doc docs/research/refused.md]

Needs torch. Every file is made here; `repsim inspect` has to end with exit code 3 and a message with a remedy, else this ends
with 1.
"""
import argparse
import gzip
import io
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict

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


class OnGpu(Small):
    def forward(self, x):
        return self.conv(x.to("cuda:0")).to("cpu")


class Doubles(Small):
    def __init__(self):
        super().__init__()
        self.double()


class Channels(torch.nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, 4, 3)

    def forward(self, x):
        return self.conv(x)


class Batch(Small):
    def forward(self, x):
        return self.conv(x).view(8, 3600)


class DictInput(Small):
    def forward(self, x: Dict[str, torch.Tensor]):
        return self.conv(x["image"])


class Asserts(Small):
    def forward(self, x):
        assert x.size(0) == 8
        return self.conv(x)


class Huge(Small):
    def forward(self, x):
        return self.conv(x) + torch.zeros(1 << 22, 1 << 22).sum()


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


def traced(module: torch.nn.Module, frames: int) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(module.eval(), torch.rand(frames, 3, 32, 32)), buffer)
    return buffer.getvalue()


def saved(value: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def safetensors() -> bytes:
    header = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return len(header).to_bytes(8, "little") + header + bytes(4)


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("model.pt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
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
    "a Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 123\n",
    "a web page": lambda: b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
    "an ONNX model": lambda: b"\x08\x08\x12\x07pytorch\x1a\x052.0.0",
    "safetensors": safetensors,
    "a gzip file": lambda: gzip.compress(GOOD.read_bytes()),
    "a tar archive": lambda: tarred(GOOD.read_bytes()),
    "another zip archive": lambda: zipped({"word/document.xml": b"<w/>"}),
    "a zip archive with the model in it": lambda: zipped({"weights/best.pt": GOOD.read_bytes()}),
    "an empty zip archive": lambda: zipped({}),
    "a state_dict": lambda: saved(Small().state_dict()),
    "a state_dict in the form before Torch 1.6": lambda: saved(Small().state_dict(), _use_new_zipfile_serialization=False),
    "a checkpoint with a state_dict": lambda: saved({"epoch": 3, "model": Small().state_dict()}),
    "a pickle": lambda: pickle.dumps({"weights": [1.0, 2.0]}),
    "a Python module saved whole": lambda: saved(Small()),
    "an exported program (.pt2)": exported,
    "a module whose forward raises": lambda: scripted(Raises()),
    "a module that asserts something": lambda: scripted(Asserts()),
    "a module with a GPU in its code": lambda: scripted(OnGpu()),
    "a module that was traced with 8 frames": lambda: traced(Batch(), 8),
    "a module of one channel": lambda: scripted(Channels(1)),
    "a module of four channels": lambda: scripted(Channels(4)),
    "a module in float64": lambda: scripted(Doubles()),
    "a module that takes a dict": lambda: scripted(DictInput()),
    "a module that asks for 70 TB": lambda: scripted(Huge()),
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
