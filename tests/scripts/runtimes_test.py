#!/usr/bin/env python3
"""Bundles on other runtimes: scripts/bundle_to_onnx.py and scripts/bundle_to_ncnn.py on bundles of the demo's models.

    .venv/bin/python tests/scripts/runtimes_test.py --binary build/release/bin/repsim

Exits with 77 (skipped) where the packages or the demo's video are not there.
"""
import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
PACKAGES = ("onnx", "onnxruntime", "pnnx", "ncnn")
SKIPPED = 77


def script(name, *arguments):
    command = [sys.executable, ROOT / "scripts" / name, *arguments]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)


class Bundles(unittest.TestCase):
    binary: Path
    models = (ROOT / "demo" / "plain.pt", ROOT / "demo" / "mobile.pt")  # receiver and donor
    flags: tuple[str, ...] = ()  # of the plan

    @classmethod
    def setUpClass(cls):
        """A share that is forced, so that the bundle holds an adapter, a refit and weights that two models use."""
        cls.folder = tempfile.TemporaryDirectory(prefix="repsim-runtimes-")
        cls.work = Path(cls.folder.name)
        cls.bundle = cls.work / "plan" / "bundle.pt"
        receiver, donor = (model.stem for model in cls.models)
        command = [cls.binary, "plan", *cls.models, "--video", VIDEO, "--out", cls.work / "plan", "--frames", 32, "--share",
                   f"{receiver}<-{donor}", "--min-fidelity", 0, "--max-trials", 1, "--quiet", *cls.flags]  # fmt: skip
        subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=600)
        cls.plan = json.loads((cls.work / "plan" / "plan.json").read_text())
        shares = cls.plan["shares"]
        assert shares and shares[0]["receiver"] == receiver, "the plan shares nothing: these tests would say little"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def left(self):
        return sorted(path.name for path in self.work.iterdir() if path.name != "plan")

    def tearDown(self):
        for name in self.left():
            (self.work / name).unlink()

    def images(self, batch):
        import numpy

        return numpy.random.default_rng(5).random((batch, 3, 240, 320), dtype=numpy.float32)

    def wanted(self, *images):
        """What plain torch says: the tensors of both models (detectors: boxes, scores, labels), in order."""
        import torch

        with torch.no_grad():
            results = torch.jit.load(str(self.bundle))(*map(torch.from_numpy, images))
        return [tensor.numpy() for model in results for tensor in (model if isinstance(model, tuple) else (model,))]


class TwoInputs(Bundles):
    """The donor sees the frame letterboxed and larger, so its maps are lined up with the receiver's by constant matrices."""

    models = (ROOT / "tests" / "fixtures" / "small.pt", ROOT / "tests" / "fixtures" / "shuffle.pt")
    flags = ("--input", "small=64x48", "--input", "shuffle=96x48,letterbox", "--refit", "off", "--layers", "backbone.stage3*")

    def test_OnnxTakesBothAndGivesWhatTheBundleGives(self):
        import numpy
        import onnxruntime

        kinds = {one["adapter"] for one in self.plan["shares"][0]["replaced"]}
        self.assertTrue(any("resample" in kind for kind in kinds), kinds)
        out = self.work / "bundle.onnx"
        done = script("bundle_to_onnx.py", self.bundle, out)
        self.assertEqual(done.returncode, 0, done.stderr)
        session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        random = numpy.random.default_rng(6)
        images = [random.random((1, 3, 48, width), dtype=numpy.float32) for width in (64, 96)]
        names = [one.name for one in session.get_inputs()]
        self.assertEqual(len(names), 2)
        got = session.run(None, dict(zip(names, images, strict=True)))
        for place, (one, wanted) in enumerate(zip(got, self.wanted(*images), strict=True)):
            numpy.testing.assert_allclose(one, wanted, rtol=0, atol=1e-4 * max(abs(wanted).max(), 1), err_msg=str(place))


