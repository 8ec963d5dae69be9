#!/usr/bin/env python3
"""Configs that repsim writes are configs that repsim reads: config init, and plan --print-config.

    tests/cli/config_files.py --binary build/release/bin/repsim [--only NAME]

Python's standard library only. Exit code: 0 all passed, 1 some failed.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

from small_plan import Place, Report, complaint, temporary_folder


class ConfigFiles:
    def __init__(self, arguments, folder, report):
        self.arguments, self.report = arguments, report
        self.place = Place(arguments.binary, arguments.source, folder)
        self.folder = self.place.folder

    def repsim(self, *words, cwd=None, **env):
        code, stdout, stderr = self.place.run([self.place.binary, *words], env=env, **({"cwd": cwd} if cwd else {}))
        return code, stdout.decode(), stderr.decode()

    def check(self, name, problems):
        self.report.check(name, [problem for problem in problems if problem])

    def init(self):
        init = ("config", "init", "small.pt", "wide.pt", "--video", "v.y4m")
        code, stdout, stderr = self.repsim(*init)
        text = (self.folder / "merge.json").read_text() if code == 0 else ""
        config = json.loads(text or "{}")
        models = config.get("models", [{}])
        self.check("InitWritesAConfig", [
            code != 0 and f"exit {code}: {stderr}",
            [model.get("name") for model in models] != ["small", "wide"] and f"models: {text}",
            config.get("frames", {}).get("count") != 40 and "the frames are not those of the video",
            "CHECK  models.0.output.score_threshold = " not in stdout and f"nothing to check: {stdout}",
            "CHECK  models.0.input.width, .height = " not in stdout and f"a guessed size is not marked: {stdout}",
            "CHECK  frames.count = 40" not in stdout and f"few frames are not marked: {stdout}",
            not any(line.startswith("CHECK ") for line in models[0].get("//", [])) and "nothing is marked in the file",
            "repsim plan --config merge.json --out plan" not in stdout and "it does not say what comes next",
        ])  # fmt: skip

        code, _, stderr = self.repsim(*init)
        self.check("InitReplacesNothing", [
            *complaint(code, stderr.encode(), 3, b"merge.json", b"--force"),
            (self.folder / "merge.json").read_text() != text and "it was replaced",
        ])  # fmt: skip
        (self.folder / "merge.json").write_text("mine")
        code, _, stderr = self.repsim(*init, "--force")
        self.check("InitReplacesWithForce", [
            code != 0 and stderr, (self.folder / "merge.json").read_text() != text and "another config"])  # fmt: skip

        code, _, stderr = self.repsim("plan", "--config", "merge.json", "--out", "out", "--set", "merge.max_trials=1")
        self.check("ThePlanOfItRuns", [code not in (0, 4) and f"exit {code}: {stderr}",
                                       not (self.folder / "out/plan.json").exists() and "there is no plan"])  # fmt: skip

    def init_elsewhere(self):
        code, _, stderr = self.repsim("config", "init", "small.pt", "--model", "big=wide.pt", "--video", "v.y4m",
                                      "--input", "48x48,rgb", "--format", "tensor", "--out", "jobs/night/c.json")  # fmt: skip
        found = json.loads((self.folder / "jobs/night/c.json").read_text()) if code == 0 else {"models": [{}]}
        self.check("InitNamesFilesAsSeenFromTheConfig", [
            code != 0 and f"exit {code}: {stderr}",
            found["models"][0].get("path") != "../../small.pt" and f"path {found['models'][0].get('path')}",
            found.get("video") != "../../v.y4m" and f"video {found.get('video')}",
            [one.get("name") for one in found["models"]] != ["small", "big"] and "other names",
        ])  # fmt: skip
        self.check("AStatedInputIsNotToBeChecked", [
            "//" in found["models"][0] and f"marked: {found['models'][0]['//']}",
            found["models"][0].get("input", {}).get("color") != "rgb" and "another colour"])  # fmt: skip
        code, _, stderr = self.repsim("plan", "--config", "jobs/night/c.json", "--dry-run", "--out", "p")
        self.check("ItIsReadFromAnotherFolder", [code != 0 and f"exit {code}: {stderr}"])

    def init_wrongly(self):
        init = ["config", "init", "small.pt", "wide.pt", "--video", "v.y4m", "--out", "x.json"]
        (self.folder / "text.pt").write_text("no model")
        before = self.place.files()
        for name, words, code, *patterns in (
            ("NoAction", ["config"], 2, b"no action", b"repsim config init"),
            ("UnknownAction", ["config", "inti"], 2, b"'inti'", b"'init'"),
            ("OneModel", ["config", "init", "small.pt", "--video", "v.y4m"], 2, b"two or more"),
            ("NoVideo", ["config", "init", "small.pt", "wide.pt"], 2, b"no video"),
            ("MissingVideo", ["config", "init", "small.pt", "wide.pt", "--video", "none.avi", "--out", "x.json"], 3,
             b"none.avi"),
            ("NoModel", ["config", "init", "small.pt", "text.pt", "--video", "v.y4m", "--out", "x.json"], 3, b"text.pt"),
            ("ASizeThatDoesNotFit", [*init, "--format", "yolov8"], 3, b"format yolov8"),
            ("OutIsAFolder", ["config", "init", "small.pt", "wide.pt", "--video", "v.y4m", "--out", "tmp"], 3, b"tmp"),
        ):  # fmt: skip
            ended, _, stderr = self.repsim(*words)
            problems = complaint(ended, stderr.encode(), code, *patterns)
            self.check(f"Init{name}", [*problems, self.place.files() != before and "something is left behind"])

    def print_config(self):
        words = ["plan", "small.pt", "--model", "big=wide.pt", "--video", "v.y4m", "--input", "big=48x48", "--set",
                 "merge.max_rank=4", "--min-fidelity", "big=0.8", "--frames", "32"]  # fmt: skip
        (self.folder / "c.json").write_text(json.dumps({"merge": {"min_fidelity": 0.7, "refit": False}, "seed": 9}))
        words += ["--config", "c.json"]
        code, stdout, stderr = self.repsim(*words, "--print-config")
        lines = {line.split()[0]: line for line in stdout.splitlines()}
        wanted = {
            "models.0.path": ['"small.pt"', "command line"], "models.0.input": ["(none)", "the model's archive"],
            "models.1.name": ['"big"', "--model"], "models.1.input": ['"width":48', "--input"],
            "frames.count": ["32", "--frames"], "merge.max_rank": ["4", "--set"], "merge.refit": ["false", "c.json"],
            "merge.min_fidelity": ['{"default":0.7,"big":0.8}', "c.json, --min-fidelity"], "seed": ["9", "c.json"],
            "threads": ["0", "default"], "merge.budget": ["(none)", "default"], "--cache": ["repsim", "default"],
        }  # fmt: skip
        self.check("EverySettingSaysWhereItComesFrom", [code != 0 and stderr] + [
            f"{key}: {lines.get(key)}" for key, parts in wanted.items()
            if key not in lines or not all(part in lines[key] for part in parts)
            or not lines[key].endswith(parts[1])])  # fmt: skip
        code, stdout, stderr = self.repsim(*words, "--print-config=json")
        (self.folder / "tmp/effective.json").write_text(stdout)
        again = ["plan", "--config", "effective.json", "--print-config=json"]
        code_again, stdout_again, stderr_again = self.repsim(*again, cwd=self.folder / "tmp")
        first, second = (json.loads(text or "{}") for text in (stdout, stdout_again))
        comment, _ = first.pop("//", []), second.pop("//", [])
        self.check("ItReadsBackFromAnotherFolder", [
            code != 0 and stderr, code_again != 0 and stderr_again, first != second and "other settings",
            first.get("merge", {}).get("max_rank") != 4 and "not the settings that hold",
            "merge.max_rank: --set" not in comment and f"no origins: {comment}"])  # fmt: skip
        code, _, stderr = self.repsim("plan", "--config", "effective.json", "--dry-run", "--out", "p", "--input", "small=48x48",
                                      cwd=self.folder / "tmp")  # fmt: skip
        self.check("ItCanBePlannedWith", [code != 0 and stderr])
        os.remove(self.folder / "tmp/effective.json")

    def print_config_wrongly(self):
        for name, words, code, *patterns in (
            ("AnUnknownForm", ["--print-config=yaml"], 2, b"'yaml'", b"text, json"),
            ("AnUnknownKey", ["--set", "merge.max_rnk=4", "--print-config"], 2, b"max_rnk"),
            ("AWrongValue", ["--frames", "x", "--print-config"], 2, b"--frames"),
        ):  # fmt: skip
            ended, stdout, stderr = self.repsim("plan", *words)
            problems = complaint(ended, stderr.encode(), code, *patterns)
            self.check(f"PrintConfigOf{name}", [*problems, stdout])
        code, stdout, _ = self.repsim("plan", "--print-config")
        self.check("NothingIsNeededToPrintDefaults", [
            code != 0 and f"exit {code}", "frames.count" not in stdout and stdout])  # fmt: skip

    def run(self):
        for part in (self.init, self.init_elsewhere, self.init_wrongly, self.print_config, self.print_config_wrongly):
            if self.arguments.only and self.arguments.only not in part.__name__:
                continue
            part()
            for name in ("out", "cache", "jobs"):
                shutil.rmtree(self.folder / name, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--only", help="run the parts whose name contains this")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        ConfigFiles(arguments, folder, report).run()
    report.end()


if __name__ == "__main__":
    main()
