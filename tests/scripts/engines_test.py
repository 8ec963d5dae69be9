#!/usr/bin/env python3
"""Any engine: repsim verify --dump-inputs and --engine-outputs, and scripts/engines on the engines that are installed.

    .venv/bin/python tests/scripts/engines_test.py --binary build/release/bin/repsim

Exits with 77 (skipped) where NumPy or torch are not there; an engine that is not installed is skipped by itself.
"""
import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cli"))
from small_plan import Place  # noqa: E402

SKIPPED, DRIFT, INPUT = 77, 5, 3


class Engines(unittest.TestCase):
    binary: Path

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="repsim-engines-test-")
        cls.place = Place(cls.binary, ROOT, cls.temporary.name)
        code, _, err = cls.place.run(cls.place.command("--quiet"))
        assert code in (0, 4), err
        cls.work = cls.place.folder
        cls.plan = json.loads((cls.work / "out" / "plan.json").read_text())
        done = cls.verify("--dump-inputs", "inputs.npz")
        assert done.returncode == 0, done.stderr

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    @classmethod
    def verify(cls, *flags):
        command = [cls.place.binary, "verify", "out", "--json", "--quiet", "--threads", "1", *map(str, flags)]
        return subprocess.run(command, cwd=cls.work, capture_output=True, text=True, timeout=600, env=cls.place.environment())

    def inputs(self):
        import numpy

        with numpy.load(self.work / "inputs.npz") as file:
            return {name: file[name] for name in file.files}

    def in_torch(self, change=lambda key, value: value):
        """What plain Python torch returns for the frames, as outputs.npz."""
        import numpy
        import torch

        torch.set_num_threads(1)  # as repsim here: kernels split their sums by the number of threads
        inputs = self.inputs()
        outputs = {"frames": inputs["frames"]}
        bundle = torch.jit.load(str(self.work / "out" / "bundle.pt")).eval()
        modules = {("original", name): torch.jit.load(str(self.work / f"{name}.pt")).eval() for name in ("small", "wide")}
        with torch.no_grad():
            for side, name in [(side, name) for side in ("original", "bundle") for name in ("small", "wide")]:
                run = modules.get((side, name), getattr(bundle, f"run_{name}"))
                frames = [run(torch.from_numpy(inputs["images"][i : i + 1])) for i in range(len(inputs["frames"]))]
                for i in range(len(frames[0]) if isinstance(frames[0], tuple) else 1):
                    key = f"{side}/{name}/{i}"
                    outputs[key] = change(key, numpy.stack([(f[i] if isinstance(f, tuple) else f).numpy() for f in frames]))
        return outputs

    def judged(self, outputs, name="outputs.npz"):
        import numpy

        numpy.savez(self.work / name, **outputs)
        return self.verify("--engine-outputs", name)

    def test_InputsAreTheTestFramesAsTheModelsGetThem(self):
        inputs = self.inputs()
        self.assertEqual(sorted(inputs), ["calibration_frames", "calibration_images", "frames", "images"])
        self.assertEqual(list(inputs["frames"]), self.plan["frames"]["holdout"])
        self.assertEqual(inputs["images"].shape, (len(inputs["frames"]), 3, 48, 48))
        self.assertEqual(str(inputs["images"].dtype), "float32")
        self.assertTrue(0 <= inputs["images"].min() < inputs["images"].max() <= 1)
        self.assertLessEqual(set(inputs["calibration_frames"]), set(self.plan["frames"]["calibration"]))
        self.assertIsNone(zipfile.ZipFile(self.work / "inputs.npz").testzip())

    def test_TorchItselfAsEngineLosesNothing(self):
        done = self.judged(self.in_torch())
        self.assertEqual(done.returncode, 0, done.stderr)
        for model in json.loads(done.stdout)["models"]:
            self.assertTrue(model["engine"]["original"]["bit_identical"], model["engine"]["original"])
            self.assertAlmostEqual(model["engine"]["bundle"]["value"], model["fidelity"]["value"], places=3)

    def test_HalfPrecisionIsTakenAndNoiseIsSeen(self):
        import numpy

        random = numpy.random.default_rng(1)
        half = lambda _, value: value.astype(numpy.float16) if value.dtype == numpy.float32 else value  # noqa: E731
        self.assertEqual(self.judged(self.in_torch(half)).returncode, 0)

        def noisy(key, value):
            return value + random.normal(0, 5, value.shape).astype(value.dtype) if key == "bundle/small/0" else value

        done = self.judged(self.in_torch(noisy))
        small = json.loads(done.stdout)["models"][0]
        self.assertLess(small["engine"]["bundle"]["value"], small["fidelity"]["value"] - 0.05)
        self.assertTrue(small["engine"]["original"]["bit_identical"])

    def test_OneSideIsEnough(self):
        done = self.judged({key: value for key, value in self.in_torch().items() if not key.startswith("original")})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIsNone(json.loads(done.stdout)["models"][0]["engine"]["original"])

    def test_WhatIsWrongIsNamed(self):
        import numpy

        good = self.in_torch()

        def but(**changes):
            changed = {key: value for key, value in good.items() if changes.get(key, 0) is not None}
            return changed | {key: value for key, value in changes.items() if value is not None}

        first = good["bundle/small/0"]
        cases = {
            "a name": (but(**{"bundel/small/0": first}), "no place for an array 'bundel/small/0'", "did you mean 'bundle/small'"),
            "a missing tensor": (but(**{"bundle/small/7": first}), "arrays bundle/small/", "bundle/small/0"),
            "a shape": (but(**{"bundle/small/0": first[:, ..., :-1]}), "it has the shape", "bundle/small/0"),
            "fewer frames": (but(**{"bundle/small/0": first[:-1]}), "it has the shape", "bundle/small/0"),
            "a type": (but(**{"bundle/small/0": first.astype(numpy.int64)}), "it has the type <i8", "bundle/small/0"),
            "an unknown type": (but(**{"bundle/small/0": first.astype(">f4")}), "'>f4' are not read", "bundle/small/0"),
            "other frames": (but(frames=good["frames"] + 1), "for other frames", "frames"),
            "no frames": (but(frames=None), "no array 'frames'", "--dump-inputs"),
        }
        for name, (outputs, problem, where) in cases.items():
            done = self.judged(outputs, "wrong.npz")
            self.assertEqual(done.returncode, INPUT, f"{name}: {done.stderr}")
            self.assertIn(problem, done.stderr, name)
            self.assertIn(where, done.stderr, name)
            self.assertIn("wrong.npz", done.stderr, name)

    def test_DamagedFilesAreNamed(self):
        self.judged(self.in_torch())
        whole = (self.work / "outputs.npz").read_bytes()
        for name, data in (("cut", whole[: len(whole) // 2]), ("text", b"no archive"), ("empty", b"")):
            (self.work / "wrong.npz").write_bytes(data)
            done = self.verify("--engine-outputs", "wrong.npz")
            self.assertEqual(done.returncode, INPUT, name)
            self.assertIn("wrong.npz", done.stderr)
            self.assertIn("numpy.savez", done.stderr)
        self.assertEqual(self.verify("--engine-outputs", "none.npz").returncode, INPUT)

    def run_engine(self, engine, precision):
        command = [sys.executable, ROOT / "scripts" / "engines" / "run_engine.py", self.work / "out", "--inputs", self.work / "inputs.npz",
                   "--out", self.work / "engine.npz", "--engine", engine, "--precision", precision, "--threads", 1,
                   "--json", self.work / "facts.json"]  # fmt: skip
        done = subprocess.run([str(word) for word in command], cwd=self.work, capture_output=True, text=True, timeout=1200)
        if done.returncode == SKIPPED:
            self.assertIn("skipped: ", done.stdout)
            self.skipTest(done.stdout.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.verify("--engine-outputs", "engine.npz")

    def check_engine(self, engine, precision, original, beside_merging):
        """original: the least that originals keep; beside_merging: the most that the engine takes from the bundle."""
        done = self.run_engine(engine, precision)
        self.assertIn(done.returncode, (0, DRIFT), done.stderr)
        for model in json.loads(done.stdout)["models"]:
            self.assertGreaterEqual(model["engine"]["original"]["value"], original, model)
            self.assertGreaterEqual(model["engine"]["bundle"]["value"], model["fidelity"]["value"] - beside_merging, model)
        facts = json.loads((self.work / "facts.json").read_text())
        self.assertGreater(facts["bundle"]["bytes"], 0)
        self.assertGreater(facts["bundle"]["ms_per_frame"], 0)

    # In float32 other kernels add up in another order: a detection more or less at a threshold, no more.
    def test_OnnxRuntimeInFloat(self):
        self.check_engine("onnxruntime", "fp32", 0.99, 0.01)

    def test_OpenVinoInFloat(self):
        self.check_engine("openvino", "fp32", 0.99, 0.01)

    # Weights of 8 bits change a tiny detector of random weights much; that it runs and is judged is the point.
    def test_OnnxRuntimeInBytes(self):
        self.check_engine("onnxruntime", "int8", 0.2, 1)

    def test_OpenVinoInBytes(self):
        self.check_engine("openvino", "int8", 0.2, 1)

    # The labels of detectors of two classes are integers, which ncnn does not compute.
    def test_NcnnSaysThatItComputesNoIntegers(self):
        command = [sys.executable, ROOT / "scripts" / "engines" / "run_engine.py", "out", "--inputs", "inputs.npz", "--out", "x.npz",
                   "--engine", "ncnn", "--precision", "fp16"]  # fmt: skip
        done = subprocess.run([str(word) for word in command], cwd=self.work, capture_output=True, text=True, timeout=300)
        if done.returncode == SKIPPED:
            self.skipTest(done.stdout.strip())
        self.assertEqual(done.returncode, 1)
        self.assertIn("the engine computes no integers, and output 2 of small changes with the frame", done.stderr)
        self.assertFalse((self.work / "x.npz").exists())

    def test_TensorRtIsSkippedWithAMessageWhereItIsMissing(self):
        if importlib.util.find_spec("tensorrt") is not None:
            self.skipTest("tensorrt is installed")
        with self.assertRaises(unittest.SkipTest) as skipped:
            self.run_engine("tensorrt", "fp16")
        self.assertIn("tensorrt", str(skipped.exception))

    def test_APrecisionThatAnEngineLacksIsNamed(self):
        command = [sys.executable, ROOT / "scripts" / "engines" / "run_engine.py", "out", "--inputs", "inputs.npz", "--out", "x.npz",
                   "--engine", "ncnn", "--precision", "int8"]  # fmt: skip
        done = subprocess.run([str(word) for word in command], cwd=self.work, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--precision fp32 or fp16", done.stderr)


class OneClass(Engines):
    """The demo's person detectors: their labels are the same on all frames, so ncnn can run the rest."""

    VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")

    @classmethod
    def setUpClass(cls):
        if not cls.VIDEO.exists():
            raise unittest.SkipTest(f"{cls.VIDEO} is not there")
        cls.temporary = tempfile.TemporaryDirectory(prefix="repsim-engines-test-")
        cls.place = Place(cls.binary, ROOT, cls.temporary.name)
        cls.work = cls.place.folder
        models = [str(ROOT / "demo" / f"{name}.pt") for name in ("plain", "mobile")]
        code, _, err = cls.place.run([cls.place.binary, "plan", *models, "--video", str(cls.VIDEO), "--frames", "32", "--share", "plain<-mobile",
                                      "--min-fidelity", "0", "--max-trials", "1", "--out", "out", "--quiet"])  # fmt: skip
        assert code == 0, err
        done = cls.verify("--dump-inputs", "inputs.npz")
        assert done.returncode == 0, done.stderr

    def test_NcnnInHalfPrecision(self):
        # pnnx converts plain as it was exported into something else, which --engine-outputs shows; as a bundle it is right.
        self.check_engine("ncnn", "fp16", 0, 0.05)


for name in [name for name in vars(Engines) if name.startswith("test_")]:
    setattr(OneClass, name, None)  # those of the small detectors run once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    arguments, rest = parser.parse_known_args()
    missing = [package for package in ("numpy", "torch") if importlib.util.find_spec(package) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed (scripts/setup.sh --with-runtimes)")
        return SKIPPED
    Engines.binary = arguments.binary.resolve()
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
