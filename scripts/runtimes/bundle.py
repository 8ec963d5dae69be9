"""A bundle of repsim as a plain function for exporters: one tensor per input in, a flat tuple of named tensors out."""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor


def fail(problem: str, remedy: str = "") -> NoReturn:
    raise SystemExit(f"error: {problem}" + (f"\n  {remedy}" if remedy else ""))


@dataclass
class Input:
    name: str  # "images", or "images_<model>" after the first model that takes it where there are several
    width: int
    height: int


@dataclass
class Flat:
    """What is exported: `module` takes one float32 [B, 3, height, width] per input and returns a tuple of tensors."""

    module: torch.jit.ScriptModule
    inputs: list[Input]
    outputs: list[str]  # "<model>_boxes", "<model>_<index>", "<model>_<key>"
    left_out: list[str] = field(default_factory=list)  # outputs of the bundle that are not among them
    places: list[tuple[str, int]] = field(default_factory=list)  # per output its model and its place in what that returns

    def example(self, seed: int, batch: int = 1) -> list[Tensor]:
        """Noise of the range that repsim feeds by default, 0..1."""
        random = torch.Generator().manual_seed(seed)
        return [torch.rand(batch, 3, one.height, one.width, generator=random) for one in self.inputs]

    def run(self, images: list[Tensor]) -> list[Tensor]:
        with torch.no_grad():
            return list(self.module(*images))


def read(path: Path) -> tuple[torch.jit.ScriptModule, dict]:
    """The bundle and the manifest inside its archive."""
    if not path.is_file():
        fail(f"{path}: no such file")
    extra = {"repsim.json": ""}
    try:
        bundle = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    except RuntimeError as error:
        fail(f"{path}: not a TorchScript file that this torch can load: {str(error).splitlines()[0]}")
    if not extra["repsim.json"]:
        fail(f"{path}: holds no repsim.json, so it is no bundle", "give the bundle.pt that repsim plan wrote")
    return bundle, json.loads(extra["repsim.json"])


def arguments_of(method: torch.ScriptMethod) -> list[int]:
    """The input groups that a method takes; its arguments are called x0, x1, ... after them."""
    return [int(argument.name[1:]) for argument in method.schema.arguments[1:]]


def inputs_of(manifest: dict, groups: list[int]) -> list[Input]:
    result = []
    for group in groups:
        spec = manifest["inputs"][group]
        users = [model["attribute"] for model in manifest["models"] if model["input_group"] == group]
        if spec["kind"] != "tensor":
            fail(f"{', '.join(users)}: takes a {spec['kind']} of images; only models that take one tensor can be exported")
        name = "images" if len(groups) == 1 else f"images_{users[0]}"
        result.append(Input(name, spec["width"], spec["height"]))
    return result


def leaves(value: object, expression: str, name: str) -> list[tuple[str, str, Tensor]]:
    """Every tensor in a model's output: the TorchScript that picks it, its name, its value."""
    if isinstance(value, Tensor):
        return [(expression, name, value)]
    if isinstance(value, (tuple, list)):
        return [leaf for i, one in enumerate(value) for leaf in leaves(one, f"{expression}[{i}]", f"{name}_{i}")]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return [leaf for k, one in value.items() for leaf in leaves(one, f"{expression}[{k!r}]", f"{name}_{k}")]
    fail(f"{name}: returns a {type(value).__name__}; only tensors, and tuples, lists and dicts of them can be exported")


def named(model: dict, found: list[tuple[str, str, Tensor]]) -> list[str]:
    """boxes, scores and labels where the manifest says that these are what the model returns."""
    if model["output"]["format"] == "boxes-scores-labels" and len(found) == 3:
        kinds = ["labels" if not t.is_floating_point() else "boxes" if t.dim() == 3 else "scores" for *_, t in found]
        if len(set(kinds)) == 3:
            return [f"{model['attribute']}_{kind}" for kind in kinds]
    return [name for _, name, _ in found]


