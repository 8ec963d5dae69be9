"""What the studies in this folder share: results that stay in a file, clips without loss, and two judges of merged models
that share no code with repsim: scripts/evaluate_detector.py for the demo's detectors, the referee program for real ones."""
import argparse
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
REPSIM = ROOT / "build/release/bin/repsim"
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
DEMO = ("plain", "mobile", "residual")
REAL_INPUT = "352x352,bgr,stretch"
SCORE = 0.35  # at which the detectors are run
sys.path.insert(0, str(ROOT / "scripts"))
import evaluate_detector as own  # noqa: E402


class Results:
    """results.json of a folder. What is there is not made again, so an interrupted study goes on."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "results.json"
        self.values = json.loads(self.file.read_text()) if self.file.exists() else {}

    def once(self, key: str, make: Callable[[], dict]) -> dict:
        if key not in self.values:
            self.values[key] = make()
            self.file.write_text(json.dumps(self.values, indent=1))
            print(key, json.dumps(self.values[key]), flush=True)
        return self.values[key]


def parser_of(description: str | None, threads: int = 0) -> argparse.ArgumentParser:
    """What all studies ask for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--repsim", type=Path, default=REPSIM)
    parser.add_argument("--threads", type=int, default=threads)
    return parser


def publish(study, doc: Path | None) -> None:
    """Runs a study; its tables are printed, and written where that is asked."""
    study.run()
    tables = study.tables()
    print(tables)
    if doc:
        doc.write_text(tables)


def run(command: Iterable, allowed: tuple[int, ...] = (0,)) -> str:
    """Standard output of a command; ends this program where it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode not in allowed:
        sys.exit(f"{' '.join(words)}\nexit {done.returncode}: {done.stderr}")
    return done.stdout


def write_clip(path: Path, frames: range, change: Callable[[np.ndarray, int], np.ndarray] | None = None, video: Path = VIDEO,
               compression: int = 1) -> Path:  # fmt: skip
    """A part of a video without loss, pictures one after the other; `change` is given a frame and its index."""
    if path.exists():
        return path
    partial = path.with_suffix(".partial")
    source = cv2.VideoCapture(str(video))
    with partial.open("wb") as file:
        for index in range(frames.stop):
            ok, picture = source.read()
            if not ok:
                sys.exit(f"error: {video}: frame {index} cannot be read")
            if index in frames:
                picture = change(picture, index) if change else picture
                file.write(cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, compression])[1].tobytes())
    partial.rename(path)
    return path


@dataclass
class Judgement:
    fidelity: float | None  # to its own original, where there is one to compare with
    of_persons: float | None  # the same of persons alone, other classes left out
    ap: float | None  # person AP50, where there is ground truth


def of_label(found: own.Found, label: int) -> own.Found:
    return {key: value for key, value in found.items() if key[1] == label}


class Head(torch.nn.Module):
    def __init__(self, bundle: torch.jit.ScriptModule, index: int):
        super().__init__()
        self.bundle, self.index = bundle, index

    def forward(self, x):
        return self.bundle(x)[self.index]


@dataclass
class Judge:
    video: Path
    frames: list[int]
    truth: Path | None = None
    referee: Path | None = None  # judges models of 352 x 352 pixels; the script those whose archive tells the size
    _own: dict[Path, own.Found] = field(default_factory=dict)  # what originals find

    def original(self, model: Path, real: bool) -> Judgement:
        return self._judge(model, None, None, real)

    def merged(self, bundle: Path, head: int, model: Path, real: bool) -> Judgement:
        return self._judge(bundle, head, model, real)

    def own_detections(self, model: Path) -> int:
        """What a model that was compared with finds with at least the score at which detectors are run."""
        return sum(int((scores >= SCORE).sum()) for _, scores in self._own[model].values())

    def _judge(self, path: Path, head: int | None, against: Path | None, real: bool) -> Judgement:
        return (self._by_referee if real else self._by_script)(path, head, against)

    @cached_property
    def _program(self) -> ModuleType:
        """The referee program, whose parts are called rather than its command: that knows no single class."""
        spec = importlib.util.spec_from_file_location("referee", self.referee)
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        return program

    def _by_referee(self, path: Path, head: int | None, against: Path | None) -> Judgement:
        program = self._program

        def detect(model: Path, head: int | None) -> tuple[own.Found, tuple[int, int]]:
            found, shape, _ = program.detect(str(model), head, str(self.video), set(self.frames))
            return found, shape

        def agreement(found: own.Found, itself: own.Found) -> float:
            sure = {key: boxes[scores >= SCORE] for key, (boxes, scores) in itself.items()}
            unsure = {key: boxes[(scores < SCORE) & (scores >= SCORE / 5)] for key, (boxes, scores) in itself.items()}
            return program.average_precision(found, sure, unsure)

        found, shape = detect(path, head)
        judgement = Judgement(None, None, None)
        if against:
            if against not in self._own:
                self._own[against] = detect(against, None)[0]
            judgement.fidelity = agreement(found, self._own[against])
            judgement.of_persons = agreement(of_label(found, program.PERSON), of_label(self._own[against], program.PERSON))
        if self.truth:
            truth = program.read_truth(self.truth, shape[1], shape[0])
            judgement.ap = program.average_precision(
                of_label(found, program.PERSON), {key: boxes for key, boxes in truth.items() if key[0] in self.frames}
            )
        return judgement

    def _by_script(self, path: Path, head: int | None, against: Path | None) -> Judgement:
        pictures = own.read_frames(self.video, self.frames)
        module, size = own.load(against or path)
        judged = module if head is None else Head(torch.jit.load(str(path)).eval(), head)
        found = own.detect(judged, size, pictures)
        persons = of_label(found, own.PERSON)
        judgement = Judgement(None, None, None)
        if against:
            if against not in self._own:
                self._own[against] = own.detect(module, size, pictures)
            judgement.fidelity = own.fidelity(found, self._own[against], SCORE)
            judgement.of_persons = own.fidelity(persons, of_label(self._own[against], own.PERSON), SCORE)
        if self.truth:
            height, width = pictures[self.frames[0]].shape[:2]
            judgement.ap = own.average_precision(persons, own.read_truth(self.truth, (width, height), self.frames))
        return judgement
