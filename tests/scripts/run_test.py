#!/usr/bin/env python3
"""repsim run: its lines and its video against an independent computation, from a plan's folder and from a bundle alone.

    .venv/bin/python tests/scripts/run_test.py --binary build/release/bin/repsim

Exits with 77 (skipped) where torch, numpy, cv2 or the demo's video are not there.
"""
import argparse
import importlib.util
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
PACKAGES = ("torch", "numpy", "cv2")
SKIPPED = 77
THRESHOLD = 0.35
STRIDE, FRAMES = 50, 6


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return width * height / (area(a) + area(b) - width * height)


def frames_of(video, stride, count):
    import cv2

    capture, frames, index = cv2.VideoCapture(str(video)), {}, 0
    while len(frames) < count:
        there, frame = capture.read()
        if not there:
            break
        if index % stride == 0:
            frames[index] = frame
        index += 1
    return frames


def read_video(path):
    """Width and height, frames per second, frames."""
    import cv2

    capture, frames = cv2.VideoCapture(str(path)), []
    while True:
        there, frame = capture.read()
        if not there:
            return frames[0].shape[1::-1], capture.get(cv2.CAP_PROP_FPS), frames
        frames.append(frame)


def detections(outputs, frame):
    """Boxes in pixels of the frame, best first: class-wise NMS over boxes, scores, labels, by plain loops."""
    boxes, scores, labels = (tensor.reshape(-1, *tensor.shape[2:]).tolist() for tensor in outputs)
    height, width = frame.shape[:2]
    rows = [([x1 * width, y1 * height, x2 * width, y2 * height], score, label)
            for (x1, y1, x2, y2), score, label in zip(boxes, scores, labels)]  # fmt: skip
    rows = sorted((row for row in rows if row[1] >= 0.01), key=lambda row: -row[1])
    kept = []
    for row in rows:
        if all(row[2] != other[2] or iou(row[0], other[0]) <= 0.45 for other in kept):
            kept.append(row)
    return [row for row in kept if row[1] >= THRESHOLD]


