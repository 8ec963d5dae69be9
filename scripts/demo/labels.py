"""Pedestrian pseudo-labels for a video of a fixed camera, without any human label.

Chain: HOG windows -> the part of each window that a person fills -> weighted vote -> tracks -> one smooth box per track
and frame. All boxes are float64 xyxy in pixels of the video. What stays doubtful (weak windows, weak tracks, moving
things that nothing explains) becomes an ignore region: training neither rewards nor punishes detections there.
"""
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

ASPECT = 0.41  # width / height of a pedestrian's box: the usual value of pedestrian benchmarks, fixed beforehand
HOG_UPSCALE, HOG_THRESHOLD, HOG_LEVELS = 2, -0.2, 22
FOREGROUND_DIFFERENCE = 40  # grey levels, any channel
MIN_FOREGROUND = 0.25  # of a box's area
VOTE_IOU = 0.45
WEAK_VOTE, STRONG_VOTE = 0.35, 0.8  # summed margin of a box's windows; below the first it is noise
LINK_IOU, LINK_GAP, MIN_TRACK, MIN_TRACK_VOTE = 0.35, 10, 8, 1.2
SMOOTHING_FRAMES = 1.5


@dataclass
class FrameLabels:
    people: np.ndarray  # [n, 4]
    ignored: np.ndarray  # [m, 4]


@dataclass
class Track:
    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    votes: list[float] = field(default_factory=list)

    def predict(self, frame: int) -> np.ndarray:
        """The last box, moved on at the speed of the last few frames."""
        back = min(5, len(self.frames)) - 1
        if back == 0:
            return self.boxes[-1]
        speed = (center(self.boxes[-1]) - center(self.boxes[-1 - back])) / (self.frames[-1] - self.frames[-1 - back])
        return self.boxes[-1] + np.tile(speed * (frame - self.frames[-1]), 2)


def center(box: np.ndarray) -> np.ndarray:
    return (box[..., :2] + box[..., 2:]) / 2


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of all pairs of a [n, 4] and b [m, 4]."""
    size = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None)
    inter = size[..., 0] * size[..., 1]
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return inter / np.maximum(area_a[:, None] + area_b[None] - inter, 1e-9)


def read_video(path: Path, start: int, stop: int) -> np.ndarray:
    """Frames start..stop-1, uint8 [n, height, width, 3], BGR."""
    capture, frames = cv2.VideoCapture(str(path)), []
    for index in range(stop):
        ok, image = capture.read()
        if not ok:
            raise SystemExit(f"error: {path}: frame {index} cannot be read, {stop} frames are needed")
        if index >= start:
            frames.append(image)
    return np.stack(frames)


def hog_windows(frames: np.ndarray) -> Iterator[np.ndarray]:
    """Per frame [n, 5]: window xyxy and the margin above the threshold. About 2 s a frame."""
    hog = cv2.HOGDescriptor((64, 128), (16, 16), (8, 8), (8, 8), 9, 1, -1, 0, 0.2, True, HOG_LEVELS)
    hog.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    for image in frames:
        large = cv2.resize(image, None, fx=HOG_UPSCALE, fy=HOG_UPSCALE, interpolation=cv2.INTER_CUBIC)
        windows, scores = hog.detectMultiScale(large, HOG_THRESHOLD, (8, 8), (16, 16), 1.05, 0)
        if not len(windows):
            yield np.zeros((0, 5))
            continue
        xywh = windows / HOG_UPSCALE
        yield np.column_stack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:], np.ravel(scores) - HOG_THRESHOLD])


def foreground_masks(frames: np.ndarray) -> np.ndarray:
    """bool [n, height, width]: differs from the median frame; specks removed, gaps closed."""
    median = np.median(frames[::6], axis=0).astype(np.uint8)
    masks = []
    for image in frames:
        mask = (cv2.absdiff(image, median).max(axis=2) > FOREGROUND_DIFFERENCE).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
        masks.append(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 5), np.uint8)) > 0)
    return np.stack(masks)


def foreground_share(mask: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    sums = cv2.integral(mask.astype(np.uint8))
    limit = np.array([mask.shape[1], mask.shape[0]] * 2)
    x0, y0, x1, y1 = np.clip(np.round(boxes), 0, limit).astype(int).T
    return (sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]) / np.maximum((x1 - x0) * (y1 - y0), 1)


def usual_extent(windows: list[np.ndarray], masks: np.ndarray) -> tuple[float, float]:
    """Where a person begins and ends in a window, relative to its height: medians over the surest windows' foreground."""
    extents = []
    for found, mask in zip(windows, masks):
        for x0, y0, x1, y1, _ in found[found[:, 4] > 1.2]:
            if x0 < 0 or y0 < 0 or x1 > mask.shape[1] or y1 > mask.shape[0]:
                continue
            width = x1 - x0
            rows = mask[int(y0) : int(y1), int(x0 + 0.3 * width) : int(x1 - 0.3 * width)].mean(axis=1) > 0.2
            if rows.mean() < 0.95 and rows.any():  # else another person fills the window
                extents.append([rows.argmax() / len(rows), 1 - rows[::-1].argmax() / len(rows)])
    return tuple(np.median(extents, axis=0))


def person_boxes(windows: np.ndarray, extent: tuple[float, float]) -> np.ndarray:
    top, bottom = windows[:, 1], windows[:, 3]
    y0, y1 = (top + (bottom - top) * e for e in extent)
    middle, half = (windows[:, 0] + windows[:, 2]) / 2, (y1 - y0) * ASPECT / 2
    return np.column_stack([middle - half, y0, middle + half, y1])


