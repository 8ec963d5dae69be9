#!/usr/bin/env python3
"""A bundle of repsim for ncnn, checked with ncnn itself.

    bundle_to_ncnn.py BUNDLE.pt OUT [--model NAME]          writes OUT.param and OUT.bin, float32

Inputs are called images (or images_<model> where models take different ones), outputs <model>_boxes, <model>_scores, else
<model>_<place>; neither has a batch dimension, and integer outputs are left out: ncnn computes floating point numbers. On
random pictures every output has to equal the bundle's to 1e-4 of its scale; else nothing is written. Needs
scripts/setup.sh --with-runtimes. docs/runtimes.md has the limits.
"""
import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch

from runtimes.bundle import Flat, compare, fail, open_bundle
from runtimes.specialise import specialise


def convert(flat: Flat, folder: Path, fp16: bool = False) -> tuple[Path, Path]:
    """The two files of ncnn. Specialised first: ncnn computes no sizes, and pnnx takes no tuples apart."""
    import pnnx

    images = flat.example(0)
    specialise(flat.module, images).save(str(folder / "bundle.pt"))
    shapes = ",".join("[" + ",".join(map(str, image.shape)) + "]" for image in images)
    command = [pnnx.EXEC_PATH, "bundle.pt", f"inputshape={shapes}", f"fp16={int(fp16)}", "device=cpu"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    param, weights = folder / "bundle.ncnn.param", folder / "bundle.ncnn.bin"
    if done.returncode != 0 or not param.is_file() or not weights.is_file():
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        fail(f"pnnx ended with {done.returncode}: {' / '.join(said)}", "--model NAME for one model may do")
    return param, weights


def rename(flat: Flat, param: Path) -> None:
    """The names of the blobs, and a word on layers that ncnn does not have. A line: type, name, number of inputs and of
    outputs, their blobs, then options with a = inside."""
    names = {f"in{i}": one.name for i, one in enumerate(flat.inputs)}
    names |= {f"out{i}": name for i, name in enumerate(flat.outputs)}
    lines = param.read_text().splitlines()
    unknown = sorted({line.split()[0] for line in lines[2:] if "." in line.split()[0] or "::" in line.split()[0]})
    if unknown:
        fail(f"ncnn has no layers for: {', '.join(unknown)}", "--model NAME for a model without them may do")
    for number, line in enumerate(lines[2:], 2):
        words = line.split()
        last = 4 + int(words[2]) + int(words[3])
        words[4:last] = [names.get(word, word) for word in words[4:last]]
        lines[number] = f"{words[0]:<24} {words[1]:<24} {' '.join(words[2:])}"
    param.write_text("\n".join(lines) + "\n")


def check(flat: Flat, param: Path, weights: Path, tolerance: float) -> list[str]:
    import ncnn

    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) != 0 or net.load_model(str(weights)) != 0:
        return ["ncnn cannot load the result"]
    problems = []
    for seed in (1, 2):
        print(f"noise {seed}")
        images = flat.example(seed)
        extractor = net.create_extractor()
        for one, image in zip(flat.inputs, images):
            picture = np.ascontiguousarray(image[0].numpy())
            extractor.input(one.name, ncnn.Mat(picture).clone())  # without the clone it would point into the array
        found, blob = [], None
        for name in flat.outputs:
            code, blob = extractor.extract(name)
            if code != 0:
                problems.append(f"ncnn cannot compute {name}")
                break
            found.append(torch.from_numpy(np.array(blob))[None])
        del blob, extractor  # before the net, which owns their memory
        if problems:
            break
        problems += compare(flat, images, found, tolerance)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path, help="without ending")
    parser.add_argument("--model", help="only this model, with what it takes from its donors")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of an output's largest magnitude (1e-4)")
    args = parser.parse_args()
    if not args.out.absolute().parent.is_dir():
        fail(f"{args.out.absolute().parent}: no such folder")
    try:
        import ncnn  # noqa: F401
        import pnnx  # noqa: F401
    except ImportError as error:
        fail(f"the package {error.name} is missing", "scripts/setup.sh --with-runtimes")
    flat = open_bundle(args.bundle, args.model, integers=False)
    if flat.left_out:
        print(f"left out, because they are integers: {', '.join(flat.left_out)}")
    with tempfile.TemporaryDirectory(dir=args.out.absolute().parent, prefix=".ncnn-") as folder:
        param, weights = convert(flat, Path(folder))
        rename(flat, param)
        problems = check(flat, param, weights, args.tolerance)
        if problems:
            fail("the converted model gives other outputs, nothing was written:\n  " + "\n  ".join(problems))
        size = param.stat().st_size + weights.stat().st_size
        os.replace(weights, f"{args.out}.bin")
        os.replace(param, f"{args.out}.param")
    print(f"{args.out}.param and .bin: {size} bytes, equal to the bundle")


if __name__ == "__main__":
    main()
