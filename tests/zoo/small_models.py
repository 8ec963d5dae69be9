#!/usr/bin/env python3
"""The small models of tests/fixtures in one bundle without shares, opened by plain torch: the very outputs of the originals.

    .venv/bin/python tests/zoo/small_models.py --binary build/release/bin/repsim [--doc docs/research/zoo.md --tests .../repsim_torch_tests]

Structure and types count too: named tuples with their fields, dictionaries with their keys in order, None where the original has
None. The code inside has to stay readable: the originals' names, and not much more text than they have. --doc also inspects
each model, reads what the tests that splice independently say of it (--tests), and writes the table of the page's section on
small models. Exits with 77 (skipped) where torch or the demo's video are not there.
"""
import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
SKIPPED = 77
FRAMES = 24
SIZE = "64x48"
REFUSED = ("nan", "no_tensor", "raises", "optimised", "torch-1.8/mobile")
LEFT_OUT = ("custom_op", "config")  # needs a library; is `small`
INPUTS = {"images": SIZE + ",list", "bytes": SIZE + ",nhwc,uint8"}
# A bundle has the code of its models twice, in forward and in run_<model>, operation by operation; originals have every branch
# of every function that they call. Measured: 0.42 times theirs.
CODE_TIMES = 1
HEADING = "## Small models"


def animals() -> dict[str, Path]:
    """Name in the plan -> file."""
    found = {}
    for path in [*sorted(FIXTURES.glob("*.pt")), *sorted((FIXTURES / "zoo").rglob("*.pt"))]:
        name = str(path.relative_to(FIXTURES / "zoo" if "zoo" in path.parts else FIXTURES).with_suffix(""))
        if name not in (*REFUSED, *LEFT_OUT):
            found[re.sub(r"\W", "_", name)] = path
    return found


def difference(own: object, got: object, at: str = "output") -> str:
    """Empty where both are the same in structure, types and bits."""
    import torch

    if type(own).__name__ != type(got).__name__:
        return f"{at} is {type(got).__name__}, the original has {type(own).__name__}"
    if isinstance(own, torch.Tensor):
        if own.dtype != got.dtype or own.shape != got.shape:
            return f"{at} is {got.dtype} {list(got.shape)}, the original has {own.dtype} {list(own.shape)}"
        return "" if torch.equal(own, got) else f"{at} has other values"
    if isinstance(own, dict):
        if list(own) != list(got):
            return f"{at} has the keys {list(got)}, the original has {list(own)}"
        return next(filter(None, (difference(own[key], got[key], f"{at}[{key!r}]") for key in own)), "")
    if isinstance(own, (tuple, list)):
        if len(own) != len(got) or getattr(own, "_fields", None) != getattr(got, "_fields", None):
            return f"{at} has {len(got)} entries {getattr(got, '_fields', '')}, the original has {len(own)} {getattr(own, '_fields', '')}"
        return next(filter(None, (difference(a, b, f"{at}[{i}]") for i, (a, b) in enumerate(zip(own, got)))), "")
    return "" if own == got else f"{at} is {got!r}, the original has {own!r}"


