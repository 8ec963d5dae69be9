#!/usr/bin/env python3
"""What sharing only identical layers saves without retraining, on the models and frames of a plan that repsim wrote.

    python bench/identical_layers.py PLAN_DIR --min-fidelity 0.9 [0.8 …]

Known ways of merging models (GEMEL, NSDI 2023) keep one set of weights where layers of several models have the same
architecture, and retrain. Without retraining and labels, on frames alone, what remains of that is: two layers whose parameters
and buffers have the same names and shapes, in different models; the larger ones first; one takes the other's weights; kept
where every model stays at its target on the plan's selection frames. Undone from the last one on where a model falls
below it on the hold-out frames. For each layer the partner with the least distance of weights is tried. Prints a line of
JSON per target. Models return (boxes, scores, labels), inputs are stretched BGR.
"""
import argparse
import json
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from evaluate_detector import detect, fidelity, read_frames  # noqa: E402

PARTNERS = 1


@dataclass(eq=False)
class Layer:
    model: int
    name: str
    tensors: dict[str, torch.Tensor]

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def copy(self) -> dict[str, torch.Tensor]:
        return {name: tensor.clone() for name, tensor in self.tensors.items()}

    def take(self, values: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensor.copy_(values[name])

    def distance(self, other: "Layer") -> float:
        pairs = [(t.double(), other.tensors[n].double()) for n, t in self.tensors.items() if t.is_floating_point()]
        return sum(float((a - b).square().sum() / (a.square().sum() + b.square().sum() + 1e-12)) for a, b in pairs)


def layers_of(index: int, module: torch.jit.ScriptModule) -> list[Layer]:
    grouped = defaultdict(dict)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        prefix, _, last = name.rpartition(".")
        grouped[prefix][last] = tensor
    return [Layer(index, prefix, tensors) for prefix, tensors in grouped.items() if prefix]


def kind(layer: Layer) -> tuple:
    return tuple(sorted((name, tuple(t.shape), str(t.dtype)) for name, t in layer.tensors.items()))


class Study:
    def __init__(self, folder: Path):
        plan = json.loads((folder / "plan.json").read_text())
        spec = {name: one["spec"] for one in plan["inputs"] for name in one["models"]}
        self.paths = [Path(one["path"]) for one in plan["models"]]
        self.sizes = [(spec[one["name"]]["width"], spec[one["name"]]["height"]) for one in plan["models"]]
        self.thresholds = [one["output"]["score_threshold"] for one in plan["models"]]
        self.before = plan["totals"]["before"]["bytes"]
        video = Path(plan["video"]["path"])
        self.frames = {part: read_frames(video, plan["frames"][part]) for part in ("selection", "holdout")}
        models = [torch.jit.load(str(path)).eval() for path in self.paths]
        self.own = {part: [detect(m, s, f) for m, s in zip(models, self.sizes)] for part, f in self.frames.items()}

    def fidelity(self, part: str, index: int, module: torch.jit.ScriptModule) -> float:
        found = detect(module, self.sizes[index], self.frames[part])
        return fidelity(found, self.own[part][index], self.thresholds[index])

    def run(self, target: float) -> dict:
        begin = time.monotonic()
        models = [torch.jit.load(str(path)).eval() for path in self.paths]
        groups = defaultdict(list)
        for index, module in enumerate(models):
            for layer in layers_of(index, module):
                groups[kind(layer)].append(layer)
        groups = [g for g in groups.values() if len({one.model for one in g}) > 1]
        groups.sort(key=lambda g: -g[0].bytes)
        taken: list[tuple[Layer, dict]] = []
        takers, givers, trials = set(), set(), 0
        for group, layer in ((group, one) for group in groups for one in group):
            partners = [o for o in group if o.model != layer.model and id(o) not in takers]
            if id(layer) in givers:
                continue
            for partner in sorted(partners, key=layer.distance)[:PARTNERS]:
                before = layer.copy()
                layer.take(partner.tensors)
                trials += 1
                if self.fidelity("selection", layer.model, models[layer.model]) >= target:
                    taken.append((layer, before))
                    takers.add(id(layer))
                    givers.add(id(partner))
                    break
                layer.take(before)

        def worst() -> float:
            return min(self.fidelity("holdout", i, m) for i, m in enumerate(models))

        reached = worst()
        while taken and reached < target:
            layer, before = taken.pop()
            layer.take(before)
            reached = worst()
        saved = sum(layer.bytes for layer, _ in taken)
        return {"min_fidelity": target, "bytes_saved": saved, "of": self.before, "layers": len(taken), "trials": trials,
                "worst_fidelity": round(reached, 4), "seconds": round(time.monotonic() - begin, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="folder that repsim plan wrote")
    parser.add_argument("--min-fidelity", type=float, nargs="+", default=[0.9])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    study = Study(args.plan)
    for target in args.min_fidelity:
        print(json.dumps(study.run(target)), flush=True)


if __name__ == "__main__":
    main()
