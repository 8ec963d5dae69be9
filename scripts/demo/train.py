"""Training of the demo detectors on pseudo-labelled frames: one CPU thread, fixed seed."""
import copy
import math
import time
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .labels import FrameLabels
from .models import HEIGHT, WIDTH, Detector

BATCH, LEARNING_RATE, WEIGHT_DECAY, WARMUP_STEPS, CLIP_NORM = 16, 2e-3, 0.02, 50, 5.0
EMA_DECAY = 0.998
SCORE_WEIGHT, BOX_WEIGHT = 4.0, 2.0
PLAIN_SHARE = 0.1  # of the images are left as they are
ZOOM, ASPECT_CHANGE, BORDER_GREY = (0.8, 1.35), 0.08, 114
MIN_VISIBLE = 0.4  # of a person's box, else it is ignored
CENTER_RADIUS = 1.25  # in strides, around a box's centre: these positions answer for the box
COARSE_MIN_HEIGHT = 28.0  # input pixels: smaller people are left to stride 8


@dataclass
class Batch:
    images: Tensor  # float32 [B, 3, HEIGHT, WIDTH], BGR, 0..1
    people: Tensor  # float32 [B, M, 4], input pixels, padded with empty boxes
    ignored: Tensor  # float32 [B, K, 4], likewise


def visible_part(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes cut to the image, and the share of each that is left."""
    cut = np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return cut, np.prod(cut[:, 2:] - cut[:, :2], axis=1) / np.maximum(area, 1e-9)


def shift_colours(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness, contrast and tint."""
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.95, 1.05, 3)
    offset = 128 * (1 - gain) + rng.uniform(-25, 25)
    return np.clip(image * gain.astype(np.float32) + offset.astype(np.float32), 0, 255)


def view(frame: np.ndarray, rng: np.random.Generator, augment: bool) -> tuple[np.ndarray, np.ndarray]:
    """The frame as the detector sees it, [HEIGHT, WIDTH, 3], and the [2, 3] map from its pixels to the view's."""
    height, width = frame.shape[:2]
    scale = np.array([WIDTH / width, HEIGHT / height])
    if not augment:
        return cv2.resize(frame, (WIDTH, HEIGHT)), np.diag(scale) @ np.eye(2, 3)
    stretch = math.exp(rng.uniform(-ASPECT_CHANGE, ASPECT_CHANGE) / 2)
    scale *= math.exp(rng.uniform(*np.log(ZOOM))) * np.array([stretch, 1 / stretch])
    room = np.array([WIDTH, HEIGHT]) - scale * [width, height]  # negative: the view shows only a part
    offset = room * rng.uniform(-0.1, 1.1, 2)
    matrix = np.column_stack([np.diag(scale), offset])
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, WIDTH - matrix[0, 2]]
    image = cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderValue=(BORDER_GREY,) * 3)
    return shift_colours(image, rng), matrix


def map_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    corners = boxes.reshape(-1, 2, 2) * np.diag(matrix[:, :2]) + matrix[:, 2]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def pad(boxes: list[np.ndarray]) -> Tensor:
    result = torch.zeros(len(boxes), max(1, *map(len, boxes)), 4)
    for row, found in zip(result, boxes):
        row[: len(found)] = torch.from_numpy(found)
    return result


def make_batch(frames: np.ndarray, labels: list[FrameLabels], chosen: np.ndarray, rng: np.random.Generator) -> Batch:
    images, people, ignored = [], [], []
    for index in chosen:
        image, matrix = view(frames[index], rng, rng.random() >= PLAIN_SHARE)
        boxes, visible = visible_part(map_boxes(labels[index].people, matrix))
        doubtful, _ = visible_part(map_boxes(labels[index].ignored, matrix))
        images.append(torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1))
        people.append(boxes[visible >= MIN_VISIBLE])
        ignored.append(np.concatenate([doubtful, boxes[visible < MIN_VISIBLE]]))
    return Batch(torch.stack(images).contiguous(memory_format=torch.channels_last), pad(people), pad(ignored))


def position_strides(model: Detector) -> Tensor:
    """The stride of each position of raw()."""
    counts = [(HEIGHT // s) * (WIDTH // s) for s in model.strides]
    return torch.cat([torch.full((n,), float(s)) for n, s in zip(counts, model.strides)])


def assign(points: Tensor, strides: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Per position, [B, N]: index of the person it answers for, whether it answers for one, whether it counts at all."""
    boxes = batch.people[:, None]  # [B, 1, M, 4]
    center, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    offset = (points[None, :, None] - center).abs()  # [B, N, M, 2]
    near = (offset < CENTER_RADIUS * strides[None, :, None, None]).all(3) & (offset < size / 2).all(3)
    near &= (strides[None, :, None] <= 8) | (size[..., 1] >= COARSE_MIN_HEIGHT)
    distance = (offset / size.clamp(min=1e-6)).square().sum(3).masked_fill(~near, math.inf)
    nearest, person = distance.min(dim=2)
    positive = nearest.isfinite()
    doubtful = batch.ignored[:, None]
    inside = ((points[None, :, None] >= doubtful[..., :2]) & (points[None, :, None] < doubtful[..., 2:])).all(3).any(2)
    return person, positive, positive | ~inside


def paired_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU of a[i] with b[i]."""
    overlap = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - overlap
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = overlap / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def loss_of(model: Detector, strides: Tensor, batch: Batch) -> Tensor:
    """Quality focal loss (target: the box's IoU) plus GIoU loss, per person position."""
    raw = model.raw(batch.images)
    person, positive, counted = assign(model.points, strides, batch)
    wanted = torch.gather(batch.people, 1, person[..., None].expand(-1, -1, 4))[positive]
    iou, giou = paired_iou(model.decode(raw)[positive], wanted)
    target = torch.zeros_like(raw[..., 0])
    target[positive] = iou.detach()
    logits = raw[..., 0]
    focus = (target - torch.sigmoid(logits)).square()
    score_loss = (focus * F.binary_cross_entropy_with_logits(logits, target, reduction="none"))[counted].sum()
    return (SCORE_WEIGHT * score_loss + BOX_WEIGHT * (1 - giou).sum()) / positive.sum().clamp(min=1)


def follow(average: Detector, model: Detector, step: int) -> None:
    """Exponential moving average of all parameters and buffers, quicker at the beginning."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), model.state_dict().values()):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def train(model: Detector, frames: np.ndarray, labels: list[FrameLabels], steps: int, seed: int) -> Detector:
    """Trains model and returns its moving average, in eval mode."""
    rng, started = np.random.default_rng(seed), time.process_time()
    model = model.train().to(memory_format=torch.channels_last)
    average, strides = copy.deepcopy(model).eval(), position_strides(model)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    queue, shown = np.empty(0, int), 0.0
    for step in range(steps):
        rate = min(1.0, (step + 1) / WARMUP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * rate
        if len(queue) < BATCH:
            queue = np.concatenate([queue, rng.permutation(len(frames))])
        chosen, queue = queue[:BATCH], queue[BATCH:]
        loss = loss_of(model, strides, make_batch(frames, labels, chosen, rng))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        follow(average, model, step)
        shown += loss.item()
        if (step + 1) % 100 == 0:
            print(f"  step {step + 1}/{steps} loss {shown / 100:.3f} CPU {time.process_time() - started:.0f} s", flush=True)
            shown = 0.0
    return average.to(memory_format=torch.contiguous_format)
