#!/usr/bin/env python3
"""Person AP50 of a TorchScript detector on a video, or how well it agrees with another one.

    evaluate_detector.py MODEL.pt --truth gt.txt [--video V] [--frames START:STOP:STEP] [--input 320x240]
    evaluate_detector.py MODEL.pt --against OWN.pt [--threshold T] …

The model takes float32 [1, 3, H, W], BGR, values 0..1, the frame stretched to --input, else to the size that config.txt in its
archive gives (imgsz: [H, W]), and returns (boxes xyxy 0..1, scores, labels); label 0 is the person. Scores >= 0.01, NMS
at IoU 0.45 and at most 300 boxes per label, AP by all-point interpolation. Frames count from 0, as in the video; the truth's first frame is 1.
--against prints the fidelity: AP50, pooled over labels, against OWN's detections of score >= T (0.35), where what meets
only one of a score from T/5 to T counts neither way.
"""
import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

MIN_SCORE, NMS_IOU, MATCH_IOU, MOST, PERSON = 0.01, 0.45, 0.5, 300, 0
DEFAULT_VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
NOTHING = (np.zeros((0, 4)), np.zeros(0))

Found = dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]  # (frame, label) -> boxes, scores
Boxes = dict[tuple[int, int], np.ndarray]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of all pairs of a [n, 4] and b [m, 4]."""
    size = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None)
    inter = size.prod(axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-12)


def nms(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")[:MOST]
    boxes, scores = boxes[order], scores[order]
    overlap, dead, kept = iou(boxes, boxes), np.zeros(len(boxes), bool), []
    for k in range(len(boxes)):
        if not dead[k]:
            kept.append(k)
            dead |= overlap[k] > NMS_IOU
    return boxes[kept], scores[kept]


def load(path: Path, size: tuple[int, int] | None = None) -> tuple[torch.jit.ScriptModule, tuple[int, int]]:
    """The model and its input's width and height."""
    extra = {"config.txt": ""}
    model = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    if size is None and not extra["config.txt"]:
        raise SystemExit(f"error: {path}: the archive holds no config.txt with the input's size: give --input")
    return model, size or tuple(reversed(json.loads(extra["config.txt"])["imgsz"]))


def read_frames(video: Path, wanted: list[int]) -> dict[int, np.ndarray]:
    capture, frames = cv2.VideoCapture(str(video)), {}
    last, members = max(wanted), set(wanted)
    for index in range(last + 1):
        ok, image = capture.read()
        if not ok:
            raise SystemExit(f"error: {video}: frame {index} cannot be read")
        if index in members:
            frames[index] = image
    return frames


def detect(model: torch.jit.ScriptModule, size: tuple[int, int], frames: dict[int, np.ndarray]) -> Found:
    """Detections after NMS, relative to the frame."""
    found: Found = {}
    for index, image in frames.items():
        x = torch.from_numpy(cv2.resize(image, size)).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            boxes, scores, labels = (t[0].numpy() for t in model(x))
        for label in np.unique(labels[scores >= MIN_SCORE]):
            keep = (scores >= MIN_SCORE) & (labels == label)
            found[index, int(label)] = nms(boxes[keep].astype(np.float64), scores[keep])
    return found


def read_truth(path: Path, size: tuple[int, int], wanted: list[int]) -> Boxes:
    """frame (from 1), id, left, top, width, height, active, … in pixels -> boxes 0..1 per frame."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    rows = rows[rows[:, 6] != 0]
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) / np.array([*size, *size])
    return {(frame, PERSON): boxes[rows[:, 0] == frame + 1] for frame in wanted}


def average_precision(found: Found, truth: Boxes, ignored: Boxes | None = None) -> float:
    """What hits no true box but an ignored one counts neither way; each true box can be hit once, best score first."""
    ranked = []
    for key, (boxes, scores) in found.items():
        overlap, doubt = iou(boxes, truth.get(key, NOTHING[0])), iou(boxes, (ignored or {}).get(key, NOTHING[0]))
        for k in np.argsort(-scores, kind="stable"):
            best = int(overlap[k].argmax()) if overlap.shape[1] else -1
            hit = best >= 0 and overlap[k, best] >= MATCH_IOU
            if hit:
                overlap[:, best] = -1
            if hit or not doubt.shape[1] or doubt[k].max() < MATCH_IOU:
                ranked.append((scores[k], hit))
    total = sum(map(len, truth.values()))
    if not ranked or not total:
        return 0.0
    ranked.sort(key=lambda one: -one[0])
    true_positives = np.cumsum([hit for _, hit in ranked])
    precision = np.maximum.accumulate((true_positives / np.arange(1, len(ranked) + 1))[::-1])[::-1]
    return float(np.sum(np.diff(true_positives / total, prepend=0.0) * precision))


def fidelity(found: Found, own: Found, threshold: float) -> float:
    sure = {key: boxes[scores >= threshold] for key, (boxes, scores) in own.items()}
    unsure = {key: boxes[(scores < threshold) & (scores >= threshold / 5)] for key, (boxes, scores) in own.items()}
    return average_precision(found, sure, unsure)


def frame_range(text: str) -> list[int]:
    try:
        result = range(*(int(t) for t in text.split(":")))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"'{text}' is not START:STOP or START:STOP:STEP") from None
    if not result or result.start < 0 or result.step < 1:
        raise argparse.ArgumentTypeError(f"'{text}' holds no frames")
    return list(result)


def input_size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(t) for t in text.split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not WIDTHxHEIGHT") from None
    return width, height


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--threshold", type=float, default=0.35)
    parser.add_argument("--input", type=input_size)
    parser.add_argument("--video", type=Path, default=DEFAULT_VIDEO)
    parser.add_argument("--frames", type=frame_range, default="398:795:1")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if not args.truth and not args.against:
        parser.error("give --truth or --against")
    torch.set_num_threads(args.threads)
    frames = read_frames(args.video, args.frames)
    found = detect(*load(args.model, args.input), frames)
    if args.truth:
        height, width = frames[args.frames[0]].shape[:2]
        truth = read_truth(args.truth, (width, height), args.frames)
        people = {key: value for key, value in found.items() if key[1] == PERSON}
        print(f"frames {len(frames)} people {sum(map(len, truth.values()))} AP50 {average_precision(people, truth):.4f}")
    if args.against:
        own = detect(*load(args.against, args.input), frames)
        print(f"frames {len(frames)} fidelity {fidelity(found, own, args.threshold):.4f}")


if __name__ == "__main__":
    main()
