"""pytorch-cka and torch-cka on the demo's detectors: their cost in units of forward passes, their S beside repsim's.

    bench/run calls it: peers.py INPUTS.npy SIMILARITY_FOLDER OUT.json A.pt B.pt

Hooks need modules with code, so the demo's architectures are built again and given the files' weights. Layers are the
modules that repsim names layers after, compared where the module's output is that layer.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ.update(TQDM_DISABLE="1", MPLBACKEND="Agg")  # read when the tools are imported

import numpy as np  # noqa: E402
import torch  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
from demo import models as demo  # noqa: E402

BATCH = 16


def eager(path):
    """The architecture of a demo model with the weights of its file, its activations not in place: hooks keep outputs."""
    classes = {"plain": "Plain", "mobile": "Mobile", "residual": "Residual"}
    model = getattr(demo, classes[Path(path).stem])()
    model.load_state_dict(torch.jit.load(path).state_dict(), strict=False)
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU | torch.nn.ReLU6):
            module.inplace = False
    return model.eval()


def common_layers(model, layers, inputs):
    """Layers of repsim that are one module's output, used once."""
    seen = {}
    handles = [
        module.register_forward_hook(lambda _, __, out, name=name: seen.setdefault(name, []).append(out))
        for name, module in model.named_modules()
    ]
    with torch.inference_mode():
        model(inputs[:2])
    for handle in handles:
        handle.remove()
    return [name for name in layers if len(seen.get(name, [])) == 1 and isinstance(seen[name][0], torch.Tensor)]


def reference(pair, names, batches):
    """S in float64 from the same modules' outputs: unbiased HSIC as the tools and repsim define it."""
    products = 0
    for (batch,) in batches:
        centred = []
        for model, chosen in zip(pair, names):
            outputs = {}
            modules = dict(model.named_modules())
            handles = [modules[name].register_forward_hook(lambda _, __, out, name=name: outputs.setdefault(name, out)) for name in chosen]
            with torch.inference_mode():
                model(batch)
            for handle in handles:
                handle.remove()
            grams = torch.stack([x.flatten(1).double() @ x.flatten(1).double().T for x in (outputs[name] for name in chosen)])
            n = grams.shape[1]
            grams.diagonal(dim1=1, dim2=2).zero_()
            sums = grams.sum(2, keepdim=True)
            grams = grams - (sums + sums.transpose(1, 2)) / (n - 2) + grams.sum((1, 2), keepdim=True) / ((n - 1) * (n - 2))
            grams.diagonal(dim1=1, dim2=2).zero_()
            centred.append(grams.flatten(1))
        both = torch.cat(centred)
        products = products + both @ both.T
    norms = products.diagonal().sqrt()
    rows = len(names[0])
    return (products / norms / norms[:, None])[:rows, rows:].clamp(0, 1).numpy()


def fastest(work, rounds):
    best = float("inf")
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def main():
    inputs_path, similarity, out, *paths = sys.argv[1:]
    warnings.simplefilter("ignore")
    inputs = torch.from_numpy(np.load(inputs_path)).float().reshape(-1, 3, demo.HEIGHT, demo.WIDTH)
    batches = [(inputs[i : i + BATCH],) for i in range(0, len(inputs), BATCH)]
    listed = json.loads((Path(similarity) / "similarity.json").read_text())
    matrix = np.load(Path(similarity) / listed["matrix"]["file"])
    pair = [eager(path) for path in paths]
    names = [common_layers(model, entry["layers"], inputs) for model, entry in zip(pair, listed["models"])]
    rows, cols = (
        [entry["first"] + entry["layers"].index(name) for name in chosen]
        for entry, chosen in zip(listed["models"], names)
    )
    ours = matrix[np.ix_(rows, cols)]

    def bare():
        with torch.inference_mode():
            for (batch,) in batches:
                for model in pair:
                    model(batch)

    bare()
    forward = fastest(bare, 3)
    print(f"\nother tools, {len(inputs)} frames, {len(names[0])} and {len(names[1])} layers, relative to both forward passes")
    report = {"frames": len(inputs), "layers": [len(chosen) for chosen in names], "forward_seconds": forward}

    exact = reference(pair, names, batches)

    def state(name, seconds, values):
        difference = float(np.abs(values - exact).max())
        cost = f"{seconds / forward:7.2f}x" if seconds else "        "
        print(f"  {name:<24} {cost}   largest difference of S to float64 {difference:.1e}")
        report[name] = {"ratio": seconds and seconds / forward, "largest_difference": difference}

    state("repsim", None, np.clip(ours, 0, 1))

    import cka

    found = {}

    class Loader:
        """What both tools take for a data loader: a list would be several of them."""

        dataset = "frames"

        def __init__(self, batches):
            self.batches = list(batches)

        def __iter__(self):
            return iter(self.batches)

        def __len__(self):
            return len(self.batches)

    def pytorch_cka():
        (found["pytorch-cka"],) = cka.compute_cka(
            *pair, Loader(batch for (batch,) in batches), layers=names[0], model2_layers=names[1], device="cpu", progress=False
        )

    state("pytorch-cka 1.1.3", fastest(pytorch_cka, 2), found["pytorch-cka"].numpy())

    from torch_cka import CKA

    tool = CKA(*pair, "a", "b", model1_layers=names[0], model2_layers=names[1], device="cpu")

    def torch_cka():
        with torch.inference_mode():
            tool.compare(Loader(batches), Loader(batches))

    seconds = fastest(torch_cka, 1)
    # Its layers come in the order in which they ran.
    order = [[list(tool.model1_features).index(name) for name in names[0]],
             [list(tool.model2_features).index(name) for name in names[1]]]  # fmt: skip
    state("torch-cka 0.21", seconds, tool.hsic_matrix.numpy()[np.ix_(*order)].clip(0, 1))
    Path(out).write_text(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
