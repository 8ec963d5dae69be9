#!/usr/bin/env python3
"""Runs a plan's originals and its bundle on another engine, for `repsim verify --engine-outputs`.

    repsim verify plan --dump-inputs inputs.npz
    run_engine.py plan --inputs inputs.npz --out outputs.npz --engine onnxruntime|openvino|ncnn|tensorrt --precision fp32|fp16|int8
    repsim verify plan --engine-outputs outputs.npz

The engine gets one frame at a time. int8 is the engine's own post-training quantisation, on the calibration frames of
inputs.npz. Prints bytes and milliseconds per frame; --json FILE writes them. Needs scripts/setup.sh --with-runtimes, TensorRT
an NVIDIA GPU and the package tensorrt. Ends with 77 where a package is missing. docs/runtimes.md has the form of the files.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from backends import ENGINES, PRECISIONS, TAKES_INTEGERS, Frames, has_nvidia_gpu, missing_packages, working_folder  # noqa: E402
from runtimes.bundle import Flat, fail, open_bundle, open_original, read  # noqa: E402

SKIPPED = 77
CALIBRATION = "calibration_"


def frames_of(arrays: dict[str, np.ndarray], flat: Flat, prefix: str = "") -> Frames:
    """Per frame what the module takes, with a batch dimension of one."""
    names = [one.name for one in flat.inputs]
    for name in names:
        if prefix + name not in arrays:
            fail(f"the inputs have no array '{prefix + name}'", "write them again: repsim verify PLAN --dump-inputs FILE")
        if arrays[prefix + name].dtype != np.float32:
            fail(f"{name}: takes {arrays[prefix + name].dtype}; only float32 inputs can be exported")
    count = len(arrays[prefix + names[0]])
    return [{name: arrays[prefix + name][i : i + 1] for name in names} for i in range(count)]


def constants(whole: Flat, kept: Flat, frames: Frames) -> dict[tuple[str, int], np.ndarray]:
    """Outputs that an engine leaves out, where they are the same for every frame (the labels of a detector of one class)."""
    places = [place for place in whole.places if place not in kept.places]
    found: dict[tuple[str, int], np.ndarray] = {}
    for frame in frames:
        values = whole.run([torch.from_numpy(frame[one.name]) for one in whole.inputs])
        for place, value in zip(whole.places, values):
            if place not in places:
                continue
            if place in found and not np.array_equal(found[place], value.numpy()):
                fail(f"the engine computes no integers, and output {place[1]} of {place[0]} changes with the frame", "--format tensor, or another engine")
            found[place] = value.numpy()
    return found


def run_module(opened, engine: str, precision: str, arrays: dict, threads: int) -> tuple[dict, int, float]:
    """Opens a flat module, converts and runs it. @return outputs by (model, place), bytes, median milliseconds."""
    whole, flat = opened(True), opened(engine in TAKES_INTEGERS)
    frames = frames_of(arrays, flat)
    calibration = frames_of(arrays, flat, CALIBRATION) if precision == "int8" else []
    fixed = constants(whole, flat, frames) if len(flat.places) < len(whole.places) else {}
    # `whole`, not `flat`: pnnx crashes on a module that ran before.
    returned = dict(zip(whole.places, whole.run([torch.from_numpy(frames[0][one.name]) for one in whole.inputs])))
    shapes = [tuple(returned[place].shape) for place in flat.places]
    with working_folder() as folder:
        runner = ENGINES[engine](flat, Path(folder), precision, calibration, threads)
        outputs: dict[tuple[str, int], list[np.ndarray]] = {place: [] for place in whole.places}
        times = []
        for number in range(-3, len(frames)):  # three to warm up
            images = {name: image for name, image in frames[max(number, 0)].items() if name in runner.names}
            begin = time.perf_counter()
            found = runner.run(images)
            if number < 0:
                continue
            times.append(1000 * (time.perf_counter() - begin))
            for place, shape, value in zip(flat.places, shapes, found):
                outputs[place].append(np.asarray(value).reshape(shape))
            for place, value in fixed.items():
                outputs[place].append(value)
        return outputs, runner.bytes, float(np.median(times))


def stacked(values: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(values) if values[0].ndim > 0 and values[0].shape[0] == 1 else np.stack(values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="the folder of a plan")
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", choices=list(ENGINES), required=True)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--threads", type=int, default=0, help="0: as the engine decides")
    parser.add_argument("--json", type=Path, help="also write bytes and times here")
    args = parser.parse_args()
    if args.precision not in PRECISIONS[args.engine]:
        fail(f"{args.engine} does not run in {args.precision} here", f"--precision {' or '.join(PRECISIONS[args.engine])}")
    if missing := missing_packages(args.engine):
        print(f"skipped: {', '.join(missing)} not installed (scripts/setup.sh --with-runtimes; tensorrt: pip install tensorrt)")
        return SKIPPED
    if args.engine == "tensorrt" and not (has_nvidia_gpu() and torch.cuda.is_available()):
        print("skipped: TensorRT needs an NVIDIA GPU, and torch with CUDA")
        return SKIPPED
    if not args.inputs.is_file():
        fail(f"{args.inputs}: no such file", "repsim verify PLAN --dump-inputs FILE writes it")
    with np.load(args.inputs) as file:
        arrays = {name: file[name] for name in file.files}
    plan = json.loads((args.plan / "plan.json").read_text())
    bundle = args.plan / "bundle.pt"
    _, manifest = read(bundle)
    paths = {model["name"]: Path(model["path"]) for model in plan["models"]}
    written, facts = {"frames": arrays["frames"]}, {"engine": args.engine, "precision": args.precision, "models": {}}
    for model in manifest["models"]:
        opened = lambda integers, model=model: open_original(paths[model["name"]], manifest, model, integers)  # noqa: E731
        outputs, size, ms = run_module(opened, args.engine, args.precision, arrays, args.threads)
        written |= {f"original/{name}/{i}": stacked(values) for (name, i), values in outputs.items()}
        facts["models"][model["name"]] = {"bytes": size, "ms_per_frame": ms}
    opened = lambda integers: open_bundle(bundle, integers=integers)  # noqa: E731
    outputs, size, ms = run_module(opened, args.engine, args.precision, arrays, args.threads)
    written |= {f"bundle/{name}/{i}": stacked(values) for (name, i), values in outputs.items()}
    facts["bundle"] = {"bytes": size, "ms_per_frame": ms}
    np.savez(args.out, **written)
    originals = facts["models"].values()
    print(f"{args.engine} {args.precision}: originals {sum(o['bytes'] for o in originals)} bytes, {sum(o['ms_per_frame'] for o in originals):.2f} ms per frame; "
          f"bundle {size} bytes, {ms:.2f} ms")  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(facts, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
