#!/usr/bin/env python3
"""Shared weights from the command line: relatives of a demo model are planned, checked, compared and written again, and the
bundle runs in plain torch as the weights put together do. Skipped where Python has no torch, or the video is missing.

    shared_weights_test.py --binary repsim
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
ROOT = Path(__file__).resolve().parents[2]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
SIZES = {"near": 0.01, "far": 0.03}  # of the change, in standard deviations of a weight

try:
    import torch
except ImportError:
    print("skipped: Python has no torch")
    sys.exit(SKIPPED)


def write_relative(path: Path, size: float, seed: int) -> None:
    extra = {"config.txt": ""}
    model = torch.jit.load(str(ROOT / "demo/plain.pt"), _extra_files=extra)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in (one for one in model.parameters() if one.dim() == 4):
            rows, columns = weight.shape[0], weight[0].numel()
            change = torch.randn(rows, 1, generator=random) @ torch.randn(1, columns, generator=random)
            change += 0.1 * torch.randn(rows, columns, generator=random)
            weight += size * weight.std() * change.view_as(weight)
    torch.jit.save(model, str(path), _extra_files=extra)


class Job:
    def __init__(self, binary: Path, folder: Path):
        self.binary, self.folder = binary, folder
        (folder / "origin.pt").write_bytes((ROOT / "demo/plain.pt").read_bytes())
        for seed, (name, size) in enumerate(SIZES.items()):
            write_relative(folder / f"{name}.pt", size, seed)

    def run(self, *words: str, expected: int = 0) -> str:
        done = subprocess.run([self.binary, *words], cwd=self.folder, capture_output=True, text=True, timeout=1700)
        assert done.returncode == expected, f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def plan(self, out: str, *more: str) -> dict:
        self.run("plan", "origin.pt", "near.pt", "far.pt", "--video", str(VIDEO), "--frames", "48", "--threads", "1", "--min-evidence", "1",
                 "--max-trials", "3", "--out", out, *more)  # fmt: skip
        return json.loads((self.folder / out / "plan.json").read_text())


def put_together(job: Job, plan: dict, share: dict, bundle: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """The receiver with the weights of its share written into its own file: by plain torch."""
    model = torch.jit.load(str(job.folder / f"{share['receiver']}.pt"))
    donor = dict(torch.jit.load(str(job.folder / f"{share['donor']}.pt")).named_parameters())
    own = dict(model.named_parameters())
    added = {name: value for name, value in bundle.named_parameters() if name.startswith(f"{share['receiver']}.shared.weight")}
    downs = {name.removesuffix(".down"): value for name, value in added.items() if name.endswith(".down")}
    changed = [one for one in share["weights"] if one["rank"] > 0]
    assert len(downs) == len(changed), (len(downs), len(changed))
    # Folders are numbered in the order of the parameters, as the entries of the share are.
    folders = sorted(downs, key=lambda name: int(name.rpartition("weight")[2]))
    with torch.no_grad():
        for one in share["weights"]:
            weight = donor[f"{one['donor_layer']}.weight"].double()
            if one["rank"] > 0:
                folder = folders.pop(0)
                down, up = downs[folder].double(), added[f"{folder}.up"].double()
                assert down.shape[0] == one["rank"]
                weight = weight + (up.flatten(1) @ down.flatten(1)).view_as(weight)
            own[f"{one['layer']}.weight"].copy_(weight)
    return model


def check_outputs(job: Job, plan: dict) -> None:
    bundle = torch.jit.load(str(job.folder / "plan/bundle.pt"))
    torch.manual_seed(1)
    frames = torch.rand(2, 3, 240, 320)
    with torch.no_grad():
        for share in plan["shares"]:
            expected = put_together(job, plan, share, bundle)(frames)
            found = getattr(bundle, f"run_{share['receiver']}")(frames)
            for one, other in zip(found, expected, strict=True):
                difference = (one.double() - other.double()).abs().max().item()
                assert difference <= 1e-5 * max(1.0, other.abs().max().item()), difference
    stored = sum({one.untyped_storage().data_ptr(): one.untyped_storage().nbytes()
                  for one in [*bundle.parameters(), *bundle.buffers()]}.values())  # fmt: skip
    assert stored == plan["totals"]["after"]["bytes"], (stored, plan["totals"]["after"]["bytes"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    args = parser.parse_args()
    if not VIDEO.exists():
        print(f"skipped: there is no {VIDEO}")
        return SKIPPED
    with tempfile.TemporaryDirectory() as folder:
        job = Job(args.binary.resolve(), Path(folder))
        plan = job.plan("plan", "--sharing", "weights", "--explain", "near")
        assert len(plan["shares"]) == 2 and all(share["weights"] for share in plan["shares"]), plan["shares"]
        donors = {share["donor"] for share in plan["shares"]}
        assert len(donors) == 1, donors
        for model in plan["models"]:
            assert model["fidelity"]["value"] >= 0.9, model["fidelity"]
        totals = plan["totals"]
        assert totals["after"]["bytes"] < 0.5 * totals["before"]["bytes"], totals
        check_outputs(job, plan)
        job.run("verify", "plan")
        job.run("check", "plan")
        job.run("bundle", "plan", "--out", "again.pt")
        assert (job.folder / "again.pt").read_bytes() == (job.folder / "plan/bundle.pt").read_bytes()
        both = job.plan("both", "--sharing", "both")
        assert both["totals"]["after"]["bytes"] <= totals["after"]["bytes"], (both["totals"], totals)
        layers = job.plan("layers", "--sharing", "representations")
        assert not any(share.get("weights") for share in layers["shares"])
        job.run("diff", "layers", "plan", "--exit-code", expected=5)
    print(f"shared weights: {totals['before']['bytes']} -> {totals['after']['bytes']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
