#!/usr/bin/env python3
"""Writes detectors of the size that people have: the shape of YOLOv5n (CSP backbone, pyramid, three heads) at 640x640.

    python bench/detector_family.py --work FOLDER [--count 2] [--width 16] [--size 640] [--noise 0.1] [--strangers]

Their weights are random, so their boxes mean nothing, but they are functions of the picture: each head's threshold is set on
frames of vtest.avi so that every model finds about 12 objects per frame. Model k is model 0 with noise on its weights (a fine-tune
stands at such a distance); with --strangers every model has weights of its own. The output is that of YOLOv5: rows of centre,
size, objectness and class scores.
"""
import argparse
from pathlib import Path

import cv2
import torch
from studies import VIDEO
from torch import nn

CLASSES, OBJECTS = 4, 12
ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))


class Conv(nn.Module):
    def __init__(self, c_in, c_out, kernel=1, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out)
        self.act = nn.SiLU()

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c, add):
        super().__init__()
        self.cv1, self.cv2, self.add = Conv(c, c), Conv(c, c, 3), add

    def forward(self, x):
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class C3(nn.Module):
    def __init__(self, c_in, c_out, count, add=True):
        super().__init__()
        half = c_out // 2
        self.cv1, self.cv2, self.cv3 = Conv(c_in, half), Conv(c_in, half), Conv(c_out, c_out)
        self.m = nn.Sequential(*(Bottleneck(half, add) for _ in range(count)))

    def forward(self, x):
        return self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))


class SPPF(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.cv1, self.cv2, self.pool = Conv(c, c // 2), Conv(2 * c, c), nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        x = self.cv1(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.cv2(torch.cat((x, y, z, self.pool(z)), 1))


class Detector(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        a, b, c, d, e = (width * 2**k for k in range(5))
        self.stem, self.down2, self.c2 = Conv(3, a, 6, 2), Conv(a, b, 3, 2), C3(b, b, 1)
        self.stem.conv.padding = (2, 2)
        self.down3, self.c3 = Conv(b, c, 3, 2), C3(c, c, 2)
        self.down4, self.c4 = Conv(c, d, 3, 2), C3(d, d, 3)
        self.down5, self.c5, self.sppf = Conv(d, e, 3, 2), C3(e, e, 1), SPPF(e)
        self.lateral5, self.up4 = Conv(e, d), C3(2 * d, d, 1, add=False)
        self.lateral4, self.up3 = Conv(d, c), C3(2 * c, c, 1, add=False)
        self.pan3, self.out4 = Conv(c, c, 3, 2), C3(2 * c, d, 1, add=False)
        self.pan4, self.out5 = Conv(d, d, 3, 2), C3(2 * d, e, 1, add=False)
        self.heads = nn.ModuleList(nn.Conv2d(channels, 3 * (5 + CLASSES), 1) for channels in (c, d, e))
        for k, stride in enumerate((8, 16, 32)):
            cells = torch.arange(size // stride, dtype=torch.float32)
            y, x = torch.meshgrid(cells, cells, indexing="ij")
            self.register_buffer(f"grid{k}", torch.stack((x, y), -1)[None, None] - 0.5)
            self.register_buffer(f"anchor{k}", torch.tensor(ANCHORS[k], dtype=torch.float32).view(1, 3, 1, 1, 2))

    def maps(self, x):
        x = self.c2(self.down2(self.stem(x)))
        p3 = self.c3(self.down3(x))
        p4 = self.c4(self.down4(p3))
        p5 = self.lateral5(self.sppf(self.c5(self.down5(p4))))
        n4 = self.lateral4(self.up4(torch.cat((nn.functional.interpolate(p5, scale_factor=2.0), p4), 1)))
        n3 = self.up3(torch.cat((nn.functional.interpolate(n4, scale_factor=2.0), p3), 1))
        o4 = self.out4(torch.cat((self.pan3(n3), n4), 1))
        return n3, o4, self.out5(torch.cat((self.pan4(o4), p5), 1))

    def forward(self, x):
        rows = []
        for k, (head, features) in enumerate(zip(self.heads, self.maps(x))):
            raw = head(features)
            batch, _, height, width = raw.shape
            raw = raw.view(batch, 3, 5 + CLASSES, height, width).permute(0, 1, 3, 4, 2).sigmoid()
            grid, anchor = getattr(self, f"grid{k}"), getattr(self, f"anchor{k}")
            centre = (raw[..., :2] * 2 + grid) * float(8 * 2**k)
            rows.append(torch.cat((centre, (raw[..., 2:4] * 2) ** 2 * anchor, raw[..., 4:]), -1).view(batch, -1, 5 + CLASSES))
        return torch.cat(rows, 1)


def pictures(size: int, count: int = 12) -> torch.Tensor:
    """Frames of the first half of the video, [count, 3, size, size] from 0 to 1."""
    source, found = cv2.VideoCapture(str(VIDEO)), []
    for index in range(33 * count):
        ok, picture = source.read()
        if index % 33 == 0 and ok:
            found.append(torch.from_numpy(cv2.resize(picture, (size, size))[:, :, ::-1].copy()))
    return torch.stack(found).permute(0, 3, 1, 2).float() / 255


def calibrate(model: Detector, frames: torch.Tensor) -> Detector:
    """Statistics of the normalisations, then thresholds: the heads find OBJECTS per frame, at objectness 0.5."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    for part in frames.split(4):
        model.maps(part)
    model.eval()
    strengths = []
    for head, features in zip(model.heads, zip(*(model.maps(part) for part in frames.split(4)))):
        raw = head(torch.cat(features)).unflatten(1, (3, -1))[:, :, 4]
        head.weight.data *= 2 / raw.std()
        head.bias.data[4 :: 5 + CLASSES] -= 2 * raw.mean() / raw.std()
        strengths.append((2 * (raw - raw.mean()) / raw.std()).flatten())
    everything = torch.cat(strengths)
    threshold = everything.kthvalue(everything.numel() - OBJECTS * len(frames)).values
    for head in model.heads:
        head.bias.data[4 :: 5 + CLASSES] -= threshold
        for label in range(5, 5 + CLASSES):
            head.bias.data[label :: 5 + CLASSES] += 2 * (label == 5)
    return model


def relative(original: Detector, size: float, seed: int) -> dict:
    random = torch.Generator().manual_seed(seed)
    weights = {name: value.clone() for name, value in original.state_dict().items()}
    for value in (one for one in weights.values() if one.dim() == 4):
        value += size * value.std() * torch.randn(value.shape, generator=random)
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2)
    parser.add_argument("--width", type=int, default=16, help="of the first layer: 16 as YOLOv5n, 32 as YOLOv5s")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--noise", type=float, default=0.1, help="of each tensor's standard deviation")
    parser.add_argument("--strangers", action="store_true", help="every model has weights of its own")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    frames = pictures(args.size)
    with torch.no_grad():
        first = None
        for k in range(args.count):
            torch.manual_seed(k if args.strangers else 0)
            model = Detector(args.width, args.size)
            if first is None or args.strangers:
                first = calibrate(model, frames)
            else:
                model.load_state_dict(relative(first, args.noise, k))
            path = args.work / f"detector{k}.pt"
            traced = torch.jit.trace((first if args.strangers or k == 0 else model).eval(), torch.zeros(1, 3, args.size, args.size))
            traced.save(str(path))
            boxes = torch.cat([traced(part[None])[..., 4] >= 0.5 for part in frames]).sum().item()
            print(f"{path}: {sum(p.numel() for p in model.parameters()):,} parameters, {boxes / len(frames):.1f} boxes per frame")


if __name__ == "__main__":
    main()
