"""Detectors of known families, written down from their papers, with random weights: layers and outputs like the real ones.

Every model takes float32 [B, 3, H, W] and returns a tuple of tensors. Each can be scripted and traced.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False), nn.BatchNorm2d(outputs)]


def conv_bn_relu(*sizes: int, leaky: float = 0.0, **options: int) -> nn.Sequential:
    return nn.Sequential(*conv_bn(*sizes, **options), nn.LeakyReLU(leaky, inplace=True) if leaky else nn.ReLU(inplace=True))


def separable(inputs: int, outputs: int, stride: int = 1, leaky: float = 0.0) -> nn.Sequential:
    """Depthwise and pointwise, both normalised: MobileNet (arXiv 1704.04861)."""
    parts = [conv_bn_relu(inputs, inputs, 3, stride, inputs, leaky=leaky), conv_bn_relu(inputs, outputs, 1, leaky=leaky)]
    return nn.Sequential(*(layer for part in parts for layer in part))


def prior_boxes(width: int, height: int, strides: list[int], sizes: list[list[float]]) -> Tensor:
    """Centre and size, relative to the input, of every prior box: [N, 4] in the order level, row, column, size."""
    rows = []
    for stride, level in zip(strides, sizes):
        for y in range(-(-height // stride)):
            for x in range(-(-width // stride)):
                center = [(x + 0.5) * stride / width, (y + 0.5) * stride / height]
                rows += [[*center, size / width, size / height] for size in level]
    return torch.tensor(rows)


def positions(level: Tensor, values: int) -> Tensor:
    """[B, A * values, H, W] -> [B, H * W * A, values]."""
    return level.permute(0, 2, 3, 1).reshape(level.shape[0], -1, values)


# Ultra-light face detectors, 320 x 240: MobileNet-like trunk, SSD heads at four strides, boxes decoded inside. The `rfb`
# one has a receptive field block (arXiv 1711.07767) at stride 8.


class ReceptiveField(nn.Module):
    def __init__(self, channels: int, reduction: int = 8, vision: int = 1):
        super().__init__()
        inner = channels // reduction

        def branch(middle: list[int], dilation: int) -> nn.Sequential:
            layers, width = conv_bn(channels, inner, 1), inner
            for wide in middle:
                layers += [*conv_bn(width, wide, 3), nn.ReLU()]
                width = wide
            return nn.Sequential(*layers, *conv_bn(width, 2 * inner, 3, dilation=dilation))

        self.branch0 = branch([2 * inner], vision + 1)
        self.branch1 = branch([2 * inner], vision + 2)
        self.branch2 = branch([inner * 3 // 2, 2 * inner], vision + 4)
        self.linear = nn.Sequential(*conv_bn(6 * inner, channels, 1))
        self.shortcut = nn.Sequential(*conv_bn(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.branch0(x), self.branch1(x), self.branch2(x)], 1)
        return F.relu(self.linear(joined) + self.shortcut(x))


class UltraLightFace(nn.Module):
    def __init__(self, rfb: bool, width: int = 320, height: int = 240):
        super().__init__()
        self.trunk = nn.ModuleList([
            nn.Sequential(
                conv_bn_relu(3, 16, 3, 2), separable(16, 32), separable(32, 32, 2), separable(32, 32), separable(32, 64, 2),
                separable(64, 64), separable(64, 64), ReceptiveField(64) if rfb else separable(64, 64)),
            nn.Sequential(separable(64, 128, 2), separable(128, 128), separable(128, 128)),
            nn.Sequential(separable(128, 256, 2), separable(256, 256)),
            nn.Sequential(nn.Conv2d(256, 64, 1), nn.ReLU(), *separable(64, 256, 2)),
        ])  # fmt: skip
        sizes = [[10.0, 16.0, 24.0], [32.0, 48.0], [64.0, 96.0], [128.0, 192.0, 256.0]]

        def head(inputs: int, outputs: int) -> nn.Module:
            depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs)
            return nn.Sequential(depthwise, nn.ReLU(), nn.Conv2d(inputs, outputs, 1))

        self.classes = nn.ModuleList(head(c, 2 * len(s)) for c, s in zip((64, 128, 256, 256), sizes))
        self.boxes = nn.ModuleList(head(c, 4 * len(s)) for c, s in zip((64, 128, 256, 256), sizes))
        self.register_buffer("priors", prior_boxes(width, height, [8, 16, 32, 64], sizes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores: list[Tensor] = []
        boxes: list[Tensor] = []
        for stage, classes, regression in zip(self.trunk, self.classes, self.boxes):
            x = stage(x)
            scores.append(positions(classes(x), 2))
            boxes.append(positions(regression(x), 4))
        delta = torch.cat(boxes, 1)
        center = self.priors[:, :2] + delta[:, :, :2] * 0.1 * self.priors[:, 2:]
        half = torch.exp(delta[:, :, 2:] * 0.2) * self.priors[:, 2:] / 2
        return torch.softmax(torch.cat(scores, 1), 2), torch.cat([center - half, center + half], 2)


# RetinaFace (arXiv 1905.00641) with MobileNet of width 0.25: pyramid, context modules, heads for boxes, classes and five
# points; raw outputs, to be decoded outside.


class Context(nn.Module):
    """SSH (arXiv 1708.03979): a 3x3, a 5x5 and a 7x7 out of 3x3 ones, joined."""

    def __init__(self, channels: int):
        super().__init__()
        quarter = channels // 4
        self.conv3x3 = nn.Sequential(*conv_bn(channels, channels // 2))
        self.conv5x5_1 = conv_bn_relu(channels, quarter, leaky=0.1)
        self.conv5x5_2 = nn.Sequential(*conv_bn(quarter, quarter))
        self.conv7x7_2 = conv_bn_relu(quarter, quarter, leaky=0.1)
        self.conv7x7_3 = nn.Sequential(*conv_bn(quarter, quarter))

    def forward(self, x: Tensor) -> Tensor:
        shared = self.conv5x5_1(x)
        return F.relu(torch.cat([self.conv3x3(x), self.conv5x5_2(shared), self.conv7x7_3(self.conv7x7_2(shared))], 1))


class RetinaFace(nn.Module):
    def __init__(self, channels: int = 64, anchors: int = 2):
        super().__init__()
        slope = 0.1

        def stage(*units: tuple[int, int, int]) -> list[nn.Module]:
            return [separable(a, b, stride, leaky=slope) for a, b, stride in units]

        stem = conv_bn_relu(3, 8, 3, 2, leaky=slope)
        self.body = nn.ModuleDict({
            "stage1": nn.Sequential(stem, *stage((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))),
            "stage2": nn.Sequential(*stage((64, 128, 2), *[(128, 128, 1)] * 5)),
            "stage3": nn.Sequential(*stage((128, 256, 2), (256, 256, 1))),
        })
        self.output = nn.ModuleList(conv_bn_relu(c, channels, 1, leaky=slope) for c in (64, 128, 256))
        self.merge = nn.ModuleList(conv_bn_relu(channels, channels, leaky=slope) for _ in range(2))
        self.context = nn.ModuleList(Context(channels) for _ in range(3))
        self.boxes, self.classes, self.points = (
            nn.ModuleList(nn.Conv2d(channels, anchors * values, 1) for _ in range(3)) for values in (4, 2, 10)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fine = self.body["stage1"](x)
        middle = self.body["stage2"](fine)
        coarse = self.output[2](self.body["stage3"](middle))
        middle = self.output[1](middle)
        middle = self.merge[1](middle + F.interpolate(coarse, size=[middle.size(2), middle.size(3)], mode="nearest"))
        fine = self.output[0](fine)
        fine = self.merge[0](fine + F.interpolate(middle, size=[fine.size(2), fine.size(3)], mode="nearest"))
        levels = [self.context[0](fine), self.context[1](middle), self.context[2](coarse)]
        boxes: list[Tensor] = []
        classes: list[Tensor] = []
        points: list[Tensor] = []
        for i, head in enumerate(self.boxes):
            boxes.append(positions(head(levels[i]), 4))
        for i, head in enumerate(self.classes):
            classes.append(positions(head(levels[i]), 2))
        for i, head in enumerate(self.points):
            points.append(positions(head(levels[i]), 10))
        return torch.cat(boxes, 1), torch.softmax(torch.cat(classes, 1), -1), torch.cat(points, 1)


# EfficientDet (arXiv 1911.09070) at small width: inverted residuals with squeeze-excite, a bidirectional pyramid of five
# levels with learned fusion weights, heads shared by the levels with a normalisation of their own per level.


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, inner: int):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.expand(F.silu(self.reduce(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int = 4, kernel: int = 3):
        super().__init__()
        hidden = inputs * expand
        self.shortcut = stride == 1 and inputs == outputs
        self.expand = nn.Sequential(*conv_bn(inputs, hidden, 1), nn.SiLU(inplace=True))
        self.depthwise = nn.Sequential(*conv_bn(hidden, hidden, kernel, stride, hidden), nn.SiLU(inplace=True))
        self.excite = SqueezeExcite(hidden, max(4, inputs // 4))
        self.project = nn.Sequential(*conv_bn(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.excite(self.depthwise(self.expand(x))))
        return x + y if self.shortcut else y


class Fusion(nn.Module):
    """Fast normalised fusion of two or three maps, then a separable convolution."""

    def __init__(self, channels: int, count: int):
        super().__init__()
        self.weights = nn.Parameter(torch.rand(count) + 0.5)
        depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.conv = nn.Sequential(nn.SiLU(), depthwise, *conv_bn(channels, channels, 1))

    def forward(self, maps: list[Tensor]) -> Tensor:
        weights = F.relu(self.weights)
        weights = weights / (weights.sum() + 1e-4)
        joined = maps[0] * weights[0]
        for i in range(1, len(maps)):
            joined = joined + maps[i] * weights[i]
        return self.conv(joined)


class BiFPN(nn.Module):
    def __init__(self, channels: int, levels: int = 5):
        super().__init__()
        self.down = nn.ModuleList(Fusion(channels, 2) for _ in range(levels - 1))
        self.up = nn.ModuleList([*(Fusion(channels, 3) for _ in range(levels - 2)), Fusion(channels, 2)])
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        middle = [maps[-1]]  # from coarse to fine
        for i, fuse in enumerate(self.down):
            target = maps[len(maps) - 2 - i]
            size = [target.size(2), target.size(3)]
            middle.append(fuse([target, F.interpolate(middle[-1], size=size, mode="nearest")]))
        middle.reverse()
        result = [middle[0]]
        for i, fuse in enumerate(self.up):
            pooled = self.pool(result[-1])
            last = i + 2 == len(maps)
            result.append(fuse([maps[i + 1], pooled] if last else [maps[i + 1], middle[i + 1], pooled]))
        return result


class PyramidHead(nn.Module):
    def __init__(self, channels: int, outputs: int, levels: int = 5, depth: int = 2):
        super().__init__()
        self.values = outputs // 9
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1))
            for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(depth)) for _ in range(levels))
        self.activation = nn.SiLU()  # a module, so that the oracle can hook it
        self.predict = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        rows: list[Tensor] = []
        for level, norms in enumerate(self.norms):
            x = maps[level]
            for conv, norm in zip(self.convs, norms):
                x = self.activation(norm(conv(x)))
            rows.append(positions(self.predict(x), self.values))
        return torch.cat(rows, 1)


class EfficientDet(nn.Module):
    def __init__(self, channels: int = 40, repeats: int = 2, classes: int = 3):
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(3, 16, 3, 2), nn.SiLU(inplace=True), Inverted(16, 24, 2))
        self.stage3 = nn.Sequential(Inverted(24, 40, 2, kernel=5), Inverted(40, 40, 1, kernel=5))
        self.stage4 = nn.Sequential(Inverted(40, 80, 2), Inverted(80, 80, 1))
        self.stage5 = nn.Sequential(Inverted(80, 160, 2, kernel=5), Inverted(160, 160, 1, kernel=5))
        self.lateral = nn.ModuleList(nn.Sequential(*conv_bn(c, channels, 1)) for c in (40, 80, 160, 160))
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.pyramid = nn.ModuleList(BiFPN(channels) for _ in range(repeats))
        self.classes = PyramidHead(channels, 9 * classes)
        self.boxes = PyramidHead(channels, 9 * 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stage3(self.stem(x))
        middle = self.stage4(fine)
        coarse = self.stage5(middle)
        maps = [self.lateral[0](fine), self.lateral[1](middle), self.lateral[2](coarse)]
        maps.append(self.pool(self.lateral[3](coarse)))
        maps.append(self.pool(maps[-1]))
        for level in self.pyramid:
            maps = level(maps)
        return self.boxes(maps), torch.sigmoid(self.classes(maps))


MODELS = {
    "slim": lambda: UltraLightFace(rfb=False),
    "rfb": lambda: UltraLightFace(rfb=True),
    "retinaface": RetinaFace,
    "efficientdet": EfficientDet,
}
SIZES = {"slim": (320, 240), "rfb": (320, 240), "retinaface": (640, 480), "efficientdet": (320, 320)}