def flatten(holder: torch.nn.Module, call: str, groups: list[int], inputs: list[Input], models: list[dict], results: list[object],
            integers: bool, path: Path) -> Flat:
    """A function of plain tensors around `call`, whose result is that of `models[0]`, or a tuple with that of each."""
    flat = Flat(holder, inputs, [])
    picks = []
    for i, model in enumerate(models):
        expression = "result" if len(results) == 1 and not isinstance(results, tuple) else f"result[{i}]"
        found = leaves(results[i], expression, model["attribute"])
        for place, (name, (pick, _, tensor)) in enumerate(zip(named(model, found), found)):
            if integers or tensor.is_floating_point():
                picks.append(pick)
                flat.outputs.append(name)
                flat.places.append((model["attribute"], place))
            else:
                flat.left_out.append(name)
    if not picks:
        fail(f"{path}: no output is left to export")
    flat.module = torch.jit.script(holder)
    arguments = ", ".join(f"x{group}" for group in groups)
    code = f"def forward(self, {arguments}):\n  result = {call}({arguments})\n  return ({', '.join(picks)},)\n"
    try:
        flat.module.define(code)
    except RuntimeError as error:
        fail(f"{path}: the outputs cannot be made a flat tuple: {error}")
    flat.module.eval()
    return flat


def open_bundle(path: Path, model_name: str | None = None, integers: bool = True) -> Flat:
    """The whole bundle, or one of its models. integers: also outputs that are no floating point numbers."""
    bundle, manifest = read(path)
    models = manifest["models"]
    method = "forward"
    if model_name is not None:
        known = [model["name"] for model in models]
        if model_name not in known:
            fail(f"{path}: has no model '{model_name}'", f"it has {', '.join(known)}")
        models = [model for model in models if model["name"] == model_name]
        method = models[0]["run_method"]
    groups = arguments_of(getattr(bundle, method))
    inputs = inputs_of(manifest, groups)
    with torch.no_grad():
        results = getattr(bundle, method)(*Flat(bundle, inputs, []).example(0))
    holder = torch.nn.Module()
    holder.bundle = bundle
    return flatten(holder, f"self.bundle.{method}", groups, inputs, models, [results] if model_name is not None else results, integers, path)


def open_original(path: Path, manifest: dict, model: dict, integers: bool = True) -> Flat:
    """A model as it was before merging. model: its entry in the manifest of the bundle."""
    try:
        original = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        fail(f"{path}: not a TorchScript file that this torch can load: {str(error).splitlines()[0]}")
    group = model["input_group"]
    every = inputs_of(manifest, list(range(len(manifest["inputs"]))))
    inputs = [every[group]]
    with torch.no_grad():
        result = original(*Flat(original, inputs, []).example(0))
    holder = torch.nn.Module()
    holder.original = original
    return flatten(holder, "self.original", [group], inputs, [model], [result], integers, path)


def compare(flat: Flat, images: list[Tensor], found: list[Tensor], tolerance: float) -> list[str]:
    """What differs from the bundle on these images, one text per output; floats within tolerance times the output's
    largest magnitude, integers exactly."""
    problems = []
    for name, wanted, got in zip(flat.outputs, flat.run(images), found):
        if wanted.shape != got.shape:
            problems.append(f"{name}: shape {list(got.shape)} instead of {list(wanted.shape)}")
        elif not wanted.is_floating_point():
            wrong = int((wanted != got).sum())
            if wrong:
                problems.append(f"{name}: {wrong} of {wanted.numel()} values differ")
        else:
            scale = max(float(wanted.abs().max()), 1e-12) if wanted.numel() else 1.0
            error = float((wanted - got).abs().max()) / scale if wanted.numel() else 0.0
            print(f"  {name} {list(wanted.shape)}: largest difference {error:.1e} of its scale {scale:.3g}")
            if not error <= tolerance:  # NaN fails too
                problems.append(f"{name}: differs by {error:.1e} of its scale, tolerance {tolerance:.0e}")
    return problems
