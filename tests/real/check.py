#!/usr/bin/env python3
"""The main job on real, trained detectors, judged by an independent referee.

    python tests/real/check.py REPSIM [--keep DIR]

Needs the folder ../shared/real (or $REPSIM_SHARED/real) with export_models.py, referee.py and the ground truth; exits with
77 (skipped) where it is missing, or where this Python has no torch, numpy or cv2. Checks, each with its figures on stdout:
  1. FastestDet with its whole backbone from Yolo-FastestV2: at least 25 % of both models' parameter bytes gone, the
     referee's fidelity and AP of the written bundle within 0.01 of what plan.json says, the donor's head bit-identical.
  2. S of the three pyramid layers of both backbones, as the referee computes it in float64 from raw activations, to 1e-5.
  3. The traced exports lead to the same cut as the scripted ones.
"""
import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("REPSIM_SHARED", ROOT.parent / "shared")) / "real"
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
PYTHON = sys.executable
NAMES = ("fastestdet", "yolofastestv2")


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\nexited with {done.returncode}\n{done.stderr}")
    return done.stdout


def plan(repsim, models, video, out, *more):
    inputs = ["--input", "352x352,bgr,stretch"]
    run(repsim, "plan", *models, *inputs, "--video", video, "--out", out, "--quiet", *more)
    return json.loads((out / "plan.json").read_text())


def figure(text, name):
    return float(re.search(rf"^{name} ([0-9.]+)", text, re.M).group(1))


def check(condition, text):
    print(("ok    " if condition else "FAILED ") + text, flush=True)
    return bool(condition)


def check_backbone(repsim, work):
    """The whole backbone forced from one detector to the other, and the referee's word on it."""
    truth = SHARED / "gt" / "pets09-s2l1.txt"
    models = [work / f"{name}.pt" for name in NAMES]
    out = work / "forced"
    result = plan(repsim, models, VIDEO, out, "--share", "fastestdet<-yolofastestv2", "--min-fidelity", "0.7", "--layers",
                  "backbone.*", "--truth", truth)
    before, after = result["totals"]["before"]["bytes"], result["totals"]["after"]["bytes"]
    good = check(after <= 0.75 * before, f"parameter bytes {before} -> {after} ({100 - 100 * after / before:.1f} % gone)")
    share = result["shares"][0]
    removed = {name for name in share["removed_layers"] if name.startswith("backbone.")}
    layers = json.loads(run(repsim, "inspect", models[0], "--input", "352x352", "--json", "--quiet"))["layers"]
    whole = {layer["name"] for layer in layers if layer["name"].startswith("backbone.")}
    good &= check(removed == whole, f"all {len(whole)} backbone layers of {share['receiver']} are gone")
    frames = ",".join(map(str, result["frames"]["holdout"]))
    for head, name in enumerate(NAMES):
        text = run(PYTHON, SHARED / "referee.py", "ap", out / "bundle.pt", "--head", head, "--against", models[head], "--truth",
                   truth, "--frames", frames, VIDEO)
        entry = result["models"][head]
        fidelity, ap = figure(text, "fidelity"), figure(text, "AP50")
        said, said_ap = entry["fidelity"]["value"], entry["accuracy"]["merged"]
        good &= check(abs(fidelity - said) <= 0.01, f"{name}: fidelity {said:.4f}, referee {fidelity:.4f}")
        good &= check(abs(ap - said_ap) <= 0.01, f"{name}: AP50 {said_ap:.4f}, referee {ap:.4f}")
    good &= check(result["models"][1]["fidelity"]["bit_identical"], "the donor's head is bit-identical to its own model")
    return good


def check_similarity(repsim, work):
    """S against the referee's float64 value, on a video without loss so that two decoders see the same pixels."""
    import cv2
    import numpy as np
    import torch

    video = work / "lossless.png"  # PNG pictures one after the other
    source, count = cv2.VideoCapture(str(VIDEO)), 0
    with video.open("wb") as file:
        while count < 64:
            ok, image = source.read()
            source.grab(), source.grab()
            if not ok:
                break
            file.write(cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
            count += 1
    models = [work / f"{name}.pt" for name in NAMES]
    out = work / "similarity"
    result = plan(repsim, models, video, out, "--frames", 64, "--max-trials", 1, "--min-fidelity", 0)
    indices = result["frames"]["calibration"]
    batches = len(indices) // 16
    order = [indices[k + i * batches] for k in range(batches) for i in range(16)]
    pictures, reader = {}, cv2.VideoCapture(str(video))
    for index in range(count):
        pictures[index] = reader.read()[1]
    layers = ("backbone.stage2.3:cat", "backbone.stage3.7:cat", "backbone.stage4.3:cat")
    for name, path in zip(NAMES, models):
        backbone, rows = torch.jit.load(str(path)).eval().backbone, [[], [], []]
        for index in order:
            x = torch.from_numpy(cv2.resize(pictures[index], (352, 352))).permute(2, 0, 1)[None].float() / 255
            with torch.inference_mode():
                for row, level in zip(rows, backbone(x)):
                    row.append(level.flatten().numpy())
        for layer, row in enumerate(rows):
            np.save(work / f"{name}{layer}.npy", np.stack(row))
    matrix = json.loads((out / "similarity.json").read_text())["matrices"][0]
    good = True
    for a, first in enumerate(layers):
        for b, second in enumerate(layers):
            text = run(PYTHON, SHARED / "referee.py", "cka", work / f"{NAMES[0]}{a}.npy", work / f"{NAMES[1]}{b}.npy")
            said = matrix["values"][matrix["rows"].index(first)][matrix["cols"].index(second)]
            wanted = figure(text, "minibatch")
            good &= check(abs(said - wanted) <= 1e-5, f"S of {first} and {second}: {said:.6f}, referee {wanted:.8f}")
    return good


def check_traced(repsim, work):
    """Scripted and traced exports of the same models are cut at the same layers."""
    replaced = []
    for suffix in (".pt", ".traced.pt"):
        models = [f"--model={name}={work / (name + suffix)}" for name in NAMES]
        result = plan(repsim, models, VIDEO, work / f"plan{suffix}", "--frames", 64, "--min-fidelity", 0.7, "--share",
                      "fastestdet<-yolofastestv2", "--max-trials", 4)
        replaced.append([(r["receiver_layer"], r["donor_layer"]) for s in result["shares"] for r in s["replaced"]])
    return check(replaced[0] and replaced[0] == replaced[1], f"scripted and traced share {replaced[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repsim", type=Path)
    parser.add_argument("--keep", type=Path, help="work in this folder and leave everything there")
    args = parser.parse_args()
    if not (SHARED / "referee.py").exists():
        print(f"skipped: no real detectors at {SHARED} (set REPSIM_SHARED)")
        return 77
    lacking = [module for module in ("torch", "numpy", "cv2") if importlib.util.find_spec(module) is None]
    if lacking:
        print(f"skipped: {PYTHON} has no {', '.join(lacking)}; scripts/setup.sh makes a .venv that has them")
        return 77
    with tempfile.TemporaryDirectory() as temporary:
        work = args.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        run(PYTHON, SHARED / "export_models.py", work)
        repsim = args.repsim.resolve()
        results = [step(repsim, work) for step in (check_backbone, check_similarity, check_traced)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