def picture(frame):
    import cv2
    import numpy
    import torch

    small = cv2.resize(frame, (320, 240), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(numpy.ascontiguousarray(small.transpose(2, 0, 1))).float()[None] / 255


class Run(unittest.TestCase):
    binary: Path

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="repsim-run-")
        cls.work = Path(cls.folder.name)
        cls.models = {"plain": ROOT / "demo" / "plain.pt", "mobile": ROOT / "demo" / "mobile.pt",
                      "guarded": cls.work / "guarded.pt"}  # fmt: skip
        cls.write_guarded_model(cls.models["guarded"])
        code, _, stderr = cls.repsim(
            "plan", *cls.models.values(), "--input", "320x240", "--video", VIDEO, "--out", "plan", "--frames", 32,
            "--share", "plain<-mobile", "--min-fidelity", 0, "--max-trials", 1,
            "--format", "boxes-scores-labels")  # fmt: skip
        assert code == 0, stderr
        shares = json.loads((cls.work / "plan" / "plan.json").read_text())["shares"]
        assert shares, "the plan shares nothing: these tests would say little"
        cls.frames = frames_of(VIDEO, STRIDE, FRAMES)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def write_guarded_model(cls, path):
        """A detector that refuses bright pictures."""
        import torch

        class Guarded(torch.nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, x):
                if bool(x.mean() > 0.95):
                    raise RuntimeError("the picture is too bright")
                return self.inner(x)

        inner = torch.jit.load(str(ROOT / "demo" / "residual.pt"))
        torch.jit.script(Guarded(inner)).save(str(path))

    @classmethod
    def repsim(cls, *arguments, **options):
        command = [str(word) for word in (cls.binary, *arguments)]
        done = subprocess.run(command, cwd=cls.work, capture_output=True, text=True, timeout=600, **options)
        return done.returncode, done.stdout, done.stderr

    def run_repsim(self, *arguments):
        code, stdout, stderr = self.repsim("run", *arguments, "--quiet")
        self.assertEqual(code, 0, stderr)
        return stdout

    def lines(self, *arguments):
        text = self.run_repsim(*arguments, "--json", "-")
        return {(one["frame"], one["model"], one["source"]): one for one in map(json.loads, text.splitlines())}

    def assert_equal_boxes(self, line, expected, pixels, score_step):
        self.assertEqual(len(line["boxes"]), len(expected))
        rows = zip(line["boxes"], line["scores"], line["labels"])
        for (box, score, label), (own_box, own_score, own_label) in zip(
            sorted(rows, key=lambda row: -row[1]), sorted(expected, key=lambda row: -row[1])
        ):
            for own, other in zip(own_box, box):
                self.assertAlmostEqual(own, other, delta=pixels)
            self.assertAlmostEqual(own_score, score, delta=score_step)
            self.assertEqual(own_label, label)

    def compare(self, found, frames, pixels, score_step):
        """Compares lines with plain torch and plain loops. @param frames  by index in the video"""
        import torch

        bundle = torch.jit.load(str(self.work / "plan" / "bundle.pt"))
        originals = {name: torch.jit.load(str(path)) for name, path in self.models.items()}
        self.assertEqual(len(found), len(frames) * len(self.models) * 2)
        self.assertGreater(sum(len(one["boxes"]) for one in found.values()), 20, "the frames show nothing")
        for index, frame in frames.items():
            with torch.no_grad():
                merged = dict(zip(self.models, bundle(picture(frame))))
                for name in self.models:
                    for source, outputs in (("bundle", merged[name]), ("original", originals[name](picture(frame)))):
                        line = found[index, name, source]
                        self.assert_equal_boxes(line, detections(outputs, frame), pixels, score_step)
                        self.assertEqual(line["method"], "forward")
                        self.assertGreater(line["ms"], 0)

    def test_lines_of_a_video_hold_what_plain_torch_and_plain_loops_find(self):
        found = self.lines("plan", "--against", "plan", "--stride", STRIDE, "--frames", FRAMES)
        # Another build of FFmpeg rounds some pixels otherwise.
        self.compare(found, self.frames, pixels=0.5, score_step=0.01)

    def test_some_models_alone_find_the_same_as_all_together(self):
        all_models = self.lines("plan", "--stride", STRIDE, "--frames", 3)
        alone = self.lines("plan", "--stride", STRIDE, "--frames", 3, "--models", "plain")
        self.assertEqual(set(alone), {key for key in all_models if key[1] == "plain"})
        for key, line in alone.items():
            self.assertEqual(line["method"], "run_plain")
            self.assertEqual(len(line["boxes"]), len(all_models[key]["boxes"]))
            for box, other in zip(line["boxes"], all_models[key]["boxes"]):
                for a, b in zip(box, other):
                    self.assertAlmostEqual(a, b, delta=0.01)

    def test_a_bundle_alone_runs_on_a_folder_of_pictures(self):
        import cv2

        place = self.work / "box"
        (place / "shot").mkdir(parents=True)
        shutil.copy(self.work / "plan" / "bundle.pt", place / "merged.pt")
        for number, frame in enumerate(self.frames.values()):
            cv2.imwrite(str(place / "shot" / f"img{number}.png"), frame)
        found = self.lines("box/merged.pt", "--video", "box/shot", "--against", "plan")
        self.compare(found, dict(enumerate(self.frames.values())), pixels=0.01, score_step=1e-4)

    def test_the_drawn_video_has_a_tile_per_model_and_a_frame_per_frame(self):
        import cv2

        height, width = self.frames[0].shape[:2]
        some = ["--stride", STRIDE, "--frames", FRAMES]
        self.run_repsim("plan", "--models", "plain,mobile", *some, "--draw", "merged.mp4")
        size, rate, frames = read_video(self.work / "merged.mp4")
        self.assertEqual((len(frames), size), (FRAMES, (2 * width, height + 24)))
        self.assertAlmostEqual(rate, 10 / STRIDE, delta=0.01)
        for frame, original in zip(frames, self.frames.values()):
            changed = cv2.absdiff(frame[24:, :width], original).max(axis=2) > 60
            self.assertTrue(100 < changed.sum() < width * height / 4, "boxes are drawn on the frame itself")
        # Six tiles would be wider than the largest picture: all are made smaller by one factor.
        self.run_repsim("plan", "--against", "plan", "--frames", 2, "--draw", "both.avi", "--fps", 5)
        size, rate, frames = read_video(self.work / "both.avi")
        self.assertEqual((len(frames), rate, max(size)), (2, 5, 1920))

    def test_a_model_that_fails_is_named_with_its_frame_and_words(self):
        import cv2
        import numpy

        shot = self.work / "bright"
        shot.mkdir()
        for number, level in enumerate((90, 120, 255)):
            cv2.imwrite(str(shot / f"{number}.png"), numpy.full((240, 320, 3), level, numpy.uint8))
        for more in ([], ["--models", "guarded"]):
            files = ["--draw", "x.mp4", "--json", "x.jsonl"]
            code, stdout, stderr = self.repsim("run", "plan", "--video", "bright", *files, *more)
            self.assertEqual(code, 3, stderr)
            for words in ("guarded", "frame 2", "the picture is too bright"):
                self.assertIn(words, stderr)
            self.assertEqual(stdout, "")
            self.assertEqual([path.name for path in self.work.glob("x.*")], [])

    def test_an_interrupted_run_leaves_nothing(self):
        before = sorted(self.work.iterdir())
        command = [self.binary, "run", "plan", "--draw", "i.mp4", "--json", "i.jsonl", "-v", "--progress", "auto"]
        process = subprocess.Popen([str(word) for word in command], cwd=self.work, stderr=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)  # fmt: skip
        for line in process.stderr:
            if "run plain, mobile, guarded: begins" in line:
                break
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, stdout), (130, ""))
        self.assertEqual(sorted(self.work.iterdir()), before)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True, type=Path)
    arguments, rest = parser.parse_known_args()
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    missing += [] if VIDEO.exists() else [str(VIDEO)]
    if missing:
        print(f"skipped: {', '.join(missing)} is not there")
        sys.exit(SKIPPED)
    Run.binary = arguments.binary.resolve()
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
