#!/usr/bin/env python3
"""Make the embedded demo's person detectors: demo/plain.pt, demo/mobile.pt, demo/residual.pt.

    make_demo_models.py --out demo [--video V] [--only NAME] [--labels FILE]

No human label is used. Pedestrian pseudo-labels for the first half of a fixed camera's video come from OpenCV's HOG
people detector, the moving foreground and tracking (demo/labels.py); the detectors (demo/models.py) are trained on them
from scratch (demo/train.py). Everything runs on one CPU thread with a fixed seed, so that the same torch build on the
same kind of machine gives the same models. CPU minutes: about 6 for the labels, 4 for plain, 15 for mobile, 6 for
residual.

Needs torch, numpy and opencv-python-headless < 5 (later versions have no HOG detector).
"""
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and OpenCV are loaded

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from demo.archive import archive
from demo.labels import FrameLabels, hog_windows, label, read_video
from demo.models import MODELS
from demo.train import train

DEFAULT_VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")  # Debian's opencv-doc
TRAINING_FRAMES = 398  # the first half; the second is for evaluation
STEPS = {"plain": 800, "mobile": 1800, "residual": 800}
SEED = 1


def make_labels(frames: np.ndarray) -> list[FrameLabels]:
    windows = []
    for index, found in enumerate(hog_windows(frames)):
        windows.append(found)
        if (index + 1) % 50 == 0:
            print(f"  HOG {index + 1}/{len(frames)}", flush=True)
    return label(frames, windows)


def save_labels(path: Path, labels: list[FrameLabels]) -> None:
    rows = [(f, kind, *box) for f, l in enumerate(labels) for kind, boxes in enumerate((l.people, l.ignored)) for box in boxes]
    with path.open("wb") as file:  # given a name, numpy would add .npy
        np.save(file, np.array(rows))


def load_labels(path: Path) -> list[FrameLabels]:
    rows = np.load(path)
    select = lambda frame, kind: rows[(rows[:, 0] == frame) & (rows[:, 1] == kind), 2:]
    return [FrameLabels(select(f, 0), select(f, 1)) for f in range(TRAINING_FRAMES)]


def cached_labels(path: Path | None, frames: np.ndarray) -> list[FrameLabels]:
    if path and path.exists():
        return load_labels(path)
    labels = make_labels(frames)
    if path:
        save_labels(path, labels)
    return labels


def write(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)


def make_model(name: str, out: Path, frames: np.ndarray, labels: list[FrameLabels]) -> None:
    started = time.process_time()
    torch.manual_seed(SEED)
    content = archive(name, train(MODELS[name](), frames, labels, STEPS[name], SEED))
    write(out / f"{name}.pt", content)
    print(f"{name}.pt: {len(content)} bytes, {(time.process_time() - started) / 60:.1f} CPU minutes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--video", type=Path, default=DEFAULT_VIDEO, help="default: %(default)s")
    parser.add_argument("--only", choices=MODELS, help="make this model only")
    parser.add_argument("--labels", type=Path, help="cache of the pseudo-labels: read if it exists, else written")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    frames = read_video(args.video, 0, TRAINING_FRAMES)
    labels = cached_labels(args.labels, frames)
    print(f"{sum(len(l.people) for l in labels) / len(labels):.2f} people a frame", flush=True)
    for name in [args.only] if args.only else MODELS:
        make_model(name, args.out, frames, labels)


if __name__ == "__main__":
    main()
