"""Three small person detectors of clearly different architecture: plain, mobile, residual.

Each takes x, float32 [B, 3, 240, 320], BGR, values 0..1, the frame stretched, and returns the tuple
    boxes   float32 [B, N, 4]  xyxy relative to the frame (0..1), before NMS
    scores  float32 [B, N]     0..1
    labels  int64   [B, N]     all 0 = person
Training uses the same modules through raw() and decode().
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEIGHT, WIDTH = 240, 320
PRIOR_ASPECT = 0.41


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, inplace: bool = False) -> nn.Sequential:
    return nn.Sequential(*conv_bn(inputs, outputs, kernel, stride, groups), nn.ReLU(inplace))


def predictor(inputs: int, outputs: int, score_channel: bool) -> nn.Conv2d:
    """A last 1x1 convolution that starts small; a score channel starts at a probability of 0.01."""
    layer = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    if score_channel:
        nn.init.constant_(layer.bias[:1], -4.6)
    return layer


class Detector(nn.Module):
    """What the three have in common: the positions, the prior box at each, decoding.

    raw() gives float32 [B, N, 5]: score logit, then (dx, dy) in units of the prior box's size and (log w, log h).
    """

    def __init__(self, levels: list[tuple[int, float]]):
        """levels: (stride, height of the prior box in input pixels) in the order of raw()'s positions."""
        super().__init__()
        points, priors = [], []
        for stride, height in levels:
            y, x = torch.meshgrid(torch.arange(HEIGHT // stride), torch.arange(WIDTH // stride), indexing="ij")
            points.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
            priors.append(torch.tensor([PRIOR_ASPECT * height, height]).expand_as(points[-1]))
        self.register_buffer("points", torch.cat(points), persistent=False)
        self.register_buffer("priors", torch.cat(priors), persistent=False)
        self.register_buffer("frame", torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT], dtype=torch.float32), persistent=False)
        self.strides = [s for s, _ in levels]

    def decode(self, raw: Tensor) -> Tensor:
        """Boxes xyxy in input pixels."""
        center = self.points + raw[:, :, 1:3] * self.priors
        half = torch.exp(torch.clamp(raw[:, :, 3:5], -2.0, 2.0)) * self.priors * 0.5
        return torch.cat([center - half, center + half], dim=2)

    def detections(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = torch.sigmoid(raw[:, :, 0])
        return self.decode(raw) / self.frame, scores, torch.zeros_like(scores, dtype=torch.int64)


def rows(level: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H * W, C]."""
    return level.flatten(2).transpose(1, 2)


# plain: a straight chain of convolutions, SSD-like heads at strides 8 and 16


class PlainBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn_relu(3, 16, stride=2)
        self.stage1 = nn.Sequential(conv_bn_relu(16, 24, stride=2), conv_bn_relu(24, 24))
        self.stage2 = nn.Sequential(conv_bn_relu(24, 40, stride=2), conv_bn_relu(40, 40), conv_bn_relu(40, 40))
        self.stage3 = nn.Sequential(conv_bn_relu(40, 64, stride=2), conv_bn_relu(64, 64))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stage2(self.stage1(self.stem(x)))
        return fine, self.stage3(fine)


class Plain(Detector):
    def __init__(self):
        super().__init__([(8, 30.0), (16, 40.0)])
        self.backbone = PlainBackbone()
        self.head = nn.ModuleList(
            nn.Sequential(conv_bn_relu(inputs, 40), predictor(40, 5, score_channel=True)) for inputs in (40, 64)
        )

    def raw(self, x: Tensor) -> Tensor:
        levels = self.backbone(x)
        outputs = []
        for index, head in enumerate(self.head):
            outputs.append(rows(head(levels[index])))
        return torch.cat(outputs, dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.detections(self.raw(x))


# mobile: inverted residuals (depthwise), a top-down pyramid of two levels, one head shared by both


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expand: int):
        super().__init__()
        hidden = inputs * expand
        self.shortcut = stride == 1 and inputs == outputs
        self.expand = nn.Sequential(*conv_bn(inputs, hidden, 1), nn.ReLU6(inplace=True))
        self.depthwise = nn.Sequential(*conv_bn(hidden, hidden, 3, stride, groups=hidden), nn.ReLU6(inplace=True))
        self.project = nn.Sequential(*conv_bn(hidden, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.shortcut else out


class MobileBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn_relu(3, 16, stride=2), nn.MaxPool2d(3, 2, 1))
        self.stage1 = nn.Sequential(InvertedResidual(16, 24, 1, 2), InvertedResidual(24, 24, 1, 2))
        self.stage2 = nn.Sequential(InvertedResidual(24, 40, 2, 3), *(InvertedResidual(40, 40, 1, 3) for _ in range(3)))
        self.stage3 = nn.Sequential(InvertedResidual(40, 64, 2, 3), *(InvertedResidual(64, 64, 1, 3) for _ in range(2)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stage2(self.stage1(self.stem(x)))
        return fine, self.stage3(fine)


class Pyramid(nn.Module):
    def __init__(self, fine: int, coarse: int, channels: int):
        super().__init__()
        self.lateral_fine = nn.Sequential(*conv_bn(fine, channels, 1))
        self.lateral_coarse = nn.Sequential(*conv_bn(coarse, channels, 1))

    def forward(self, fine: Tensor, coarse: Tensor) -> tuple[Tensor, Tensor]:
        top = self.lateral_coarse(coarse)
        return self.lateral_fine(fine) + F.interpolate(top, scale_factor=2.0, mode="nearest"), top


class SharedHead(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.tower = nn.Sequential(nn.ReLU(), conv_bn_relu(channels, channels))
        self.score = predictor(channels, 1, score_channel=True)
        self.box = predictor(channels, 4, score_channel=False)

    def forward(self, level: Tensor) -> Tensor:
        features = self.tower(level)
        return rows(torch.cat([self.score(features), self.box(features)], dim=1))


class Mobile(Detector):
    def __init__(self):
        super().__init__([(8, 30.0), (16, 40.0)])
        self.backbone = MobileBackbone()
        self.neck = Pyramid(40, 64, 40)
        self.head = SharedHead(40)

    def raw(self, x: Tensor) -> Tensor:
        fine, coarse = self.backbone(x)
        return torch.cat([self.head(level) for level in self.neck(fine, coarse)], dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.detections(self.raw(x))


# residual: ResNet-like, coarse context added to stride 8, one head with separate towers for score and box


class BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(*conv_bn(inputs, outputs, 3, stride), nn.ReLU(inplace=True), *conv_bn(outputs, outputs))
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_bn(inputs, outputs, 1, stride))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.body(x) + self.shortcut(x))


class ResidualBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn_relu(3, 16, kernel=5, stride=2, inplace=True), nn.MaxPool2d(3, 2, 1))
        self.layer1 = BasicBlock(16, 24, 1)
        self.layer2 = nn.Sequential(BasicBlock(24, 40, 2), BasicBlock(40, 40, 1))
        self.layer3 = nn.Sequential(BasicBlock(40, 64, 2), BasicBlock(64, 64, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.layer2(self.layer1(self.stem(x)))
        return fine, self.layer3(fine)


class ContextNeck(nn.Module):
    def __init__(self, fine: int, coarse: int):
        super().__init__()
        self.reduce = conv_bn_relu(coarse, fine, kernel=1)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        return fine + F.interpolate(self.reduce(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)


class SplitHead(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.score_tower = conv_bn_relu(channels, 32, inplace=True)
        self.box_tower = conv_bn_relu(channels, 32, inplace=True)
        self.score = predictor(32, 1, score_channel=True)
        self.box = predictor(32, 4, score_channel=False)

    def forward(self, x: Tensor) -> Tensor:
        return rows(torch.cat([self.score(self.score_tower(x)), self.box(self.box_tower(x))], dim=1))


class Residual(Detector):
    def __init__(self):
        super().__init__([(8, 32.0)])
        self.backbone = ResidualBackbone()
        self.neck = ContextNeck(40, 64)
        self.head = SplitHead(40)

    def raw(self, x: Tensor) -> Tensor:
        fine, coarse = self.backbone(x)
        return self.head(self.neck(fine, coarse))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.detections(self.raw(x))


MODELS: dict[str, type[Detector]] = {"plain": Plain, "mobile": Mobile, "residual": Residual}
TRACED = {"mobile"}  # the others are scripted


def to_torchscript(name: str, model: Detector) -> torch.jit.ScriptModule:
    """The finished detector; works for any batch size, traced or not."""
    model = model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if name in TRACED:
        return torch.jit.trace(model, torch.rand(1, 3, HEIGHT, WIDTH))
    return torch.jit.script(model)
