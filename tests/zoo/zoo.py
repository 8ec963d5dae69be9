#!/usr/bin/env python3
"""Real detector architectures with random weights through the repsim binary; the outcome as a table, docs/research/zoo.md.

    python tests/zoo/zoo.py --repsim build/release/bin/repsim --work FOLDER [--only NAME ...] [--doc docs/research/zoo.md]

Needs torch of the binary's version with torchvision and ultralytics (whose license is AGPL: a tool of this test, never a part
of repsim) and the demo's video. For every model: export; `inspect`; a plan that may share nothing, whose bundle has
to be bit-identical to the originals; a plan that forces layers of the demo's detector `plain` on it and one that forces its
layers on `plain`, which have to equal a splice made here with hooks on the modules that were exported, to 1e-5 of each
output's scale. Results stay in FOLDER/results.json, so that models can be run one by one. torchvision_ops.cpp stands in
where torchvision's own library does not fit the installed torch.
"""
import argparse
import copy
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(Path(__file__).resolve().parent)]
import builders  # noqa: E402
from demo.models import Plain  # noqa: E402

VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
PARTNER = ROOT / "demo" / "plain.pt"
FRAMES = 24
TOLERANCE = 1e-5
SMALL_MODELS = "## Small models"


def compile_operators(work: Path) -> Path | None:
    """Our own operators as a library; None where torchvision's load."""
    probe = [sys.executable, "-c", "import torchvision, torch; torch.ops.torchvision.nms"]
    if subprocess.run(probe, capture_output=True).returncode == 0:
        return None
    library, home = work / "torchvision_ops.so", Path(torch.__file__).parent
    source = Path(__file__).with_name("torchvision_ops.cpp")
    if not library.exists() or library.stat().st_mtime < source.stat().st_mtime:
        includes = [word for path in ("include", "include/torch/csrc/api/include") for word in ("-isystem", home / path)]
        command = ["g++", "-O2", "-std=c++20", "-shared", "-fPIC", *includes, source, "-o", library, f"-L{home / 'lib'}",
                   "-ltorch", "-ltorch_cpu", "-lc10"]  # fmt: skip
        subprocess.run([str(word) for word in command], check=True)
    return library