class Runtimes(Bundles):
    def test_OnnxGivesWhatTheBundleGivesForAnyBatch(self):
        import numpy
        import onnxruntime

        out = self.work / "bundle.onnx"
        done = script("bundle_to_onnx.py", self.bundle, out, "--dynamic-batch")
        self.assertEqual(done.returncode, 0, done.stderr)
        session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
        names = [f"{model}_{kind}" for model in ("plain", "mobile") for kind in ("boxes", "scores", "labels")]
        self.assertEqual([one.name for one in session.get_outputs()], names)
        for batch in (1, 2):
            images = self.images(batch)
            for name, got, wanted in zip(names, session.run(None, {"images": images}), self.wanted(images)):
                # other kernels add up in another order; 1e-4 of the largest value is what the script promises
                numpy.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * max(abs(wanted).max(), 1), err_msg=name)
        self.assertEqual(self.left(), ["bundle.onnx"])

    def test_OnnxOfOneModelHoldsThatModelAlone(self):
        import onnxruntime

        whole, one = self.work / "whole.onnx", self.work / "one.onnx"
        self.assertEqual(script("bundle_to_onnx.py", self.bundle, whole).returncode, 0)
        done = script("bundle_to_onnx.py", self.bundle, one, "--model", "mobile", "--opset", 15)
        self.assertEqual(done.returncode, 0, done.stderr)
        session = onnxruntime.InferenceSession(str(one), providers=["CPUExecutionProvider"])
        self.assertEqual([o.name for o in session.get_outputs()], ["mobile_boxes", "mobile_scores", "mobile_labels"])
        self.assertLess(one.stat().st_size, whole.stat().st_size)

    def test_NcnnGivesWhatTheBundleGives(self):
        import ncnn
        import numpy

        out = self.work / "bundle"
        done = script("bundle_to_ncnn.py", self.bundle, out)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("left out, because they are integers: plain_labels, mobile_labels", done.stdout)
        images = self.images(1)
        wanted = self.wanted(images)
        net = ncnn.Net()
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
        self.assertEqual((net.load_param(f"{out}.param"), net.load_model(f"{out}.bin")), (0, 0))
        extractor = net.create_extractor()
        extractor.input("images", ncnn.Mat(images[0]).clone())
        for name, place in (("plain_boxes", 0), ("plain_scores", 1), ("mobile_boxes", 3), ("mobile_scores", 4)):
            got = numpy.array(extractor.extract(name)[1])
            tolerance = 1e-4 * abs(wanted[place]).max()
            numpy.testing.assert_allclose(got, wanted[place][0], rtol=0, atol=tolerance, err_msg=name)
        del extractor
        self.assertEqual(self.left(), ["bundle.bin", "bundle.param"])

    def test_AnotherToleranceFailsAndWritesNothing(self):
        for name, out in (("bundle_to_onnx.py", "x.onnx"), ("bundle_to_ncnn.py", "x")):
            done = script(name, self.bundle, self.work / out, "--tolerance", "1e-12")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertRegex(done.stderr, r"^error: .*nothing was written:\n  \w+_\w+: differs by ")
            self.assertEqual(self.left(), [])

    def test_WhatIsNoBundleIsNamed(self):
        for arguments, message in (
            ([ROOT / "demo" / "plain.pt"], "plain.pt: holds no repsim.json, so it is no bundle"),
            ([ROOT / "README.md"], "README.md: not a TorchScript file"),
            ([self.work / "none.pt"], "none.pt: no such file"),
            ([self.bundle, "--model", "none"], "has no model 'none'\n  it has plain, mobile"),
        ):
            for name in ("bundle_to_onnx.py", "bundle_to_ncnn.py"):
                done = script(name, arguments[0], self.work / "x", *arguments[1:])
                self.assertEqual(done.returncode, 1)
                self.assertIn(message, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
                self.assertEqual(self.left(), [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, required=True)
    arguments, rest = parser.parse_known_args()
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed (scripts/setup.sh --with-runtimes)")
        return SKIPPED
    if not VIDEO.exists():
        print(f"skipped: {VIDEO} is not there")
        return SKIPPED
    Bundles.binary = arguments.binary.resolve()
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
