#!/usr/bin/env python3
"""Person AP50 of a TorchScript detector on a video, against ground truth in MOTChallenge form.

    evaluate_detector.py MODEL.pt --truth gt.txt [--video V] [--frames START:STOP:STEP]

The model takes float32 [1, 3, H, W], BGR, values 0..1, the frame stretched to the size that config.txt in its archive
gives (imgsz: [H, W]), and returns (boxes xyxy 0..1, scores, labels); label 0 is the person. Scores >= 0.01, NMS at IoU
0.45, AP by all-point interpolation. Frames count from 0, as in the video; the truth's first frame is 1.
"""
import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import torch

MIN_SCORE, NMS_IOU, MATCH_IOU, PERSON = 0.01, 0.45, 0.5, 0
DEFAULT_VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of all pairs of a [n, 4] and b [m, 4]."""
    size = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None)
    inter = size.prod(axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-12)


def nms(boxes: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept: list[int] = []
    overlap = iou(boxes, boxes)
    for k in np.argsort(-scores, kind="stable"):
        if not kept or overlap[k, kept].max() <= NMS_IOU:
            kept.append(int(k))
    return boxes[kept], scores[kept]


def load(path: Path) -> tuple[torch.jit.ScriptModule, int, int]:
    """The model and its input's height and width."""
    extra = {"config.txt": ""}
    model = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    if not extra["config.txt"]:
        raise SystemExit(f"error: {path}: the archive holds no config.txt with the input's size")
    height, width = json.loads(extra["config.txt"])["imgsz"]
    return model, height, width


def detect(path: Path, video: Path, wanted: range) -> tuple[dict[int, tuple[np.ndarray, np.ndarray]], tuple[int, int]]:
    """People per frame (boxes 0..1, scores), and the video's width and height."""
    model, height, width = load(path)
    capture, found, size = cv2.VideoCapture(str(video)), {}, (0, 0)
    for index in range(wanted.stop):
        ok, image = capture.read()
        if not ok:
            raise SystemExit(f"error: {video}: frame {index} cannot be read")
        if index not in wanted:
            continue
        size = image.shape[1], image.shape[0]
        x = torch.from_numpy(cv2.resize(image, (width, height))).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            boxes, scores, labels = (t[0].numpy() for t in model(x))
        keep = (scores >= MIN_SCORE) & (labels == PERSON)
        found[index] = nms(boxes[keep].astype(np.float64), scores[keep])
    return found, size


def read_truth(path: Path, size: tuple[int, int], wanted: range) -> dict[int, np.ndarray]:
    """frame (from 1), id, left, top, width, height, active, … in pixels -> boxes 0..1 per frame."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    rows = rows[rows[:, 6] != 0]
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]) / np.array([*size, *size])
    return {frame: boxes[rows[:, 0] == frame + 1] for frame in wanted}


def match(boxes: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> list[bool]:
    """Which boxes hit, best score first; each true box can be hit once."""
    overlap, hits = iou(boxes, truth), []
    for k in np.argsort(-scores, kind="stable"):
        best = int(overlap[k].argmax()) if len(truth) else -1
        hits.append(best >= 0 and overlap[k, best] >= MATCH_IOU)
        if hits[-1]:
            overlap[:, best] = -1
    return hits


def average_precision(found: dict[int, tuple[np.ndarray, np.ndarray]], truth: dict[int, np.ndarray]) -> float:
    scores = np.concatenate([np.sort(s)[::-1] for _, s in found.values()])
    hits = np.array([h for frame, (b, s) in found.items() for h in match(b, s, truth[frame])])
    true_positives = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    recall = true_positives / max(sum(map(len, truth.values())), 1)
    precision = true_positives / np.arange(1, len(hits) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def frame_range(text: str) -> range:
    try:
        result = range(*(int(t) for t in text.split(":")))
    except (TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"'{text}' is not START:STOP or START:STOP:STEP") from None
    if not result or result.start < 0 or result.step < 1:
        raise argparse.ArgumentTypeError(f"'{text}' holds no frames")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--video", type=Path, default=DEFAULT_VIDEO)
    parser.add_argument("--frames", type=frame_range, default="398:795:1")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found, size = detect(args.model, args.video, args.frames)
    truth = read_truth(args.truth, size, args.frames)
    print(f"frames {len(args.frames)} people {sum(map(len, truth.values()))} AP50 {average_precision(found, truth):.4f}")


if __name__ == "__main__":
    main()
