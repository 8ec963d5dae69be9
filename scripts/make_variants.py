#!/usr/bin/env python3
"""Make many detectors that are relatives of the demo's three: for studies of plans of many models.

    make_variants.py --out FOLDER [--count 16] [--seed 1]

Variant k has the architecture of demo model k mod 3, with
  - all weights perturbed (each by 1 to 3 % of itself, as fine-tuning would),
  - another head: its hidden channels permuted and rescaled, which changes every weight of it and not what it computes,
  - another depth, every other three: a block more that passes on what it gets, or (mobile) one of the repeated blocks less.
Inputs and outputs are the demo's. Needs torch.
"""
import argparse
import io
import json
from pathlib import Path

import torch
from torch import nn

from demo.archive import CONFIG, without_traces_of_the_machine
from demo.models import MODELS, BasicBlock, conv_bn_relu, to_torchscript

DEMO = Path(__file__).resolve().parents[1] / "demo"


def trained(name: str) -> nn.Module:
    model = MODELS[name]()
    model.load_state_dict(torch.jit.load(str(DEMO / f"{name}.pt")).state_dict(), strict=False)
    return model.eval()


def perturb(model: nn.Module, generator: torch.Generator) -> None:
    size = 0.01 + 0.02 * torch.rand(1, generator=generator).item()
    for parameter in model.parameters():
        parameter.data *= 1 + size * torch.randn(parameter.shape, generator=generator)


def hidden_of(name: str, head: nn.Module) -> list[tuple[nn.Sequential, list[nn.Conv2d]]]:
    """Blocks convolution, normalisation, ReLU, and what reads them."""
    if name == "plain":
        return [(level[0], [level[1]]) for level in head]
    if name == "mobile":
        return [(head.tower[1], [head.score, head.box])]
    return [(head.score_tower, [head.score]), (head.box_tower, [head.box])]


def rotate_head(name: str, model: nn.Module, generator: torch.Generator) -> None:
    """Permutations and positive factors pass through a ReLU."""
    for (convolution, norm, _), readers in hidden_of(name, model.head):
        order = torch.randperm(convolution.out_channels, generator=generator)
        factor = 0.5 + torch.rand(len(order), generator=generator)
        convolution.weight.data = convolution.weight.data[order]
        norm.running_mean.data, norm.running_var.data = norm.running_mean.data[order], norm.running_var.data[order]
        norm.weight.data, norm.bias.data = norm.weight.data[order] * factor, norm.bias.data[order] * factor
        for reader in readers:
            reader.weight.data = reader.weight.data[:, order] / factor[None, :, None, None]


def change_depth(name: str, model: nn.Module) -> None:
    backbone = model.backbone
    if name == "plain":  # one more, which passes on what it gets: that is not negative
        block = conv_bn_relu(64, 64)
        nn.init.dirac_(block[0].weight)
        block[1].running_var.data.fill_(1 - block[1].eps)
        backbone.stage3 = nn.Sequential(*backbone.stage3, block)
    elif name == "mobile":  # one less
        backbone.stage2 = nn.Sequential(*list(backbone.stage2)[:-1])
    else:  # one more, whose branch gives nothing yet
        block = BasicBlock(64, 64, 1)
        nn.init.zeros_(block.body[4].weight)
        backbone.layer3 = nn.Sequential(*backbone.layer3, block)


def variant(index: int, seed: int) -> tuple[str, bytes]:
    name = list(MODELS)[index % len(MODELS)]
    generator = torch.Generator().manual_seed(1000 * seed + index)
    torch.manual_seed(1000 * seed + index)
    model = trained(name)
    if index // len(MODELS) % 2 == 1:
        change_depth(name, model)
    rotate_head(name, model, generator)
    perturb(model, generator)
    stream = io.BytesIO()
    torch.jit.save(to_torchscript(name, model.eval()), stream, _extra_files={"config.txt": json.dumps(CONFIG)})
    return f"{name}{index}", without_traces_of_the_machine(stream.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for index in range(args.count):
        name, content = variant(index, args.seed)
        (args.out / f"{name}.pt").write_bytes(content)
        print(args.out / f"{name}.pt")


if __name__ == "__main__":
    main()