def code_bytes(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(one.file_size for one in archive.infolist() if "/code/" in one.filename and one.filename.endswith(".py"))


class Bundle:
    def __init__(self, binary: Path, folder: Path):
        self.paths = animals()
        flags = [word for name, path in self.paths.items() for word in (f"--model={name}={path}", f"--input={name}={INPUTS.get(name, SIZE)}")]
        command = [binary.resolve(), "plan", *flags, "--exclude", "*", "--min-fidelity", 1, "--video", VIDEO, "--frames", FRAMES,
                   "--out", folder / "plan", "--quiet"]  # fmt: skip
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
        if done.returncode not in (0, 4):  # 0: normalisations that start alike are stored once without being a share
            raise SystemExit(f"the plan ends with {done.returncode}: {done.stderr}")
        self.path = folder / "plan" / "bundle.pt"
        self.plan = json.loads((folder / "plan" / "plan.json").read_text())
        self.entries = {entry["name"]: entry for entry in self.plan["models"]}

    def images(self, seed: int) -> dict[str, object]:
        """What each model is fed, fresh each time: some write into theirs."""
        import torch

        def one(name: str) -> object:
            x = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(seed))
            if name == "images":
                return [x[0]]
            return (x * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous() if name == "bytes" else x

        return {name: one(name) for name in self.paths}

    def arguments(self, images: dict[str, object]) -> list[object]:
        return [images[group["models"][0]] for group in self.plan["inputs"]]

    def failures(self) -> dict[str, str]:
        """What is wrong, per model; nothing where all is well."""
        import torch

        extra = {"repsim.json": ""}
        bundle, alone = torch.jit.load(str(self.path), _extra_files=extra), torch.jit.load(str(self.path))
        attributes = {model["name"]: model["attribute"] for model in json.loads(extra["repsim.json"])["models"]}
        originals = {name: torch.jit.load(str(path)).eval() for name, path in self.paths.items()}
        failures = {}
        for seed in (1, 2):
            together = bundle(*self.arguments(self.images(seed)))
            images, again = self.images(seed), self.images(seed)
            for i, (name, original) in enumerate(originals.items()):
                own = original(images[name])
                failure = difference(own, together[i])
                if not failure and self.entries[name]["transparent"]:
                    method = getattr(alone, self.entries[name]["run_method"])
                    failure = difference(own, method(again[name]), self.entries[name]["run_method"])
                if failure:
                    failures.setdefault(name, failure)
        names = {name for name, _ in [*bundle.named_parameters(), *bundle.named_buffers()]}
        for name, original in originals.items():
            own = {path for path, _ in [*original.named_parameters(), *original.named_buffers()]}
            kept = [path.removeprefix(attributes[name] + ".") for path in names if path.startswith(attributes[name] + ".")]
            # Weights of frozen archives are constants of their code: they have no names.
            strange = [path for path in kept if path not in own and not path.startswith("constants")]
            if strange and self.entries[name]["transparent"]:
                failures.setdefault(name, f"{strange[0]} is no name of the original's")
        return failures

    def code(self) -> tuple[int, int]:
        return code_bytes(self.path), sum(map(code_bytes, self.paths.values()))


def splices(tests: Path, folder: Path) -> dict[str, str]:
    """What the test that splices independently says of each model."""
    result = folder / "tests.json"
    command = [tests.resolve(), "--gtest_filter=*Zoo.TakesRepresentations*", f"--gtest_output=json:{result}"]
    subprocess.run([str(word) for word in command], capture_output=True, timeout=900, cwd=ROOT)
    words = {}
    for suite in json.loads(result.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            skipped = next((one["message"].strip().splitlines()[-1] for one in test.get("skipped", [])), "skipped")
            word = "FAILED" if "failures" in test else "yes" if test["result"] == "COMPLETED" else skipped
            words[test["name"].rpartition("/")[2]] = word
    return words


def section(bundle: Bundle, binary: Path, tests: Path, folder: Path, failures: dict[str, str]) -> str:
    import torch

    spliced = splices(tests, folder)
    code, own = bundle.code()
    lines = [
        HEADING, "",
        "`tests/zoo/small_models.py` writes this section. It has one small random model per way of writing that exporters have",
        "(`tests/fixtures/make.py`, `make_zoo.py`).",
        "",
        "- *Unchanged*: plain Python torch opens all of them in one bundle without shares. Structure, types and bits of every",
        "  output are the original's, in `forward` and in `run_<model>`.",
        "- *Spliced*: shares of all its cuts equal an independent splice to 1e-5 (`tests/bundle/zoo_test.cpp`, which also",
        "  compares S of all layers with a reference in float64: equal to 1e-5, to 1e-3 behind 8 bits).",
        "- *Inspect*, *load*: wall-clock seconds of `repsim inspect` and of `torch.jit.load`, with other programs on the same",
        "  cores.",
        "",
        f"torch {torch.__version__}. {len(bundle.paths)} models, {code // 1000} kB of code in the bundle, {own // 1000} kB in the originals.", "",
        "| model | layers | batch | unchanged | spliced | inspect | load |", "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    reasons = []
    for name, path in bundle.paths.items():
        begin = time.monotonic()
        done = subprocess.run([str(binary.resolve()), "inspect", str(path), "--input", INPUTS.get(name, SIZE), "--json", "--quiet"],
                              capture_output=True, text=True, timeout=120)  # fmt: skip
        seconds = time.monotonic() - begin
        found = json.loads(done.stdout)
        begin = time.monotonic()
        torch.jit.load(str(path))
        load = time.monotonic() - begin
        shown = str(path.relative_to(FIXTURES).with_suffix("")).removeprefix("zoo/")
        unchanged = f"FAILED: {failures[name]}" if name in failures else "yes"
        lines.append(f"| {shown} | {len(found['layers']) or 'none'} | {'any' if found['batchable'] else '1'} | {unchanged} | "
                     f"{spliced.get(name, '-')} | {seconds:.1f} | {load:.2f} |")  # fmt: skip
        if not found["transparent"]:
            reasons.append(f"- {shown}: it {found['opaque_reason']}")
    lines += ["", "Opaque, because:", "", *reasons, "", "Refused:", ""]
    for name in REFUSED:
        path = next(one for one in (FIXTURES / "zoo" / f"{name}.pt", FIXTURES / f"{name}.pt") if one.exists())
        done = subprocess.run([str(binary.resolve()), "inspect", str(path), "--input", SIZE, "--quiet"], capture_output=True, text=True, timeout=120)
        lines.append(f"- {name}: {re.search(r'error: +(.*)', done.stderr).group(1)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--doc", type=Path, help="write the section on small models of this page")
    parser.add_argument("--tests", type=Path, help="the program of tests that splices, for --doc")
    args = parser.parse_args()
    try:
        import torch
    except ImportError:
        print("skipped: no torch")
        return SKIPPED
    if not VIDEO.exists():
        print(f"skipped: no {VIDEO}")
        return SKIPPED
    torch.set_grad_enabled(False)
    with tempfile.TemporaryDirectory(prefix="repsim-small-models-") as name:
        bundle = Bundle(args.binary, Path(name))
        failures = bundle.failures()
        code, own = bundle.code()
        if code > CODE_TIMES * own:
            failures["bundle.code"] = f"{code} bytes, more than {CODE_TIMES} times the {own} of the originals"
        for name_, failure in failures.items():
            print(f"FAILED {name_}: {failure}")
        if args.doc:
            text = args.doc.read_text().partition(HEADING)[0].rstrip("\n")
            args.doc.write_text(text + "\n\n" + section(bundle, args.binary, args.tests, Path(name), failures))
        print(f"code: {code} bytes, originals {own}")
        print(f"{len(bundle.paths) + 1 - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
