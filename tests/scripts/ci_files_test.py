#!/usr/bin/env python3
"""Reads what repsim writes for CI systems with other people's parsers: JUnit with junitparser, metrics.txt with the
OpenMetrics parser of prometheus_client.

    .venv/bin/python tests/scripts/ci_files_test.py --binary build/release/bin/repsim

scripts/setup.sh installs both (scripts/requirements.txt). Exit code: 0 all passed, 1 some failed, 77 skipped where a
parser is missing.
"""

import argparse
import json
import math
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cli"))
from small_plan import SKIPPED, Place, Report, temporary_folder  # noqa: E402

try:
    import junitparser
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
except ImportError as missing:
    print(f"skipped: {missing.name} is not installed in {sys.executable} (scripts/setup.sh)")
    sys.exit(SKIPPED)

# What XML, OpenMetrics and JSON each have to escape.
NAMES = ("fr\"o&n't", "b\\ack [é] #{1}")


class CiFiles:
    def __init__(self, arguments, folder, report):
        self.place = Place(arguments.binary, arguments.source, folder)
        self.folder, self.report = self.place.folder, report
        words = ["--model", f"{NAMES[0]}=small.pt", "--model", f"{NAMES[1]}=wide.pt", "--input", "48x48", "--video",
                 "v.y4m", "--frames", "32", "--max-trials", "1", "--min-fidelity", "0", "--threads", "1"]  # fmt: skip
        self.repsim("plan", *words, "--out", "plan")
        self.repsim("plan", *words, "--max-shares", "0", "--out", "other", expected=(4,))

    def repsim(self, *words, expected=(0,)):
        code, stdout, stderr = self.place.run([self.place.binary, *words])
        if code not in expected:
            raise RuntimeError(f"{words} ends with {code}: {stderr.decode(errors='replace')}")
        return stdout.decode()

    def cases(self, path):
        """The cases of a JUnit file: (name, failed, message). Raises where the file's own sums are wrong."""
        found = []
        for suite in junitparser.JUnitXml.fromfile(str(path)):
            cases = list(suite)
            counted = (len(cases), sum(any(isinstance(one, junitparser.Failure) for one in case.result) for case in cases))
            if (suite.tests, suite.failures) != counted or suite.errors != 0:
                raise ValueError(f"{path.name} states {suite.tests} tests and {suite.failures} failures, not {counted}")
            for case in cases:
                if not case.classname or not case.name:
                    raise ValueError(f"{path.name} has a case without a name")
                failed = [one.message for one in case.result if isinstance(one, junitparser.Failure)]
                found.append((case.name, bool(failed), failed[0] if failed else ""))
        return found

    def check(self, name, *problems):
        self.report.check(name, [problem for problem in problems if problem])

    def junit(self):
        plan = json.loads((self.folder / "plan/plan.json").read_text())
        self.repsim("verify", "plan", "--output-format", "junit", "--output-file", "verify.xml")
        cases = self.cases(self.folder / "verify.xml")
        names = {model["name"] for model in plan["models"]}
        self.check("VerifyHasACaseOfEachModel", {name for name, _, _ in cases} != {f"{name}: fidelity" for name in names} and f"{cases}",
                   any(failed for _, failed, _ in cases) and "a model failed")  # fmt: skip

        self.repsim("check", "plan", "--threads", "1", "--output-format", "junit", "--output-file", "same.xml")
        cases = self.cases(self.folder / "same.xml")
        self.check("CheckOfTheSamePlanFailsNothing", not cases and "no case",
                   any(failed for _, failed, _ in cases) and f"{cases}")  # fmt: skip

        shutil.copy(self.folder / "wide.pt", self.folder / "wide.before")
        shutil.copy(self.folder / "small.pt", self.folder / "wide.pt")
        self.repsim("check", "plan", "--fast", "--output-format", "gitlab", "--output-file", "drift.xml", expected=(5,))
        shutil.copy(self.folder / "wide.before", self.folder / "wide.pt")
        failed = [(name, message) for name, failed, message in self.cases(self.folder / "drift.xml") if failed]
        self.check("CheckOfAChangedModelFailsItsCase", not failed and "no failure",
                   not any(NAMES[1] in name + message for name, message in failed) and f"{failed}")  # fmt: skip

        self.repsim("diff", "plan", "other", "--exit-code", "--output-format", "junit", "--output-file", "diff.xml",
                    expected=(5,))  # fmt: skip
        self.check("DiffFailsWhatDiffers", not any(failed for _, failed, _ in self.cases(self.folder / "diff.xml"))
                   and "no failure")  # fmt: skip

    def metrics(self):
        self.repsim("verify", "plan", "--output-format", "gitlab", "--output-file", "junit.xml")
        families = {one.name: one for one in text_string_to_metric_families((self.folder / "metrics.txt").read_text())}
        plan = json.loads((self.folder / "plan/plan.json").read_text())
        self.check("MetricsAreGaugesWithHelp", not families and "no metric",
                   *[f"{name} is {one.type}, {one.documentation!r}" for name, one in families.items()
                     if one.type != "gauge" or not one.documentation])  # fmt: skip
        fidelities = {one.labels["model"]: one.value for one in families["repsim_fidelity"].samples}
        expected = {model["name"]: model["fidelity"]["value"] for model in plan["models"]}
        self.check("MetricsHaveTheFidelityOfEachModel", set(fidelities) != set(expected) and f"{fidelities}", *[
            f"{name}: {value}, not {expected[name]}" for name, value in fidelities.items()
            if name in expected and not math.isclose(value, expected[name], abs_tol=1e-5)])  # fmt: skip

    def run(self):
        self.junit()
        self.metrics()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        CiFiles(arguments, folder, report).run()
    report.end()


if __name__ == "__main__":
    main()