class Binary:
    def __init__(self, path: Path, library: Path | None):
        self.path, self.library = path.resolve(), library

    def __call__(self, *arguments) -> tuple[int, str, str]:
        library = [f"--library={self.library}"] if self.library else []
        command = [str(self.path), *map(str, arguments), *library, "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        return done.returncode, done.stdout, done.stderr.strip() or "(it says nothing)"


def tensors(value: object) -> list[Tensor]:
    """All tensors of an output, in order; dictionaries by key, as scripted and eager models fill them in other orders."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for key in sorted(value) for t in tensors(value[key])]
    return [t for one in value for t in tensors(one)]


ACTIVATIONS = {"aten::relu", "aten::relu_", "aten::silu", "aten::silu_", "aten::hardswish", "aten::hardswish_"}

ACTIVATION_MODULES = (torch.nn.ReLU, torch.nn.SiLU, torch.nn.Hardswish)
LINEAR = (torch.nn.Conv2d, torch.nn.BatchNorm2d)


class Hooks:
    """Reads or replaces what layers of a model produce. A layer is the name of a module and the number of its call.

    Where one activation module serves many blocks, the module before it names the layer: the value is then what the
    next call of an activation returns (`activated`: names of layers whose block ends so)."""

    def __init__(self, model: torch.nn.Module, activated: set[str]):
        self.modules, self.handles, self.activated = dict(model.named_modules(remove_duplicate=False)), [], activated

    def on(self, layer: str, action):
        name, _, call = layer.partition("@")
        wanted, seen, armed, claimed = int(call or 1), [0], [False], [None]
        later = layer in self.activated and isinstance(self.modules[name], LINEAR)

        def hook(_module, inputs, output):
            if claimed[0] is not None and inputs[0] is claimed[0]:
                return None
            seen[0] += 1
            if seen[0] != wanted:
                return None
            armed[0] = later
            return None if later else action(output)

        def activation_hook(_module, _inputs, output):
            if not armed[0]:
                return None
            armed[0] = False
            return action(output)

        self.handles.append(self.modules[name].register_forward_hook(hook))
        for module in set(self.modules.values()) if later else ():
            if isinstance(module, ACTIVATION_MODULES):
                self.handles.append(module.register_forward_hook(activation_hook))
        # Calls that end a block which the module before names are no calls of this layer.
        for other in self.activated if isinstance(self.modules[name], ACTIVATION_MODULES) else ():
            if isinstance(before := self.modules.get(other.partition("@")[0]), LINEAR):
                self.handles.append(before.register_forward_hook(lambda _m, _i, output: claimed.__setitem__(0, output)))

    def remove(self):
        for handle in self.handles:
            handle.remove()


def adapt(value: Tensor, like: list[int], path: str, parameters: dict[str, Tensor]) -> Tensor:
    """What the bundle makes of a donor's map before the receiver gets it; path: where it keeps its adapter."""
    def stored(kind: str, shape: list[int]) -> Tensor | None:  # equal matrices are stored once, under any number
        folder = path.rpartition(".")[0] + "."
        return next((v for p, v in parameters.items()
                     if p.startswith(folder) and p.endswith(kind) and list(v.shape) == shape), None)  # fmt: skip

    if (columns := stored(".columns", [value.shape[3], like[1]])) is not None:
        value = value @ columns
    if (rows := stored(".rows", [like[0], value.shape[2]])) is not None:
        value = rows @ value
    if list(value.shape[2:]) != like:
        smaller = value.shape[2] >= like[0] and value.shape[3] >= like[1]
        value = F.adaptive_avg_pool2d(value, like) if smaller else F.interpolate(value, like, mode="bilinear")
    weight = parameters.get(f"{path}.weight")
    return value if weight is None else F.conv2d(value, weight, parameters[f"{path}.bias"])


def refitted(model: torch.nn.Module, name: str, parameters: dict[str, Tensor]) -> torch.nn.Module:
    """A copy of the model with the weights that the bundle has for its convolutions."""
    model = copy.deepcopy(model)
    for path, module in model.named_modules(remove_duplicate=False):
        if not isinstance(module, torch.nn.Conv2d) or f"{name}.{path}.weight" not in parameters:
            continue
        module.weight = torch.nn.Parameter(parameters[f"{name}.{path}.weight"], requires_grad=False)
        if (bias := parameters.get(f"{name}.{path}.bias")) is not None:
            module.bias = torch.nn.Parameter(bias, requires_grad=False)
    return model


def given_maps(donor, donor_image, share: dict, activated: set[str]) -> dict[str, Tensor]:
    """What the donor's layers of a share produce."""
    kept: dict[str, Tensor] = {}
    reading = Hooks(donor, activated)
    for layer in {one["donor_layer"] for one in share["replaced"]}:
        reading.on(layer, lambda out, name=layer: kept.__setitem__(name, out.clone()))
    donor(donor_image)
    reading.remove()
    return kept


def splice(receiver, image, kept: dict[str, Tensor], share: dict, parameters: dict[str, Tensor], activated: set[str], scripted: bool):
    """The receiver's output with the share done by hand. scripted: by its script, where script and module round differently
    and every layer is the only call of its module."""
    receiver = refitted(receiver, share["receiver"], parameters)
    writing, values, calls = Hooks(receiver, activated), {}, {}
    for i, one in enumerate(share["replaced"]):
        layer = one["receiver_layer"]

        def action(out: Tensor, layer=layer, value=kept[one["donor_layer"]], i=i) -> Tensor:
            values[layer] = adapt(value, list(out.shape[2:]), f"{share['receiver']}.shared.{i}", parameters)
            return values[layer]

        def count(*_, layer=layer) -> None:
            calls[layer] = calls.get(layer, 0) + 1

        writing.on(layer, action)
        writing.handles.append(writing.modules[layer.partition("@")[0]].register_forward_hook(count))
    result = receiver(image)
    writing.remove()
    modules = {layer: receiver.get_submodule(layer.partition("@")[0]) for layer in values}
    if not scripted or any(calls[layer] > 1 or (layer in activated and isinstance(modules[layer], LINEAR)) for layer in values):
        return result
    for layer, value in values.items():
        receiver.set_submodule(layer, Given(value))
    return torch.jit.script(receiver)(image)


class Given(torch.nn.Module):
    """Takes a layer's place."""

    def __init__(self, value: Tensor):
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        return self.value


class Check:
    """One model against the partner."""

    def __init__(self, entry: builders.Entry, work: Path, binary: Binary):
        self.entry, self.work, self.binary, self.row = entry, work, binary, {"family": entry.family}
        self.path = work / f"{entry.name}.pt"
        torch.jit.save(entry.script, str(self.path), _extra_files=entry.extra_files)
        self.flags = [] if entry.extra_files else ["--input", f"{entry.name}={entry.input_flag()}"]
        self.partner = Plain().eval()
        self.partner.load_state_dict(torch.jit.load(str(PARTNER)).state_dict(), strict=False)
        self.images = [entry.example(1), torch.rand(1, 3, 240, 320, generator=torch.Generator().manual_seed(2))]

    def run(self) -> dict:
        code, out, error = self.binary("inspect", self.path, *self.flags, "--json")
        if code != 0:
            return self.row | {"failure": f"inspect ends with {code}: {error}"}
        found = json.loads(out)
        names = [layer["name"] for layer in found["layers"]]
        self.activated = {layer["name"] for layer in found["layers"] if layer["ops"][-1] in ACTIVATIONS}
        modules = dict(self.entry.module.named_modules(remove_duplicate=False))
        self.opaque = not found["transparent"]
        self.row |= {
            "input": f"{self.entry.width}x{self.entry.height} {self.entry.kind}", "parameters": found["parameters"],
            "layers": len(names), "opaque": found["opaque_reason"] if self.opaque else "", "batchable": found["batchable"],
            "format": found["output"]["format"],
        }  # fmt: skip
        # What has no module of its own cannot be hooked; neither can modules whose output is no single tensor.
        self.excluded = sorted({re.sub(r"@\d+$", "", n) for n in names if n.partition("@")[0] not in modules})
        self.row["none"] = self.plan_without_shares()
        if not self.opaque:
            self.row["receives"] = self.plan_with_share("receives", 0, 1, "off")
            self.row["refit"] = self.plan_with_share("refit", 0, 1, "on")
            self.row["gives"] = self.plan_with_share("gives", 1, 0, "off")
        return self.row

    def plan(self, name: str, *more) -> tuple[int, str, Path]:
        out = self.work / f"{self.entry.name}.{name}"
        models = [f"--model={self.entry.name}={self.path}", f"--model=plain={PARTNER}"]
        begin = time.monotonic()
        code, _, error = self.binary("plan", *models, *self.flags, "--video", VIDEO, "--frames", FRAMES, "--out", out, "--force",
                                     "--max-trials", 1, *more)  # fmt: skip
        self.row[f"{name}_s"] = round(time.monotonic() - begin, 1)
        return code, error, out

    def outputs(self, out: Path) -> tuple[list[list[Tensor]], dict[str, Tensor]]:
        begin = time.monotonic()
        bundle = torch.jit.load(str(out / "bundle.pt"))
        self.row["load_s"] = round(time.monotonic() - begin, 2)
        parameters = dict(bundle.named_parameters()) | dict(bundle.named_buffers())
        # models with equal inputs share one argument
        images = self.images if len(bundle.forward.schema.arguments) == 3 else self.images[:1]
        if len(images) == 1:
            self.images[1] = images[0]
        return [tensors(one) for one in bundle(*images)], parameters

    def plan_without_shares(self) -> str:
        code, error, out = self.plan("none", "--min-fidelity", 1, "--exclude", "*")
        # 0: what both models have alike (norms that start equal) is stored once without being a share
        if code not in (0, 4):
            return f"exit code {code}: {error}"
        if json.loads((out / "plan.json").read_text())["shares"]:
            return "shares though every layer is excluded"
        found, _ = self.outputs(out)
        for path, image, got in zip((self.path, PARTNER), self.images, found):
            wanted = tensors(torch.jit.load(str(path))(image))
            if len(got) != len(wanted) or not all(torch.equal(a, b) for a, b in zip(got, wanted)):
                return f"{path.stem}: not bit-identical"
        entries = json.loads((out / "plan.json").read_text())["models"]
        return "" if all(m["fidelity"]["bit_identical"] for m in entries) else "plan.json does not say bit_identical"

    def plan_with_share(self, step: str, receiver: int, donor: int, refit: str) -> dict:
        names, modules = (self.entry.name, "plain"), (self.entry.module, self.partner)
        exclude = [word for name in self.excluded for word in ("--exclude", name + "*")]
        code, error, out = self.plan(step, "--share", f"{names[receiver]}<-{names[donor]}", "--min-fidelity", 0, "--refit", refit,
                                     *exclude)  # fmt: skip
        if code != 0:
            return {"failure": f"exit code {code}: {error.splitlines()[0]}"}
        plan = json.loads((out / "plan.json").read_text())
        share = plan["shares"][0]
        found, parameters = self.outputs(out)
        activated = (self.activated, set())
        kept = given_maps(modules[donor], self.images[donor], share, activated[donor])
        # The scripts of torchvision's detectors resize pictures by another formula.
        scripted = receiver == 0 and self.entry.family == "torchvision"
        wanted = tensors(splice(modules[receiver], self.images[receiver], kept, share, parameters, activated[receiver], scripted))
        donors = tensors(torch.jit.load(str((self.path, PARTNER)[donor]))(self.images[donor]))
        result = {"layers": len(share["replaced"]), "bytes_removed": share["bytes_removed"], "error": 0.0, "failure": "",
                  "replaced": [f"{r['receiver_layer']} <- {r['donor_layer']} ({r['adapter']})" for r in share["replaced"]],
                  "fidelity": share["measured_fidelity"], "refitted": any(r["refit"] for r in share["replaced"])}  # fmt: skip
        if not all(torch.equal(a, b) for a, b in zip(found[donor], donors)):
            result["failure"] = "the donor is not bit-identical"
        for got, want in zip(found[receiver], wanted, strict=True):
            if got.shape != want.shape:
                return result | {"failure": f"shape {list(got.shape)} instead of {list(want.shape)}"}
            scale = max(float(want.abs().max()), 1e-12) if want.numel() else 1.0
            result["error"] = max(result["error"], float((got - want).abs().max()) / scale if want.numel() else 0.0)
        own = tensors(torch.jit.load(str((self.path, PARTNER)[receiver]))(self.images[receiver]))
        if all(torch.equal(a, b) for a, b in zip(found[receiver], own)):
            result["failure"] = "the receiver gives what it gave before the share"
        if not result["error"] <= TOLERANCE:
            result["failure"] = f"differs from the splice by {result['error']:.1e}"
        return result


def cell(part: dict | None) -> str:
    if part is None:
        return "-"
    if part["failure"]:
        return f"FAILED: {part['failure'].splitlines()[0]}"
    return f"{part['layers']} layers, {part['error']:.0e}" + (", refitted" if part.get("refitted") else "")


def document(results: dict) -> str:
    lines = [
        "# Zoo", "",
        "Detector architectures with random weights, run through repsim by `tests/zoo/zoo.py`, which writes this page.",
        "",
        "- *Unchanged*: a plan without shares gives a bundle that is bit-identical to the originals, in plain Python torch.",
        "- *Receives*, *gives*: layers replaced in a forced share from and to the demo's detector `plain`, and the largest",
        "  difference between the bundle and a splice made with hooks in Python, relative to the output's largest magnitude.",
        "- *Refit*: as *receives*, but repsim may solve the receiver's next convolutions again.",
        "- *Plan*: wall-clock seconds of the plan that *receives*, on one thread, with other programs on the same cores: upper",
        "  bounds. *Load*: seconds of `torch.jit.load`.",
        "",
        "A model without layers is opaque.",
        "",
        f"torch {torch.__version__}, {FRAMES} frames of vtest.avi.",
        "The models yolo* are Ultralytics' own exports, the last five are torchvision's, scripted, the others those of",
        "`tests/zoo/architectures.py`. Faster R-CNN receives in a splice that is scripted itself: module and script differ by",
        "3e-5 pixels; with random weights and most of a backbone replaced, that is enough to give a box another place.",
        "",
        "| model | input | parameters | layers | batch | format | unchanged | receives | refit | gives | plan | load |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    reasons = []
    for name in builders.names():
        if name not in results:
            continue
        row = results[name]
        if "input" not in row:
            lines.append(f"| {name} | FAILED: {row['failure'].splitlines()[0]} |  |  |  |  |  |  |  |  |")
            continue
        unchanged = f"FAILED: {row['none'].splitlines()[0]}" if row["none"] else "yes"
        lines.append(
            f"| {name} | {row['input']} | {row['parameters'] / 1e6:.2f} M | {row['layers'] or 'none'} | "
            f"{'any' if row['batchable'] else '1'} | {row['format']} | {unchanged} | {cell(row.get('receives'))} | "
            f"{cell(row.get('refit'))} | {cell(row.get('gives'))} | {row.get('receives_s', '-')} | {row.get('load_s', '-')} |"
        )
        if row["opaque"]:
            reasons.append(f"- {name}: it {row['opaque']}")
    return "\n".join(lines + (["", "Opaque, because:", "", *reasons] if reasons else [])) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repsim", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=builders.names(), default=builders.names(), metavar="NAME")
    parser.add_argument("--doc", type=Path, help="write the table of all results in the work folder here")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_grad_enabled(False)
    store = args.work / "results.json"
    results = json.loads(store.read_text()) if store.exists() else {}
    library = compile_operators(args.work) if set(args.only) & set(builders.TORCHVISION) else None
    for name in args.only:
        begin = time.monotonic()
        try:
            entry = builders.build(name, library)
            row = Check(entry, args.work, Binary(args.repsim, library if entry.family == "torchvision" else None)).run()
        except Exception as error:  # one model must not end the run of the others
            row = {"failure": f"{type(error).__name__}: {error}"}
        row["seconds"] = round(time.monotonic() - begin, 1)
        results[name] = row
        store.write_text(json.dumps(results, indent=1))
        print(json.dumps({name: row}), flush=True)
    if args.doc:
        small = args.doc.read_text().partition(SMALL_MODELS) if args.doc.exists() else ("", "", "")  # small_models.py writes it
        args.doc.write_text(document(results) + ("\n" + "".join(small[1:]) if small[1] else ""))
    bad = [name for name in args.only if "FAILED" in document({name: results[name]})]
    print(f"{len(args.only) - len(bad)} of {len(args.only)} pass" + (f"; failed: {', '.join(bad)}" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
