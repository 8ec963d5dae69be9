"""Builds every detector of the zoo with random weights: as a module to look into, and as TorchScript."""
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import torch
from torch import Tensor, nn

import architectures  # beside this file

# Options of the constructor, width and height. Random scores are low and alike: thresholds that let some pass, and few
# candidates, or suppression would take most of the time.
TORCHVISION = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": ({"box_score_thresh": 0.01, "rpn_post_nms_top_n_test": 40}, 320, 240),
    "ssdlite320_mobilenet_v3_large": ({"score_thresh": 0.01, "topk_candidates": 20}, 320, 320),
    "ssd300_vgg16": ({"score_thresh": 0.01, "topk_candidates": 20}, 300, 300),
    "retinanet_resnet50_fpn": ({"min_size": 256, "max_size": 320, "score_thresh": 0.01, "topk_candidates": 100}, 320, 256),
    "fcos_resnet50_fpn": ({"min_size": 256, "max_size": 320, "score_thresh": 0.05, "topk_candidates": 100}, 320, 256),
}
ULTRALYTICS = {"yolov5n": (640, 640), "yolov8n": (640, 384), "yolo11n": (320, 320)}


@dataclass
class Entry:
    """A detector of the zoo. `module` is what was exported, so that hooks can be put on its submodules."""

    name: str
    family: str
    width: int
    height: int
    module: nn.Module
    script: torch.jit.ScriptModule
    kind: str = "tensor"  # of the input
    extra_files: dict[str, bytes] = field(default_factory=dict)

    def example(self, seed: int = 0) -> Tensor | list[Tensor]:
        image = torch.rand(1, 3, self.height, self.width, generator=torch.Generator().manual_seed(seed))
        return [image[0]] if self.kind == "list" else image

    def input_flag(self) -> str:
        return f"{self.width}x{self.height}" + (",list" if self.kind == "list" else "")


def settle(model: nn.Module, run: Callable[[], object]) -> None:
    """Statistics of the normalisations from what the random weights really produce: deep nets would fade out otherwise."""
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # a plain average
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        run()
    for norm in norms:
        norm.momentum = 0.1
        norm.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)


def own(name: str, how: str) -> Entry:
    """One of architectures.py; how: scripted or traced."""
    torch.manual_seed(0)
    width, height = architectures.SIZES[name]
    model = architectures.MODELS[name]()
    image = torch.rand(4, 3, height, width)
    settle(model, lambda: model(image))
    script = torch.jit.script(model) if how == "scripted" else torch.jit.trace(model, image[:1])
    return Entry(f"{name}_{how}", "own", width, height, model, script)


def import_torchvision(library: Path | None):
    """torchvision, with our own operators (torchvision_ops.cpp) where its library does not fit the installed torch."""
    if library:
        torch.ops.load_library(str(library))
    import torchvision
    from torchvision import extension
    from torchvision.ops import roi_align

    if library:

        def _has_ops() -> bool:
            return True

        extension._has_ops = roi_align._has_ops = _has_ops
    return torchvision


def torchvision_model(name: str, library: Path | None) -> Entry:
    detection = import_torchvision(library).models.detection
    options, width, height = TORCHVISION[name]
    torch.manual_seed(0)
    model = getattr(detection, name)(weights=None, weights_backbone=None, **options)
    images = [torch.rand(3, height, width) for _ in range(2)]
    settle(model, lambda: model(images))
    return Entry(name, "torchvision", width, height, model, torch.jit.script(model), kind="list")


def ultralytics_model(name: str) -> Entry:
    """Through ultralytics' own exporter, which fuses a copy of the model, traces that and adds config.txt to the archive."""
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.gettempdir())
    from ultralytics import YOLO
    from ultralytics.engine.exporter import Exporter

    torch.manual_seed(0)
    width, height = ULTRALYTICS[name]
    yolo = YOLO(f"{name}.yaml", verbose=False)
    image = torch.rand(2, 3, height, width)
    settle(yolo.model, lambda: yolo.model(image))
    with tempfile.TemporaryDirectory() as folder:
        yolo.model.pt_path = str(Path(folder) / f"{name}.pt")
        exporter = Exporter(overrides={"format": "torchscript", "imgsz": [height, width], "batch": 1, "verbose": False})
        path = exporter(model=yolo.model)
        extra = {"config.txt": b""}
        script = torch.jit.load(str(path), _extra_files=extra)
    return Entry(name, "ultralytics", width, height, exporter.model, script, extra_files=extra)


def names() -> list[str]:
    return [f"{n}_{how}" for n in architectures.MODELS for how in ("scripted", "traced")] + [*ULTRALYTICS, *TORCHVISION]


def build(name: str, library: Path | None = None) -> Entry:
    if name in TORCHVISION:
        return torchvision_model(name, library)
    if name in ULTRALYTICS:
        return ultralytics_model(name)
    return own(*name.rsplit("_", 1))