def vote(boxes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Greedy clusters around the heaviest box: their weighted mean boxes and summed weights."""
    overlap, alive, means, totals = iou(boxes, boxes), np.ones(len(boxes), bool), [], []
    for k in np.argsort(-weights, kind="stable"):
        if alive[k]:
            members = alive & (overlap[k] > VOTE_IOU)
            near = members & (overlap[k] > 0.6)
            means.append(np.average(boxes[near], axis=0, weights=weights[near]))
            totals.append(weights[near].sum())
            alive &= ~members
    return np.reshape(means, (-1, 4)), np.array(totals)


class HeightModel:
    """A standing person's height in pixels as a plane over the position of the feet: one fixed camera, one ground."""

    def __init__(self, boxes: np.ndarray):
        keep = np.ones(len(boxes), bool)
        for _ in range(5):
            self.weights = np.linalg.lstsq(self._features(boxes[keep]), np.diff(boxes[keep][:, 1::2])[:, 0], rcond=None)[0]
            keep = np.abs(np.log(self.ratio(boxes))) < 0.2

    @staticmethod
    def _features(boxes: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(boxes)), (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])

    def height(self, boxes: np.ndarray) -> np.ndarray:
        return np.clip(self._features(boxes) @ self.weights, 20, None)

    def ratio(self, boxes: np.ndarray) -> np.ndarray:
        return (boxes[:, 3] - boxes[:, 1]) / self.height(boxes)


def link(frames: list[tuple[np.ndarray, np.ndarray]]) -> list[Track]:
    """Greedy tracks through the voted boxes of each frame, heaviest pairs first."""
    done, active = [], []
    for index, (boxes, votes) in enumerate(frames):
        done += [t for t in active if index - t.frames[-1] > LINK_GAP]
        active = [t for t in active if index - t.frames[-1] <= LINK_GAP]
        overlap = iou(np.reshape([t.predict(index) for t in active], (-1, 4)), boxes)
        free = set(range(len(boxes)))
        for _ in range(min(overlap.shape)):
            t, b = np.unravel_index(overlap.argmax(), overlap.shape)
            if overlap[t, b] < LINK_IOU:
                break
            active[t].frames.append(index)
            active[t].boxes.append(boxes[b])
            active[t].votes.append(votes[b])
            overlap[t], overlap[:, b] = -1, -1
            free.discard(int(b))
        active += [Track([index], [boxes[b]], [votes[b]]) for b in sorted(free)]
    return done + active


def smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean along axis 0, with local lines at the ends (mirrored about the end points)."""
    radius = min(int(3 * sigma + 0.5), len(values) - 1)
    padded = np.concatenate([2 * values[0] - values[radius:0:-1], values, 2 * values[-1] - values[-2 : -2 - radius : -1]])
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.stack([np.convolve(c, kernel / kernel.sum(), mode="valid") for c in padded.T], axis=1)


def smooth_track(track: Track, heights: HeightModel) -> tuple[np.ndarray, np.ndarray]:
    """The track's frames without gaps, and its boxes: position smoothed, height = the plane's times the person's own ratio."""
    frames = np.arange(track.frames[0], track.frames[-1] + 1)
    boxes = np.array(track.boxes)
    feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 1], boxes[:, 3]])
    x, top, bottom = smooth(np.stack([np.interp(frames, track.frames, c) for c in feet.T], 1), SMOOTHING_FRAMES).T
    person = float(np.median(heights.ratio(boxes)))
    rough = np.column_stack([x, top, x, bottom])
    height, middle = heights.height(rough) * person, (top + bottom) / 2
    half = height * ASPECT / 2
    return frames, np.column_stack([x - half, middle - height / 2, x + half, middle + height / 2])


def unexplained(mask: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Boxes around the larger pieces of foreground that lie outside all boxes."""
    rest = mask.astype(np.uint8)
    for x0, y0, x1, y1 in np.round(boxes).astype(int):
        grow = (x1 - x0) // 4
        rest[max(y0 - grow, 0) : max(y1 + grow, 0), max(x0 - grow, 0) : max(x1 + grow, 0)] = 0
    _, _, stats, _ = cv2.connectedComponentsWithStats(rest)
    pieces = stats[1:][stats[1:, cv2.CC_STAT_AREA] > 250].astype(float)
    return np.column_stack([pieces[:, :2], pieces[:, :2] + pieces[:, 2:4]])


def label(frames: np.ndarray, windows: list[np.ndarray]) -> list[FrameLabels]:
    """Labels of consecutive frames from their HOG windows."""
    masks = foreground_masks(frames)
    extent = usual_extent(windows, masks)
    voted = []
    for found, mask in zip(windows, masks):
        boxes = person_boxes(found, extent)
        keep = foreground_share(mask, boxes) > MIN_FOREGROUND
        boxes, votes = vote(boxes[keep], found[keep, 4])
        voted.append((boxes[votes > WEAK_VOTE], votes[votes > WEAK_VOTE]))
    heights = HeightModel(np.concatenate([b[v > STRONG_VOTE] for b, v in voted]))
    plausible = [np.abs(np.log(heights.ratio(b))) < 0.3 for b, _ in voted]
    voted = [(b[p], v[p]) for (b, v), p in zip(voted, plausible)]
    people, ignored = ([[] for _ in frames] for _ in range(2))
    for track in link(voted):
        sure = len(track.frames) >= MIN_TRACK and np.mean(track.votes) > MIN_TRACK_VOTE
        for frame, box in zip(*(smooth_track(track, heights) if sure else (track.frames, track.boxes))):
            (people if sure else ignored)[frame].append(box)
    result = []
    for mask, sure, doubtful in zip(masks, people, ignored):
        sure, doubtful = np.reshape(sure, (-1, 4)), np.reshape(doubtful, (-1, 4))
        result.append(FrameLabels(sure, np.concatenate([doubtful, unexplained(mask, np.concatenate([sure, doubtful]))])))
    return result
